"""All jobs that a process task looks after, and the ways from one of their phases to the next."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.task.flight import JobsInFlight

from .adoption import adopt
from .ending import Ender
from .held import HeldOutput
from .leftovers import Leftovers
from .live import LiveJob, Phase
from .outcome import timed_out
from .stopping import GRACE, stop

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pydatatask_core.errors import ForeignRecordError
    from pydatatask_core.task.process import ProcessTask

__all__ = ["Jobs"]

log = logging.getLogger("pydatatask.task")


class Jobs(JobsInFlight[LiveJob]):
    """The jobs of a process task that are in flight.

    :param task: whose jobs.
    """

    task: ProcessTask

    def __init__(self, task: ProcessTask) -> None:
        super().__init__(task)
        self.counted = 0
        """How many processes have a share of the quota."""
        self.unmarked: set[str] = set()
        """The jobs that have failed, which nothing but this tells."""
        self.held: dict[str, ForeignRecordError] = {}
        """The jobs whose records name something that is not theirs."""
        self.leftovers = Leftovers(task)
        self.held_output = HeldOutput(task)
        self._ender = Ender(task, self)
        self._adopted = False
        self._adopting = asyncio.Lock()
        self._complaint: str | None = None

    def close(self) -> None:
        for live in self.live.values():
            live.leave_machine()
        self.leftovers.close()
        super().close()

    async def record_end(self, live: LiveJob) -> None:
        await self._ender.end(live)

    async def record_killed(self, live: LiveJob) -> None:
        """Record that a job was killed that no process of this driver has.

        :param live: the job, which waits for another attempt.
        """
        await self._ender.record_killed(live)

    async def adopt(self) -> None:
        """Find the jobs that an earlier driver left behind; once, and only to drive them."""
        if self._adopted or not self.task.drives:
            return
        async with self._adopting:
            if not self._adopted:
                await adopt(self.task, self)
                self._adopted = True

    def hold(self, job: str, error: ForeignRecordError) -> None:
        """Leave a job alone, because its record names something that is not the job's.

        :param job: the job.
        :param error: what the record names.
        """
        self.held[job] = error
        log.error("%s", error, extra={"task": self.task.name, "job": job})

    async def check_not_held(self, job: str) -> None:
        """Raise an error if the record of a job names something that is not the job's.

        :param job: the job.
        :raises ForeignRecordError: if it does and was not deleted since.
        """
        if job in self.held and await self.task.pids.contains(job):
            raise self.held[job]
        self.held.pop(job, None)

    # -- phases ----------------------------------------------------------------------------------

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
            if live.began is None:
                live.set_age(None)
            age = time.monotonic() - (live.began or 0.0)
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
        live.ended = time.monotonic()
        self.enter(live, Phase.ENDED)
        self.attend([live])

    def wait_again(self, live: LiveJob, delay: float) -> None:
        live.again = True
        super().wait_again(live, delay)

    async def finished(self, live: LiveJob, record: Mapping[str, Any] | None) -> None:
        if record is not None and not record["success"] and self.task.done is None:
            self.unmarked.add(live.job)
        await super().finished(live, record)

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
