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
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine, Mapping

    from pydatatask_core.repository.base import Repository
    from pydatatask_core.task.base import Task

__all__ = ["MAX_RETRY_DELAY_SECONDS", "JobTracker", "Phase", "TrackedJob"]

log = logging.getLogger("pydatatask.task")

_FIRST_RETRY_DELAY_SECONDS = 0.5
MAX_RETRY_DELAY_SECONDS = 60.0
"""The maximum delay before a retry, if no policy specifies another one."""


class Phase(Enum):
    """The phase of a job."""

    LAUNCHING = "launching"
    RUNNING = "running"
    EXITED = "ended"
    """It has ended, or was cancelled, and its outcome is not completely recorded yet."""
    TERMINATING = "leaving"
    """Its outcome is recorded, and the resource that ran it is still being deleted."""
    WAITING = "waiting"
    """It waits to be launched again."""


@dataclass(slots=True, eq=False)
class TrackedJob:
    """A job that is launching, running, waiting for a retry, or not recorded yet.

    :param job: the job.
    """

    job: str
    phase: Phase = field(default=Phase.LAUNCHING, kw_only=True)
    holds_quota: bool = field(default=False, kw_only=True)
    """True if it holds a share of the quota."""
    recording: bool = field(default=False, kw_only=True)
    """True while its outcome is being recorded."""
    failures: int = field(default=0, kw_only=True)
    """The number of consecutive failures to record its outcome or to start it."""
    not_before: float = field(default=0.0, kw_only=True)
    """The monotonic time before which this is not retried."""
    finished: asyncio.Event = field(default_factory=asyncio.Event, kw_only=True)
    """Set when the job needs no further handling."""

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
        self.finished.set()


J = TypeVar("J", bound=TrackedJob)


class JobTracker(ABC, Generic[J]):
    """The unfinished jobs of a task, while one pipeline is open.

    :param task: the task.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.jobs: dict[str, J] = {}
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

    @abstractmethod
    async def record_outcome(self, tracked: J) -> None:
        """Record the outcome of a job as far as possible; an exception causes a retry.

        :param tracked: the job, which has ended.
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
            await self.record_outcome(tracked)
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
