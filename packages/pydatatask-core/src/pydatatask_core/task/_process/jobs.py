"""All jobs that a process task looks after, and the ways from one of their phases to the next."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import ProcessManagerError

from .adoption import adopt
from .ending import Ender
from .live import LiveJob, Phase
from .outcome import timed_out
from .stopping import GRACE, stop

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine, Mapping

    from pydatatask_core.task.process import ProcessTask

__all__ = ["Jobs"]

log = logging.getLogger("pydatatask.task")


class Jobs:
    """The live jobs of a task, for as long as one pipeline is open, and what goes on beside it.

    :param task: whose jobs.
    """

    def __init__(self, task: ProcessTask) -> None:
        self.task = task
        self.live: dict[str, LiveJob] = {}
        self.unrecorded = 0
        """How many jobs have ended and are not recorded yet."""
        self.counted = 0
        """How many processes have a share of the quota."""
        self.unmarked: set[str] = set()
        """The jobs that have failed, which nothing but this tells."""
        self._ender = Ender(task, self)
        self._adopted = False
        self._adopting = asyncio.Lock()
        self._own: set[asyncio.Task[None]] = set()
        self._complaint: str | None = None
        self._trying = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    def close(self) -> None:
        """Stop looking after the jobs. What runs goes on, and is found again."""
        for task in self._own:
            task.cancel()
        for live in self.live.values():
            live.let_go()
            live.leave_machine()
            live.over.set()
        self.live.clear()

    def spawn(self, coroutine: Coroutine[Any, Any, None], live: LiveJob) -> None:
        """Do something for a job beside everything else.

        :param coroutine: what to do; it handles its own failures.
        :param live: the job.
        """
        name = f"pydatatask {self.task.name} {live.job}"
        if self.task.runtime is not None:
            return self.task.runtime.spawn(coroutine, name)
        task = asyncio.create_task(coroutine, name=name)
        self._own.add(task)
        task.add_done_callback(self._own.discard)

    async def adopt(self) -> None:
        """Find the jobs that an earlier driver left behind; once, and only to drive them."""
        if self._adopted or not self.task.drives:
            return
        async with self._adopting:
            if not self._adopted:
                await adopt(self.task, self)
                self._adopted = True

    # -- phases ----------------------------------------------------------------------------------

    def enter(self, live: LiveJob, phase: Phase) -> None:
        """Have a job in a phase.

        :param live: the job.
        :param phase: the phase.
        """
        self.unrecorded += (phase is Phase.ENDED) - (live.phase is Phase.ENDED)
        live.phase = phase

    def take_on(self, live: LiveJob, phase: Phase) -> None:
        """Begin to look after a job.

        :param live: the job.
        :param phase: how far it is.
        """
        self.live[live.job] = live
        if phase is Phase.RUNNING:
            self.count(live)
            self.run_on(live)
        else:
            self.enter(live, phase)
            self.attend([live])

    def run_on(self, live: LiveJob) -> None:
        """Wait for the end of a job whose process lives, and has its share of the quota.

        :param live: the job.
        """
        self.enter(live, Phase.RUNNING)
        live.let_go()
        live.unwatch = self.task.runs.watch(live.run, lambda: self.noticed(live))
        if self.task.timeout is not None:
            age = (datetime.now(UTC) - live.start_time).total_seconds()
            left = max(0.0, self.task.timeout - age)
            live.timers.append(asyncio.get_running_loop().call_later(left, self._expire, live))

    def _expire(self, live: LiveJob) -> None:
        if live.phase is Phase.RUNNING and self.task.timeout is not None:
            reason = timed_out(self.task.timeout)
            self.spawn(stop(self.task, self, live, reason, GRACE), live)

    def noticed(self, live: LiveJob) -> None:
        """Note that the process of a job may have ended.

        :param live: the job.
        """
        live.unwatch = None
        live.let_go()
        self.enter(live, Phase.ENDED)
        self.attend([live])

    def wait_again(self, live: LiveJob, delay: float) -> None:
        """Have a job launched again.

        :param live: the job, of which nothing is left but its record.
        :param delay: after how many seconds.
        """
        live.again = True
        live.not_before = time.monotonic() + delay
        self.enter(live, Phase.WAITING)
        if not self.task.synchronous:  # there, whoever launched it waits for it
            self.task.retry_later(live.job, delay)

    async def finished(self, live: LiveJob, record: Mapping[str, Any]) -> None:
        """Forget a job.

        :param live: the job, of which everything is recorded and nothing is left.
        :param record: how it ended.
        """
        self.drop(live)
        if not record["success"]:
            if self.task.done is None:
                self.unmarked.add(live.job)
            if self.task.runtime is not None:
                await self.task.runtime.failed(self.task, live.job, record)
        self.task.wake()

    def drop(self, live: LiveJob) -> None:
        """Look after a job no longer.

        :param live: the job.
        """
        live.let_go()
        live.over.set()
        self.unrecorded -= live.phase is Phase.ENDED
        if self.live.get(live.job) is live:
            del self.live[live.job]

    def count(self, live: LiveJob) -> None:
        """Note that a job has its share of the quota.

        :param live: the job.
        """
        live.counted = True
        self.counted += 1
        self.task.runs.hold(live.run, self.task.job_resources)

    async def give_back(self, live: LiveJob) -> None:
        """Give back a job's share of the quota, unless that has been done.

        :param live: the job.
        """
        if live.counted:
            live.counted = False
            self.counted -= 1
            live.leave_machine()
            await self.task.resource_manager.relinquish(self.task.job_resources.without_launches())

    async def take_back(self, live: LiveJob) -> None:
        """Count a job's share of the quota again, since its process lives after all.

        :param live: the job.
        """
        if not live.counted:
            self.count(live)
            await self.task.resource_manager.flush()

    # -- rounds ----------------------------------------------------------------------------------

    def attend(self, jobs: Collection[LiveJob]) -> None:
        """Record the ends of those jobs that have ended, where it is time to try.

        :param jobs: the jobs to look at.
        """
        now = time.monotonic()
        for live in jobs:
            if live.over.is_set() or live.ending:
                continue  # the caller's list may be older than the end of the job
            if live.phase is Phase.ENDED and now >= live.not_before:
                live.ending = True
                self._trying += 1
                self._quiet.clear()
                self.spawn(self._ender.end(live), live)

    async def look_after(self, jobs: Collection[LiveJob]) -> None:
        """Ask for the jobs of whose end nobody tells.

        :param jobs: the jobs to look at.
        """
        asked = [j for j in jobs if j.phase is Phase.RUNNING and j.unwatch is None]
        if not asked:
            return
        try:
            ended = await self.task.runs.poll([live.run for live in asked])
        except ProcessManagerError as e:
            if self._complaint != str(e):
                self._complaint = str(e)
                log.error("%s: nothing is known of its jobs: %s", self.task.name, e)
            return
        self._complaint = None
        for live in asked:
            if live.phase is Phase.RUNNING and live.run in ended:
                self.noticed(live)

    def tried(self, live: LiveJob) -> None:
        """Note that the end of a job is recorded, or was tried to be.

        :param live: the job.
        """
        live.ending = False
        self._trying -= 1
        if not self._trying:
            self._quiet.set()

    async def settle(self) -> None:
        """Wait until all that can be recorded now is."""
        await self._quiet.wait()
