"""Launching what is ready: several tasks and jobs at once, in order of priority."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from time import monotonic
from typing import TYPE_CHECKING

from pydatatask_core.errors import LaunchRefusedError

from .backlog import Backlog, Priority

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Set as AbstractSet

    from pydatatask_core.task.base import Task

    from .holds import Holds
    from .readiness import Found

__all__ = ["Dispatcher"]

log = logging.getLogger("pydatatask.pipeline")

LAUNCHES_AT_ONCE = 16
"""How many launches of one task are under way at once where launching does not run the job."""

LONGEST_TURN = 0.005
"""Seconds for which jobs that never wait may keep the event loop from everything else."""

LONGEST_FAREWELL = 1.0
"""Seconds that launches under way get when the loop is left."""


class Dispatcher:
    """Launches the jobs of a backlog by a few workers for each task.

    :param priority: gives the priority of a task's name and a job.
    :param holds: which jobs are not to be launched for now.
    :param news: called when a launch has changed something, so that another round is worth while.
    """

    def __init__(self, priority: Priority | None, holds: Holds, news: Callable[[], None]) -> None:
        self.backlog = Backlog(priority)
        self.launched: Counter[str] = Counter()
        self._holds = holds
        self._news = news
        self._workers: dict[Task, set[asyncio.Task[None]]] = {}
        self._since: dict[Task, set[str]] | None = None
        self._running_before: dict[Task, AbstractSet[str]] = {}
        self._start_is_enough = False
        self._turn_ends = 0.0
        self._told = False

    # -- rounds ----------------------------------------------------------------------------------

    def begin_listing(self, tasks: list[Task]) -> None:
        """Note what runs, so that what ends or starts during the listing is not launched again."""
        self._running_before = {task: set(task.running) for task in tasks}
        self._since = {task: set() for task in tasks}
        self._holds.watch(tasks)

    def offer(self, found: Mapping[Task, Found | None]) -> None:
        """Take the jobs that a round found in the place of what is left of the last one.

        :param found: what is known of each task, or None where nothing is.
        """
        since = self._since or {}
        fresh: dict[Task, AbstractSet[str]] = {}
        for task, here in found.items():
            if here is None or task.disabled:
                continue
            live = here.live | task.running
            live = live | self._running_before.get(task, _NOTHING) | since.get(task, _NOTHING)
            fresh[task] = self._holds.allowed(task, here.jobs - live if live else here.jobs, live)
        self._since = None
        self.backlog.held.clear()
        self.backlog.replace(fresh)

    def release(self) -> None:
        """Try again where a quota had no room."""
        self.backlog.held.clear()

    # -- work ------------------------------------------------------------------------------------

    def pump(self, tasks: list[Task], start_is_enough: bool = True) -> None:
        """Put workers to what waits.

        :param tasks: the tasks to look after.
        :param start_is_enough: whether a job that completes in its launch counts as scheduled
            when it is started, so that one that hangs holds up only itself.
        """
        self._start_is_enough = start_is_enough
        self._told = False
        for task in tasks:
            held = task in self.backlog.held
            waiting = 0 if held else self.backlog.count(task) + len(task.due)
            workers = self._workers.setdefault(task, set())
            for _ in range(min(waiting, _most_workers(task)) - len(workers)):
                worker = asyncio.create_task(
                    self._work(task), name=f"pydatatask launch {task.name}"
                )
                workers.add(worker)
                worker.add_done_callback(workers.discard)

    @property
    def busy(self) -> bool:
        """Whether any launch is under way."""
        return any(self._workers.values())

    async def drain(self, tasks: list[Task]) -> None:
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
        self.backlog.clear()
        leaving: set[asyncio.Task[None]] = set()
        for task, workers in self._workers.items():
            leaving |= workers
            if task.completes_in_launch:
                for worker in workers:
                    worker.cancel()
        if leaving:
            _, late = await asyncio.wait(leaving, timeout=LONGEST_FAREWELL / 2)
            for worker in late:
                worker.cancel()
            if late:
                _, deaf = await asyncio.wait(late, timeout=LONGEST_FAREWELL / 2)
                for worker in deaf:
                    log.warning("%s does not end although it was cancelled", worker.get_name())

    async def _work(self, task: Task) -> None:
        """Launch one job after the other, until none is left or a quota is used up."""
        backlog, holds = self.backlog, self._holds
        while (job := self._take(task)) is not None:
            if task.completes_in_launch and self._start_is_enough:
                backlog.scheduled(task, job)
            try:
                await task.launch(job)
            except LaunchRefusedError:
                if job in task.running:  # it waits for another attempt, so no round offers it
                    task.due.appendleft(job)
                else:
                    backlog.put_back(task, job)
                backlog.held.add(task)
                return
            except Exception as e:  # noqa: BLE001 - one bad job never stops another
                holds.failed(task, job, e)
            else:
                self.launched[task.name] += 1
                if holds.watching:
                    holds.launched(task, job)
            backlog.scheduled(task, job)
            if not self._told:
                self._told = True
                self._news()
            now = monotonic()
            if now > self._turn_ends:
                await asyncio.sleep(0)
                self._turn_ends = monotonic() + LONGEST_TURN

    def _take(self, task: Task) -> str | None:
        if task.due:
            return task.due.popleft()
        limited = task.concurrency is not None and not task.completes_in_launch
        if limited and len(task.running) >= (task.concurrency or 0):
            self.backlog.held.add(task)
            return None
        job = self.backlog.take(task)
        if job is not None and self._since is not None:
            self._since[task].add(job)
        return job


_NOTHING: frozenset[str] = frozenset()


def _most_workers(task: Task) -> int:
    if task.completes_in_launch:
        return task.concurrency or LAUNCHES_AT_ONCE
    return min(task.concurrency or LAUNCHES_AT_ONCE, LAUNCHES_AT_ONCE)
