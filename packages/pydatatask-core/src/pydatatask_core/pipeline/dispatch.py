"""Launching what is ready: several tasks and jobs at once, in order of priority."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from pydatatask_core.errors import LaunchRefusedError

from .background import end_soon, observe
from .backlog import Backlog, Priority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from pydatatask_core.task.base import Task

    from .holds import Holds
    from .readiness import Found

__all__ = ["Dispatcher", "tell_nobody"]

log = logging.getLogger("pydatatask.pipeline")

LAUNCHES_AT_ONCE = 16
"""How many launches of one task are under way at once where launching does not run the job."""

LONGEST_TURN = 0.005
"""Seconds for which jobs that never wait may keep the event loop from everything else."""

LONGEST_FAREWELL = 0.5
"""Seconds that launches under way get when the loop is left, and again when they are cancelled."""

_NOTHING: frozenset[str] = frozenset()


class Dispatcher:
    """Launches the jobs of a backlog by a few workers for each task.

    :param priority: gives the priority of a task's name and a job.
    :param holds: which jobs are not to be launched for now.
    """

    def __init__(self, priority: Priority | None, holds: Holds) -> None:
        self.backlog = Backlog(priority, holds.failed)
        self._launched: defaultdict[str, int] = defaultdict(int)
        self.polled = 0
        """How many launches there were of tasks that have to be polled for what becomes of it."""
        self.stir: Callable[[bool], None] = tell_nobody
        """Called when something about launches has changed, so that others may have their turn,
        with whether that may have made more jobs ready."""
        self._in_order = priority is not None
        self._holds = holds
        self._workers: dict[Task, set[asyncio.Task[None]]] = {}
        self._launching: dict[Task, set[str]] = {}
        self._since: dict[Task, set[str]] | None = None
        self._running_before: dict[Task, AbstractSet[str]] = {}
        self._waiting_before: dict[Task, AbstractSet[str]] = {}
        self._live: dict[Task, set[str]] = {}
        self._start_is_enough = False
        self._stopped = False
        self._turn_ends = 0.0

    # -- rounds ----------------------------------------------------------------------------------

    def begin_listing(self, tasks: Iterable[Task]) -> None:
        """Note what runs, so that what ends or starts during the listing is not launched again.

        A job that was begun before may enter its task's live repository after that was listed,
        and one that ends may leave it, with all traces, before the rest is.
        """
        self._running_before = {
            task: task.running | self._launching.get(task, _NOTHING) for task in tasks
        }
        self._waiting_before = {task: frozenset(task.waiting) for task in tasks if task.waiting}
        self._since = {task: set() for task in tasks}
        self._holds.watch(tasks)

    def offer(self, found: Mapping[Task, Found | None]) -> None:
        """Take the jobs that a round found in the place of what is left of the last one.

        :param found: what is known of each task, or None where nothing is.
        """
        since = self._since or {}
        fresh: dict[Task, AbstractSet[str]] = {}
        for task, here in found.items():
            if here is None:
                self._holds.unknown(task)
                fresh[task] = _NOTHING
                continue
            # Of one that has begun to wait meanwhile, the listing may be older than its record.
            waiting = self._waiting_before.get(task, _NOTHING) & task.waiting
            if missing := waiting - here.live:
                task.note_missing(missing)
            live = here.live | task.running | self._launching.get(task, _NOTHING)
            live = live | self._running_before.get(task, _NOTHING) | since.get(task, _NOTHING)
            fresh[task] = self._holds.allowed(task, here.jobs - live if live else here.jobs, live)
            if not task.event_driven and task.concurrency is not None:
                self._live[task] = set(live)
        self._since = None
        self.backlog.held.clear()
        self.backlog.replace(fresh)

    def release(self, tasks: Iterable[Task] | None = None) -> None:
        """Try again where a quota had no room.

        :param tasks: which tasks; all by default.
        """
        if tasks is None:
            self.backlog.held.clear()
        else:
            self.backlog.held.difference_update(tasks)

    # -- work ------------------------------------------------------------------------------------

    def pump(self, tasks: Iterable[Task], start_is_enough: bool = True) -> None:
        """Put workers to what waits.

        :param tasks: the tasks to look after.
        :param start_is_enough: whether a job that completes in its launch counts as scheduled
            when it is started, so that one that hangs holds up only itself.
        """
        self._start_is_enough = start_is_enough
        self._stopped = False
        tasks = list(tasks)
        for task in tasks:
            self._note_full(task)
        for task in tasks:
            if not self._may_take(task):
                continue
            waiting = self.backlog.count(task) + len(task.due_retries)
            workers = self._workers.setdefault(task, set())
            more = min(waiting, _most_workers(task, waiting)) - len(workers)
            room = task.launch_capacity()
            for _ in range(more if room is None else min(more, room)):
                worker = asyncio.create_task(
                    self._work(task), name=f"pydatatask launch {task.name}"
                )
                workers.add(worker)
                worker.add_done_callback(partial(self._worker_ended, task))

    @property
    def launched(self) -> Counter[str]:
        """How many jobs of each task were launched."""
        return Counter(self._launched)

    @property
    def busy(self) -> bool:
        """Whether any launch is under way."""
        return any(self._workers.values())

    async def drain(self, tasks: Iterable[Task]) -> None:
        """Launch until nothing more can be, and wait for every launch to return."""
        try:
            self.pump(tasks, start_is_enough=False)
            while self.busy:
                workers = [w for workers in self._workers.values() for w in workers]
                await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
                self.pump(tasks, start_is_enough=False)
        except asyncio.CancelledError:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop launching at once. Launches under way get a moment, running functions end."""
        self._stopped = True
        self.backlog.clear()
        leaving: set[asyncio.Task[None]] = set()
        for task, workers in self._workers.items():
            leaving |= workers
            if task.completes_in_launch:
                for worker in workers:
                    worker.cancel()
        if leaving:
            _, late = await asyncio.wait(leaving, timeout=LONGEST_FAREWELL)
            await end_soon(late, LONGEST_FAREWELL)

    async def _work(self, task: Task) -> None:
        """Launch one job after the other, until none is left or a quota is used up."""
        launching = self._launching.setdefault(task, set())
        completes = task.completes_in_launch
        worker = asyncio.current_task()
        assert worker is not None
        while (job := self._take(task)) is not None:
            timer = task.retry_timers.get(job)
            launching.add(job)
            cancelled = worker.cancelling()  # a TaskGroup of a third party may have left it raised
            try:
                await self._launch(task, job, launching)
            except LaunchRefusedError:
                self._put_back(task, job)
                self.stir(completes)
                return
            except (KeyboardInterrupt, GeneratorExit):
                raise
            except BaseException as e:
                if isinstance(e, asyncio.CancelledError) and worker.cancelling() > cancelled:
                    raise
                self._holds.failed(task, job, e)  # that something inside was cancelled, as well
            else:
                self._launched[task.name] += 1  # in a Counter: 5 % of a job that does nothing
                if self._holds.watched or not task.event_driven:
                    self._note_launched(task, job)
            finally:
                launching.discard(job)
            if timer is not None:
                task.finish_retry_wait(job, timer)
            if self._in_order:
                self.backlog.scheduled(task, job)
            self.stir(completes)
            now = monotonic()
            if now > self._turn_ends:
                await asyncio.sleep(0)
                self._turn_ends = monotonic() + LONGEST_TURN

    async def _launch(self, task: Task, job: str, launching: set[str]) -> None:
        if self._in_order and self._start_is_enough and task.completes_in_launch:
            self.backlog.scheduled(task, job)
            self.stir(False)
        if task.case_insensitive_records:
            await task.check_case_collision(job, task.running | launching)
        await task.launch(job)

    def _worker_ended(self, task: Task, worker: asyncio.Task[None]) -> None:
        self._workers[task].discard(worker)
        observe(worker)
        if not self._workers[task]:  # the last launch may have been all that was going on
            self.stir(False)

    def _note_launched(self, task: Task, job: str) -> None:
        if not task.event_driven:
            self.polled += not task.completes_in_launch
            if task in self._live:
                self._live[task].add(job)
        if self._holds.watched:
            self._holds.launched(task, job)

    def _put_back(self, task: Task, job: str) -> None:
        self.backlog.held.add(task)
        if job in task.running:  # it waits for another attempt, so no round offers it
            task.due_retries.appendleft(job)
            return
        if self._since is not None and task in self._since:
            self._since[task].discard(job)
        self.backlog.put_back(task, job)

    def _take(self, task: Task) -> str | None:
        backlog = self.backlog
        if self._stopped:
            return None
        if self._note_full(task):
            return None
        if task.due_retries:
            return None if task in backlog.held else task.due_retries.popleft()
        job = backlog.take(task)
        if self._since is not None and job is not None and task in self._since:
            self._since[task].add(job)
        return job

    def _may_take(self, task: Task) -> bool:
        if self._stopped or task in self.backlog.held or self._note_full(task):
            return False
        return bool(task.due_retries) or self.backlog.has_next(task)

    def _note_full(self, task: Task) -> bool:
        """Note whether a quota is used up, or the task has as many jobs as it may."""
        if task.completes_in_launch:
            return False
        if task.launch_capacity() == 0:
            self.backlog.held.add(task)
            return True
        if task.concurrency is None:
            return False
        full = self._occupied(task) >= task.concurrency
        (self.backlog.full.add if full else self.backlog.full.discard)(task)
        return full

    def _occupied(self, task: Task) -> int:
        """Count the jobs that the task has now, except those that only wait.

        They wait for another attempt, or have ended and their outputs are being looked for.
        """
        jobs = task.running | self._launching.get(task, _NOTHING) | self._live.get(task, _NOTHING)
        return len(jobs - task.waiting - task.output_check.checking)


def tell_nobody(_: bool) -> None:
    """Tell nobody, while there is no loop that attends to what launches change."""


def _most_workers(task: Task, waiting: int) -> int:
    if task.completes_in_launch:
        return task.concurrency or waiting
    return min(task.concurrency or LAUNCHES_AT_ONCE, LAUNCHES_AT_ONCE)
