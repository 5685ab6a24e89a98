"""Launching of ready jobs: several tasks and jobs concurrently, in order of priority."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from pydatatask_core.errors import LaunchRefusedError

from .background_tasks import cancel_with_timeout, log_failure
from .backlog import Backlog, Priority

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from pydatatask_core.task.base import Task

    from .launch_guard import LaunchGuard
    from .readiness import ReadyJobs

__all__ = ["Dispatcher", "noop"]

log = logging.getLogger("pydatatask.pipeline")

MAX_CONCURRENT_LAUNCHES = 16
"""The maximum number of concurrent launches of a task whose jobs do not run in the launch."""

MAX_SLICE_SECONDS = 0.005
"""Seconds for which jobs that never wait may block the event loop."""

SHUTDOWN_TIMEOUT_SECONDS = 0.5
"""Seconds that pending launches get when the loop ends, and again after they are cancelled."""

_NO_JOBS: frozenset[str] = frozenset()


class Dispatcher:
    """Launches the jobs of a backlog with a few workers per task.

    :param priority: function of a task's name and a job.
    :param guard: decides which ready jobs must not be launched for now.
    """

    def __init__(self, priority: Priority | None, guard: LaunchGuard) -> None:
        self.backlog = Backlog(priority, guard.failed)
        self._launched: defaultdict[str, int] = defaultdict(int)
        self.polled_launches = 0
        """The number of launches of tasks whose jobs have to be polled."""
        self.notify: Callable[[bool], None] = noop
        """Called after launches have changed something, so that waiting jobs are reconsidered; its
        argument says whether more jobs may have become ready."""
        self._prioritized = priority is not None
        self._guard = guard
        self._workers: dict[Task, set[asyncio.Task[None]]] = {}
        self._launching: dict[Task, set[str]] = {}
        self._launched_since_listing: dict[Task, set[str]] | None = None
        self._running_at_listing: dict[Task, AbstractSet[str]] = {}
        self._waiting_at_listing: dict[Task, AbstractSet[str]] = {}
        self._live_jobs: dict[Task, set[str]] = {}
        self._start_counts = False
        self._stopped = False
        self._slice_end = 0.0

    # -- rounds ----------------------------------------------------------------------------------

    def begin_listing(self, tasks: Iterable[Task]) -> None:
        """Record the running jobs; jobs that end or start during the listing must not be repeated.

        A job that starts during the listing may enter the task's live repository after that was
        listed, and a job that ends may leave it before the other repositories are listed.
        """
        self._running_at_listing = {
            task: task.running | self._launching.get(task, _NO_JOBS) for task in tasks
        }
        self._waiting_at_listing = {task: frozenset(task.waiting) for task in tasks if task.waiting}
        self._launched_since_listing = {task: set() for task in tasks}
        self._guard.watch(tasks)

    def set_ready(self, results: Mapping[Task, ReadyJobs | None]) -> None:
        """Replace the remaining jobs of the last round by those of a new round.

        :param results: the ready jobs of each task, or None if they are unknown.
        """
        launched = self._launched_since_listing or {}
        ready: dict[Task, AbstractSet[str]] = {}
        for task, result in results.items():
            if result is None:
                self._guard.unknown(task)
                ready[task] = _NO_JOBS
                continue
            # If a job began to wait during the listing, the listing may be older than its record.
            waiting = self._waiting_at_listing.get(task, _NO_JOBS) & task.waiting
            if missing := waiting - result.live:
                task.note_missing(missing)
            live_jobs = result.live | task.running | self._launching.get(task, _NO_JOBS)
            live_jobs = (
                live_jobs
                | self._running_at_listing.get(task, _NO_JOBS)
                | launched.get(task, _NO_JOBS)
            )
            ready[task] = self._guard.allowed(
                task, result.jobs - live_jobs if live_jobs else result.jobs, live_jobs
            )
            if not task.event_driven and task.concurrency is not None:
                self._live_jobs[task] = set(live_jobs)
        self._launched_since_listing = None
        self.backlog.refused.clear()
        self.backlog.replace(ready)

    def release(self, tasks: Iterable[Task] | None = None) -> None:
        """Retry tasks whose jobs were refused because a quota was exhausted.

        :param tasks: the tasks; all by default.
        """
        if tasks is None:
            self.backlog.refused.clear()
        else:
            self.backlog.refused.difference_update(tasks)

    def has_jobs_for_all(self, tasks: Collection[Task]) -> bool:
        """Return whether each task has waiting jobs, so that a listing would not help any of them.

        :param tasks: the tasks. With priorities the result is False, because a listing may find a
            job that has to be launched before the waiting ones.
        """
        return not self._prioritized and bool(tasks) and all(map(self.backlog.count, tasks))

    # -- work ------------------------------------------------------------------------------------

    def start_workers(self, tasks: Iterable[Task], start_counts: bool = True) -> None:
        """Start workers for the waiting jobs.

        :param tasks: the tasks to launch jobs of.
        :param start_counts: whether a job that completes in its launch counts as scheduled when it
            starts, so that a hanging job delays no other.
        """
        self._start_counts = start_counts
        self._stopped = False
        self._slice_end = monotonic() + MAX_SLICE_SECONDS
        tasks = list(tasks)
        for task in tasks:
            self._update_full(task)
        for task in tasks:
            if task.completes_in_launch:
                self._start_all_workers(task)
            elif self._start_worker(task):
                # The others begin after the first step of this one, which launches all jobs if
                # no launch has to wait, as in a thread pool.
                asyncio.get_running_loop().call_soon(self._start_all_workers, task)

    def _start_all_workers(self, task: Task) -> None:
        while self._start_worker(task):
            pass

    def _start_worker(self, task: Task) -> bool:
        """Start another worker if there are jobs for it, and return whether it was started."""
        if not self._can_take(task):
            return False
        workers = self._workers.setdefault(task, set())
        without_job = len(workers) - len(self._launching.get(task, _NO_JOBS))
        waiting = self.backlog.count(task) + len(task.due_retries)
        free = task.launch_capacity()
        if without_job >= (waiting if free is None else min(waiting, free)):
            return False
        if len(workers) >= _max_workers(task, len(workers) + waiting):
            return False
        worker = asyncio.create_task(self._run_worker(task), name=f"pydatatask launch {task.name}")
        workers.add(worker)
        worker.add_done_callback(partial(self._on_worker_done, task))
        return True

    @property
    def launched(self) -> Counter[str]:
        """The number of launched jobs by task."""
        return Counter(self._launched)

    @property
    def busy(self) -> bool:
        """True if any launch is pending."""
        return any(self._workers.values())

    async def drain(self, tasks: Iterable[Task]) -> None:
        """Launch jobs until no more can be launched, and wait for all launches to return."""
        try:
            self.start_workers(tasks, start_counts=False)
            while self.busy:
                workers = [w for workers in self._workers.values() for w in workers]
                await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
                self.start_workers(tasks, start_counts=False)
        except asyncio.CancelledError:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop launching. Pending launches may finish within a timeout; functions are cancelled."""
        self._stopped = True
        self.backlog.clear()
        closing: set[asyncio.Task[None]] = set()
        for task, workers in self._workers.items():
            closing |= workers
            if task.completes_in_launch:
                for worker in workers:
                    worker.cancel()
        if closing:
            _, late = await asyncio.wait(closing, timeout=SHUTDOWN_TIMEOUT_SECONDS)
            await cancel_with_timeout(late, SHUTDOWN_TIMEOUT_SECONDS)

    async def _run_worker(self, task: Task) -> None:
        """Launch one job after another, until none is left or a quota is exhausted."""
        launching = self._launching.setdefault(task, set())
        completes = task.completes_in_launch
        worker = asyncio.current_task()
        assert worker is not None
        while (job := self._take(task)) is not None:
            timer = task.retry_timers.get(job)
            launching.add(job)
            cancelled = worker.cancelling()  # a TaskGroup may have left it raised
            try:
                await self._launch(task, job, launching)
            except LaunchRefusedError:
                self._requeue(task, job)
                self.notify(completes)
                return
            except (KeyboardInterrupt, GeneratorExit):
                raise
            except BaseException as e:
                if isinstance(e, asyncio.CancelledError) and worker.cancelling() > cancelled:
                    raise
                self._guard.failed(task, job, e)  # also if only something inside was cancelled
            else:
                self._launched[task.name] += 1  # a Counter would cost 5 % of an empty job
                if self._guard.watched or not task.event_driven:
                    self._note_launched(task, job)
            finally:
                launching.discard(job)
            if timer is not None:
                task.finish_retry_wait(job, timer)
            if self._prioritized:
                self.backlog.mark_scheduled(task, job)
            self.notify(completes)
            now = monotonic()
            if now > self._slice_end:
                await asyncio.sleep(0)
                self._slice_end = monotonic() + MAX_SLICE_SECONDS

    async def _launch(self, task: Task, job: str, launching: set[str]) -> None:
        if self._prioritized and self._start_counts and task.completes_in_launch:
            self.backlog.mark_scheduled(task, job)
            self.notify(False)
        if task.case_insensitive_records:
            await task.check_case_collision(job, task.running | launching)
        await task.launch(job)

    def _on_worker_done(self, task: Task, worker: asyncio.Task[None]) -> None:
        self._workers[task].discard(worker)
        log_failure(worker)
        if not self._workers[task]:  # the run may have waited for this launch alone
            self.notify(False)

    def _note_launched(self, task: Task, job: str) -> None:
        if not task.event_driven:
            self.polled_launches += not task.completes_in_launch
            if task in self._live_jobs:
                self._live_jobs[task].add(job)
        if self._guard.watched:
            self._guard.launched(task, job)

    def _requeue(self, task: Task, job: str) -> None:
        self.backlog.refused.add(task)
        if job in task.running:  # waits for a retry: not in the listing
            task.due_retries.appendleft(job)
            return
        if self._launched_since_listing is not None and task in self._launched_since_listing:
            self._launched_since_listing[task].discard(job)
        self.backlog.requeue(task, job)

    def _take(self, task: Task) -> str | None:
        backlog = self.backlog
        if self._stopped:
            return None
        if self._update_full(task):
            return None
        if task.due_retries:
            return None if task in backlog.refused else task.due_retries.popleft()
        job = backlog.take(task)
        if (
            self._launched_since_listing is not None
            and job is not None
            and task in self._launched_since_listing
        ):
            self._launched_since_listing[task].add(job)
        return job

    def _can_take(self, task: Task) -> bool:
        if self._stopped or task in self.backlog.refused:
            return False
        has_job = bool(task.due_retries) or self.backlog.has_next(task)
        return has_job and not self._update_full(task)

    def _update_full(self, task: Task) -> bool:
        """Record and return whether a quota is exhausted or the concurrency limit reached."""
        if task.completes_in_launch:
            return False
        if not (self._prioritized or task.due_retries or self.backlog.count(task)):
            return False  # only with priorities, a task without waiting jobs may delay others
        if task.launch_capacity() == 0:
            self.backlog.refused.add(task)
            return True
        if task.concurrency is None:
            return False
        full = self._count_active(task) >= task.concurrency
        (self.backlog.full.add if full else self.backlog.full.discard)(task)
        return full

    def _count_active(self, task: Task) -> int:
        """Return the number of the task's jobs that use a slot of its ``concurrency``."""
        jobs = (
            task.running | self._launching.get(task, _NO_JOBS) | self._live_jobs.get(task, _NO_JOBS)
        )
        return len(jobs - task.idle)


def noop(_: bool) -> None:
    """Do nothing; stands for the loop while none runs."""


def _max_workers(task: Task, unlimited: int) -> int:
    if task.completes_in_launch:
        return task.concurrency or unlimited
    return min(task.concurrency or MAX_CONCURRENT_LAUNCHES, MAX_CONCURRENT_LAUNCHES)
