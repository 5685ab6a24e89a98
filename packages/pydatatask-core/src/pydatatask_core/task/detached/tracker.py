"""Tracking of jobs that run elsewhere and outlive the driver, until their outcome is recorded.

A task with such jobs finds those of an earlier driver, is notified when one ends, records outcomes
concurrently, and retries after failures.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydatatask_core.resource_manager import Resources

from .phase import Phase

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine, Mapping

    from pydatatask_core.errors import ForeignRecordError
    from pydatatask_core.repository.base import Repository

    from .recorder import OutcomeRecorder
    from .task import DetachedTask

__all__ = ["MAX_RETRY_DELAY_SECONDS", "JobTracker", "Phase", "TrackedJob"]

log = logging.getLogger("pydatatask.task")

_FIRST_RETRY_DELAY_SECONDS = 0.5
MAX_RETRY_DELAY_SECONDS = 60.0
"""The maximum delay before a retry, if no policy specifies another one."""


@dataclass(slots=True, eq=False)
class TrackedJob:
    """A job that is launching, running, waiting for a retry, or not recorded yet.

    :param job: the job.
    """

    job: str
    phase: Phase = field(default=Phase.LAUNCHING, kw_only=True)
    attempt: int = field(default=1, kw_only=True)
    """The number of the attempt, counted from 1 at the first launch."""
    request: Resources = field(default_factory=Resources, kw_only=True)
    """Its share of the quota."""
    holds_quota: bool = field(default=False, kw_only=True)
    """True if it holds a share of the quota."""
    recording: bool = field(default=False, kw_only=True)
    """True while its outcome is being recorded."""
    failures: int = field(default=0, kw_only=True)
    """The number of consecutive failures to record its outcome or to start it."""
    not_before: float = field(default=0.0, kw_only=True)
    """The monotonic time before which this is not retried."""
    is_final_attempt: bool = field(default=False, kw_only=True)
    """True if a failure of this attempt is final, because the job was killed."""
    cancelled: bool = field(default=False, kw_only=True)
    """True if the job was killed while it waited for a retry."""
    record: dict[str, Any] | None = field(default=None, kw_only=True)
    """The record of its outcome, once it is written."""
    decided: bool = field(default=False, kw_only=True)
    """True if its outcome is recorded, or will not be: its remains have only to be deleted."""
    has_stopped: bool = field(default=True, kw_only=True)
    """False if it is known to be running although its outcome is known."""
    launched: asyncio.Event = field(default_factory=asyncio.Event, kw_only=True)
    """Set unless it is being launched."""
    finished: asyncio.Event = field(default_factory=asyncio.Event, kw_only=True)
    """Set when the job needs no further handling."""

    @property
    def maybe_started(self) -> bool:
        """True if a launch that raised may have started the job."""
        raise NotImplementedError

    @property
    def is_retry(self) -> bool:
        """True if it waits again after a launch that failed, instead of being forgotten."""
        raise NotImplementedError

    @property
    def awaits_retry(self) -> bool:
        """True if it is not running and will be launched again."""
        return self.phase is Phase.WAITING

    def begin_attempt(self) -> None:
        """Reset the state of the previous attempt, before the next launch."""
        self.decided, self.record = False, None

    def cancel(self) -> None:
        """Replace the retry that it waits for by a record that it was killed."""
        self.cancelled, self.decided, self.not_before = True, False, 0.0

    def next_delay(self, first_delay: float) -> float:
        """Count a failure, and return the delay before the next try in seconds.

        :param first_delay: the delay after the first failure, in seconds.
        """
        self.failures += 1
        return float(min(first_delay * 2 ** min(self.failures - 1, 16), MAX_RETRY_DELAY_SECONDS))

    def stop_watching(self) -> None:
        """Cancel the exit notification and the timers of the job."""

    def finish(self) -> None:
        """Mark the job as needing no further handling."""
        self.stop_watching()
        self.launched.set()
        self.finished.set()


J = TypeVar("J", bound=TrackedJob)


class JobTracker(ABC, Generic[J]):
    """The unfinished jobs of a task, while one pipeline is open.

    A subclass sets :attr:`recorder`.

    :param task: the task.
    """

    recorder: OutcomeRecorder[J, Any]

    def __init__(self, task: DetachedTask[J]) -> None:
        self.task = task
        self.jobs: dict[str, J] = {}
        self.adopted = False
        """Whether the jobs of an earlier driver are known, so that :meth:`adopt` does nothing."""
        self.stopped: set[str] = set()
        """The tracked jobs that have stopped running, and are not launched again yet."""
        self.quarantined: dict[str, ForeignRecordError] = {}
        """The jobs whose records name something that does not belong to them."""
        self._exited_count = 0
        self._background_tasks: set[asyncio.Task[None]] = set()
        self._recording_count = 0
        self._all_recorded = asyncio.Event()
        self._all_recorded.set()

    @property
    def pending_records(self) -> int:
        """The number of ended jobs whose outcome is not recorded yet.

        Jobs whose outputs are still being checked do not count.
        """
        return self._exited_count - len(self.task.output_check.checking)

    # -- differences between kinds of jobs -------------------------------------------------------

    @abstractmethod
    def new_job(self, job: str) -> J:
        """Create the state of a job that is being launched.

        :param job: the job.
        """

    @abstractmethod
    async def adopt(self) -> None:
        """Find the jobs of an earlier driver, if this process drives them, and set `adopted`."""

    async def check_launch(self, job: str) -> None:
        """Raise an error if a job that is not tracked must not be launched.

        :param job: the job.
        """

    @abstractmethod
    async def poll(self, jobs: Collection[J]) -> bool:
        """Do the periodic work for jobs, such as looking for those that have ended unnoticed.

        :param jobs: the jobs.
        :return: True if a change is expected although no job may be tracked.
        """

    @abstractmethod
    def watch(self, tracked: J) -> None:
        """Move a job to ``RUNNING``, and record its outcome when it has ended.

        :param tracked: the job.
        """

    def watch_unexpected(self, tracked: J) -> None:
        """Watch a job that may run although its launch raised.

        :param tracked: the job.
        """
        self.watch(tracked)

    @abstractmethod
    async def terminate(self, tracked: J, grace: float | None) -> None:
        """Terminate a running job because a caller asked for it.

        :param tracked: the job.
        :param grace: the seconds after which it is killed; None for the default.
        """

    def close(self) -> None:
        """Stop managing the jobs. They continue, and are found again by the next driver."""
        for task in self._background_tasks:
            task.cancel()
        for tracked in self.jobs.values():
            tracked.finish()
        self.jobs.clear()

    def spawn(self, coroutine: Coroutine[Any, Any, None], tracked: J) -> None:
        """Run a coroutine for a job in the background.

        :param coroutine: the coroutine; it handles its own failures.
        :param tracked: the job.
        """
        name = f"pydatatask {self.task.name} {tracked.job}"
        if self.task.runtime is not None:
            return self.task.runtime.spawn(coroutine, name)
        task = asyncio.create_task(coroutine, name=name)
        self._background_tasks.add(task)
        task.add_done_callback(self._background_tasks.discard)

    # -- phases ----------------------------------------------------------------------------------

    def set_phase(self, tracked: J, phase: Phase) -> None:
        """Move the job to a phase; no-op if it has finished.

        :param tracked: the job.
        :param phase: the phase.
        """
        if not tracked.finished.is_set():
            self._exited_count += (phase is Phase.EXITED) - (tracked.phase is Phase.EXITED)
            tracked.phase = phase
            if phase is Phase.LAUNCHING:
                self.stopped.discard(tracked.job)
                tracked.launched.clear()
            else:
                tracked.launched.set()

    def schedule_retry(self, tracked: J, delay: float) -> None:
        """Schedule another launch of a job.

        :param tracked: the job, which has no running process.
        :param delay: the delay in seconds.
        """
        tracked.not_before = time.monotonic() + delay
        self.set_phase(tracked, Phase.WAITING)
        if not self.task.synchronous:  # else the caller of `launch` waits for the retry
            self.task.retry_later(tracked.job, delay)

    async def complete(self, tracked: J, record: Mapping[str, Any] | None) -> None:
        """Stop tracking a job, and report its failure.

        :param tracked: the job, whose outcome is recorded.
        :param record: its ``done`` record, to report a failure; None to report nothing.
        """
        self.untrack(tracked)
        if record is not None and not record["success"] and self.task.runtime is not None:
            await self.task.runtime.failed(self.task, tracked.job, record)
        self.task.wake()

    def untrack(self, tracked: J) -> None:
        """Stop managing a job.

        :param tracked: the job.
        """
        if tracked.finished.is_set():
            return  # it was deleted while its outcome was being recorded, or the other way round
        tracked.finish()
        self._exited_count -= tracked.phase is Phase.EXITED
        if self.jobs.get(tracked.job) is tracked:
            del self.jobs[tracked.job]
            self.stopped.discard(tracked.job)

    # -- quota -----------------------------------------------------------------------------------

    def hold_quota(self, tracked: J) -> None:
        """Count a job's share of the quota, which a reservation or a report of usage includes.

        :param tracked: the job.
        """
        tracked.holds_quota = True
        self.stopped.discard(tracked.job)

    async def release_quota(self, tracked: J) -> None:
        """Release a job's share of the quota, and its slot of ``concurrency``, for another job.

        :param tracked: the job, which has stopped.
        """
        is_known = tracked.job in self.stopped
        if not tracked.finished.is_set():
            self.stopped.add(tracked.job)
        if tracked.holds_quota:
            tracked.holds_quota = False
            await self.task.quota.relinquish(tracked.request.without_launches())
        elif not is_known:  # it was found after its end
            self.task.wake()

    # -- recording -------------------------------------------------------------------------------

    def record_exited(self, jobs: Collection[J]) -> None:
        """Start recording the ended jobs whose retry delay is over.

        :param jobs: the jobs to check.
        """
        now = time.monotonic()
        for tracked in jobs:
            if tracked.finished.is_set() or tracked.recording:
                continue  # the caller's list may be outdated
            if tracked.phase is Phase.EXITED and now >= tracked.not_before:
                tracked.recording = True
                self._begin_recording()
                self.spawn(self.try_to_record(tracked), tracked)

    async def try_to_record(self, tracked: J) -> None:
        """Record the outcome of a job, or schedule another try with a growing delay.

        :param tracked: the job.
        """
        try:
            await self.recorder.record(tracked)
        except Exception as e:  # noqa: BLE001 - logged, and retried
            if tracked.phase is Phase.TERMINATING:
                self.set_phase(tracked, Phase.EXITED)
            delay = tracked.next_delay(_FIRST_RETRY_DELAY_SECONDS)
            tracked.not_before = time.monotonic() + delay
            asyncio.get_running_loop().call_later(delay, self.record_exited, [tracked])
            log.error(
                "%s: the outcome of job %s could not be recorded; its data is kept; next try in "
                "%.1f s: %s",
                *(self.task.name, tracked.job, delay, e),
                extra={"task": self.task.name, "job": tracked.job},
            )
        finally:
            tracked.recording = False
            self._end_recording()

    def _begin_recording(self) -> None:
        self._recording_count += 1
        self._all_recorded.clear()

    def _end_recording(self) -> None:
        self._recording_count -= 1
        if not self._recording_count:
            self._all_recorded.set()

    async def missing_outputs(self, tracked: J, written: Collection[Repository]) -> list[str]:
        """Return the names of the required outputs that a successful job has not written.

        While this waits for them, other jobs are recorded, and nothing waits for this one.

        :param tracked: the job.
        :param written: the repositories that the task itself writes.
        :raises Exception: if a store cannot be read.
        """
        check = self.task.output_check
        required = self.task.required_outputs
        outputs = {
            name: repo
            for name, repo in required.items()
            if not any(repo is repository for repository in written)
        }
        missing = await check.missing(tracked.job, outputs) if outputs else {}
        if missing:
            self._end_recording()
            try:
                missing = await check.still_missing(tracked.job, missing)
            finally:
                self._begin_recording()
        return list(missing)

    async def wait_recorded(self) -> None:
        """Wait until all outcomes that can be recorded now are recorded."""
        await self._all_recorded.wait()
