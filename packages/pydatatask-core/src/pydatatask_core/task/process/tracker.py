"""The jobs that a process task manages, and their transitions between phases."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.task.detached.tracker import JobTracker

from .job import Phase, ProcessJob
from .leftovers import Leftovers
from .outcome import describe_timeout
from .output_archive import OutputArchive
from .recorder import OutcomeRecorder
from .recover import adopt
from .termination import GRACE_SECONDS, terminate

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pydatatask_core.errors import ForeignRecordError

    from .task import ProcessTask

__all__ = ["ProcessTracker"]

log = logging.getLogger("pydatatask.task")


class ProcessTracker(JobTracker[ProcessJob]):
    """The unfinished jobs of a process task.

    :param task: the task.
    """

    task: ProcessTask

    def __init__(self, task: ProcessTask) -> None:
        super().__init__(task)
        self.quota_count = 0
        """The number of processes that hold quota."""
        self.unrecorded_failures: set[str] = set()
        """The failed jobs without a record of their failure."""
        self.quarantined: dict[str, ForeignRecordError] = {}
        """The jobs whose records name something that does not belong to them."""
        self.leftovers = Leftovers(task)
        self.output_archive = OutputArchive(task)
        self._recorder = OutcomeRecorder(task, self)
        self._adopted = False
        self._adopt_lock = asyncio.Lock()
        self._last_poll_error: str | None = None

    def close(self) -> None:
        for tracked in self.jobs.values():
            tracked.release_host()
        self.leftovers.close()
        super().close()

    async def record_outcome(self, tracked: ProcessJob) -> None:
        await self._recorder.record(tracked)

    async def record_killed(self, tracked: ProcessJob) -> None:
        """Record that a job was killed that has no process of this driver.

        :param tracked: the job, which waits for a retry.
        """
        await self._recorder.record_killed(tracked)

    async def adopt(self) -> None:
        """Find the jobs of an earlier driver; only once, and only if this process drives them."""
        if self._adopted or not self.task.is_driver:
            return
        async with self._adopt_lock:
            if not self._adopted:
                await adopt(self.task, self)
                self._adopted = True

    def quarantine(self, job: str, error: ForeignRecordError) -> None:
        """Leave a job alone because its record names something that does not belong to it.

        :param job: the job.
        :param error: the error that names it.
        """
        self.quarantined[job] = error
        log.error("%s", error, extra={"task": self.task.name, "job": job})

    async def check_not_quarantined(self, job: str) -> None:
        """Raise an error if the record of a job names something that does not belong to it.

        :param job: the job.
        :raises ForeignRecordError: if it does and was not deleted since.
        """
        if job in self.quarantined and await self.task.pids.contains(job):
            raise self.quarantined[job]
        self.quarantined.pop(job, None)

    # -- phases ----------------------------------------------------------------------------------

    def track(self, tracked: ProcessJob, phase: Phase) -> None:
        """Start to manage a job.

        :param tracked: the job.
        :param phase: its phase.
        """
        self.jobs[tracked.job] = tracked
        if phase is Phase.RUNNING:
            self.hold_quota(tracked)
            self.watch(tracked)
        else:
            self.set_phase(tracked, phase)
            self.record_exited([tracked])

    def watch(self, tracked: ProcessJob) -> None:
        """Wait for the end of a job with a live process, which holds its quota.

        :param tracked: the job.
        """
        self.set_phase(tracked, Phase.RUNNING)
        tracked.stop_watching()
        tracked.unwatch = self.task.backend.watch(tracked.run, lambda: self.on_exit(tracked))
        if self.task.timeout is not None:
            if tracked.started_at is None:
                tracked.set_age(None)
            age = time.monotonic() - (tracked.started_at or 0.0)
            remaining = max(0.0, self.task.timeout - age)
            tracked.timers.append(
                asyncio.get_running_loop().call_later(remaining, self._on_timeout, tracked)
            )

    def _on_timeout(self, tracked: ProcessJob) -> None:
        if tracked.phase is Phase.RUNNING and self.task.timeout is not None:
            reason = describe_timeout(self.task.timeout)
            self.spawn(terminate(self.task, self, tracked, reason, GRACE_SECONDS), tracked)

    def on_exit(self, tracked: ProcessJob) -> None:
        """Handle that the process of a job may have ended.

        :param tracked: the job.
        """
        tracked.unwatch = None
        tracked.stop_watching()
        tracked.exit_seen_at = time.monotonic()
        self.set_phase(tracked, Phase.EXITED)
        self.record_exited([tracked])

    def schedule_retry(self, tracked: ProcessJob, delay: float) -> None:
        tracked.has_record = True
        super().schedule_retry(tracked, delay)

    async def complete(self, tracked: ProcessJob, record: Mapping[str, Any] | None) -> None:
        if record is not None and not record["success"] and self.task.done is None:
            self.unrecorded_failures.add(tracked.job)
        await super().complete(tracked, record)

    def hold_quota(self, tracked: ProcessJob) -> None:
        """Count a job's share of the quota.

        :param tracked: the job.
        """
        tracked.holds_quota = True
        self.quota_count += 1
        self.task.backend.reserve_host(tracked.run, self.task.job_resources)

    async def release_quota(self, tracked: ProcessJob) -> None:
        """Release a job's share of the quota, if it is held.

        :param tracked: the job.
        """
        if tracked.holds_quota:
            tracked.holds_quota = False
            self.quota_count -= 1
            tracked.release_host()
            await self.task.resource_manager.relinquish(self.task.job_resources.without_launches())

    async def reacquire_quota(self, tracked: ProcessJob) -> None:
        """Count a job's share of the quota again, because its process is still alive.

        :param tracked: the job.
        """
        if not tracked.holds_quota:
            self.hold_quota(tracked)
            await self.task.resource_manager.flush()

    # -- rounds ----------------------------------------------------------------------------------

    async def poll_unwatched(self, jobs: Collection[ProcessJob]) -> None:
        """Poll the running jobs that have no exit notification.

        :param jobs: the jobs to check.
        """
        asked = [j for j in jobs if j.phase is Phase.RUNNING and j.unwatch is None]
        if not asked:
            return
        try:
            ended = await self.task.backend.exited([tracked.run for tracked in asked])
        except ProcessManagerError as e:
            if self._last_poll_error != str(e):
                self._last_poll_error = str(e)
                log.error("%s: the state of its jobs cannot be determined: %s", self.task.name, e)
            return
        self._last_poll_error = None
        for tracked in asked:
            if tracked.phase is Phase.RUNNING and tracked.run in ended:
                self.on_exit(tracked)
