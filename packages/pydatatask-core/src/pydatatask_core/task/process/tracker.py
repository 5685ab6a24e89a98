"""The jobs that a process task manages, and their transitions between phases."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import ProcessManagerError, TaskConfigurationError, TaskError
from pydatatask_core.repository.concurrency import read_many
from pydatatask_core.task.detached.recorder import KILLED
from pydatatask_core.task.detached.tracker import JobTracker

from .job import Phase, ProcessJob
from .leftovers import Leftovers
from .outcome import describe_timeout
from .output_archive import OutputArchive
from .recorder import ProcessRecorder
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
    recorder: ProcessRecorder

    def __init__(self, task: ProcessTask) -> None:
        super().__init__(task)
        self.unrecorded_failures: set[str] = set()
        """The failed jobs without a record of their failure."""
        self.leftovers = Leftovers(task)
        self.output_archive = OutputArchive(task)
        self.recorder = ProcessRecorder(task, self)
        self._adopt_lock = asyncio.Lock()
        self._last_poll_error: str | None = None

    def close(self) -> None:
        for tracked in self.jobs.values():
            tracked.release_host()
        self.leftovers.close()
        super().close()

    # -- launching and adoption ------------------------------------------------------------------

    def new_job(self, job: str) -> ProcessJob:
        return ProcessJob(job, request=self.task.job_resources)

    async def adopt(self) -> None:
        async with self._adopt_lock:
            if not self.adopted:
                await self.task.runs.load_namespace()
                if self.task.drives:
                    await adopt(self.task, self)
                self.adopted = True

    async def check_launch(self, job: str) -> None:
        """Raise an error if a job that is not tracked must not be launched.

        :raises ForeignRecordError: if its record names something that does not belong to it.
        :raises TaskConfigurationError: if it has failed, and there is no record of that.
        :raises TaskError: if another process runs it.
        """
        await self.check_not_quarantined(job)
        if job in self.unrecorded_failures and self.task.runtime is not None:
            raise TaskConfigurationError(
                f"{self.task.name}: job {job!r} has failed, and there is no record of that, so it "
                "would be launched forever; it is not launched again before the pipeline is "
                "reopened. Give the task a `done` repository"
            )
        if not self.task.drives and await self.task.pids.contains(job):
            raise TaskError(f"{self.task.name}: job {job!r} is running already, according to pids")

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
        if job not in self.quarantined:
            return
        if await self.task.pids.contains(job):
            raise self.quarantined[job]
        del self.quarantined[job]

    async def live_jobs(self) -> tuple[list[ProcessJob], int]:
        """Return the jobs whose launches may be recent, and how many hold a share of the quota."""
        await self.adopt()
        if self.task.drives:
            begun = (Phase.RUNNING, Phase.EXITED)
            jobs = [tracked for tracked in self.jobs.values() if tracked.phase in begun]
            return jobs, sum(tracked.holds_quota for tracked in self.jobs.values())
        names = await self.task.pids.keys()
        records, _ = await read_many(self.task.pids, names)  # a malformed record counts as live
        jobs = [ProcessJob(name) for name in names]
        for tracked in jobs:
            tracked.restore(records.get(tracked.job))
            tracked.set_age(None)
        return jobs, len(jobs)

    # -- phases ----------------------------------------------------------------------------------

    def track(self, tracked: ProcessJob, phase: Phase) -> None:
        """Start to manage a job.

        :param tracked: the job.
        :param phase: its phase.
        """
        self.jobs[tracked.job] = tracked
        if phase is Phase.RUNNING:
            self._hold_all(tracked)
            self.watch(tracked)
        else:
            self.set_phase(tracked, phase)
            self.record_exited([tracked])

    def watch(self, tracked: ProcessJob) -> None:
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

    async def terminate(self, tracked: ProcessJob, grace: float | None) -> None:
        seconds = GRACE_SECONDS if grace is None else grace
        await terminate(self.task, self, tracked, KILLED, seconds)

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

    # -- quota -----------------------------------------------------------------------------------

    def _hold_all(self, tracked: ProcessJob) -> None:
        """Count a job's share of the quota and of its machine, which no launch has reserved."""
        self.hold_quota(tracked)
        self.task.backend.reserve_host(tracked.run, tracked.request)

    async def release_quota(self, tracked: ProcessJob) -> None:
        tracked.release_host()
        await super().release_quota(tracked)

    async def reacquire_quota(self, tracked: ProcessJob) -> None:
        """Count a job's share of the quota again, because its process is still alive.

        :param tracked: the job.
        """
        if not tracked.holds_quota:
            self._hold_all(tracked)
            await self.task.quota.flush()

    # -- rounds ----------------------------------------------------------------------------------

    async def poll(self, jobs: Collection[ProcessJob]) -> bool:
        await self.poll_unwatched(jobs)
        for tracked in jobs:
            if tracked.handle_unsaved and tracked.phase is Phase.RUNNING:
                await self.save_handle(tracked)
        return False

    async def save_handle(self, tracked: ProcessJob) -> None:
        """Write the handle of a process to the record, if the process is found only by it.

        :param tracked: the running job; ``handle_unsaved`` is set if the store fails.
        """
        try:
            await self.task.pids.dump(tracked.job, tracked.live_record())
            tracked.handle_unsaved = False
        except Exception:
            tracked.handle_unsaved = True
            log.exception(
                "%s: the process of job %s could not be recorded, and would be lost if this "
                "process ended now; retrying",
                self.task.name,
                tracked.job,
            )

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
