"""Jobs in flight: what runs elsewhere and outlives the driver, looked after until it is recorded.

A task of such jobs finds those that an earlier driver left, is told when one ends, records that
beside everything else, and tries again what it could not record or what is to be retried.
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
"""Seconds after which what failed is tried again at the latest, if no policy says otherwise."""


class Phase(Enum):
    """How far a job is."""

    LAUNCHING = "launching"
    RUNNING = "running"
    EXITED = "ended"
    """It is over, or is to be, and not all of that is recorded yet."""
    TERMINATING = "leaving"
    """All of that is recorded, and what ran it has to go first."""
    WAITING = "waiting"
    """It is to be launched again."""


@dataclass(slots=True, eq=False)
class TrackedJob:
    """A job that is launched, runs, waits for another attempt, or is not recorded yet.

    :param job: the job.
    """

    job: str
    phase: Phase = field(default=Phase.LAUNCHING, kw_only=True)
    holds_quota: bool = field(default=False, kw_only=True)
    """Whether it has a share of the quota."""
    recording: bool = field(default=False, kw_only=True)
    """Whether its end is being recorded right now."""
    failures: int = field(default=0, kw_only=True)
    """How often in a row its end could not be recorded, or it could not be started."""
    not_before: float = field(default=0.0, kw_only=True)
    """When (monotonic) to try that again."""
    finished: asyncio.Event = field(default_factory=asyncio.Event, kw_only=True)
    """Set when nothing more is to be done about it."""

    def next_delay(self, first_delay: float) -> float:
        """Give the delay after one more failure.

        :param first_delay: the first delay.
        """
        self.failures += 1
        return float(min(first_delay * 2 ** min(self.failures - 1, 16), MAX_RETRY_DELAY_SECONDS))

    def stop_watching(self) -> None:
        """Stop being told of its end, and looking at the clock."""

    def finish(self) -> None:
        """Note that nothing more is to be done about it."""
        self.stop_watching()
        self.finished.set()


J = TypeVar("J", bound=TrackedJob)


class JobTracker(ABC, Generic[J]):
    """All jobs of a task that are in flight, for as long as one pipeline is open.

    :param task: whose jobs.
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
        """How many jobs have ended and could not be recorded yet.

        Those whose outputs are still being looked for do not count.
        """
        return self._exited_count - len(self.task.output_check.checking)

    @abstractmethod
    async def record_outcome(self, tracked: J) -> None:
        """Record the end of a job as far as possible; if this raises it is tried again.

        :param tracked: the job, which has ended.
        """

    def close(self) -> None:
        """Stop looking after the jobs. What runs goes on, and is found again."""
        for task in self._background_tasks:
            task.cancel()
        for tracked in self.jobs.values():
            tracked.finish()
        self.jobs.clear()

    def spawn(self, coroutine: Coroutine[Any, Any, None], tracked: J) -> None:
        """Do something for a job beside everything else.

        :param coroutine: what to do; it handles its own failures.
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
        """Have a job in a phase, unless it is done with.

        :param tracked: the job.
        :param phase: the phase.
        """
        if not tracked.finished.is_set():
            self._exited_count += (phase is Phase.EXITED) - (tracked.phase is Phase.EXITED)
            tracked.phase = phase

    def schedule_retry(self, tracked: J, delay: float) -> None:
        """Have a job launched again.

        :param tracked: the job, of which nothing runs any more.
        :param delay: after how many seconds.
        """
        tracked.not_before = time.monotonic() + delay
        self.set_phase(tracked, Phase.WAITING)
        if not self.task.synchronous:  # there, whoever launched it waits for it
            self.task.retry_later(tracked.job, delay)

    async def complete(self, tracked: J, record: Mapping[str, Any] | None) -> None:
        """Forget a job.

        :param tracked: the job, of which everything is recorded.
        :param record: how it ended; None if that is nobody's business.
        """
        self.untrack(tracked)
        if record is not None and not record["success"] and self.task.runtime is not None:
            await self.task.runtime.failed(self.task, tracked.job, record)
        self.task.wake()

    def untrack(self, tracked: J) -> None:
        """Look after a job no longer.

        :param tracked: the job.
        """
        if tracked.finished.is_set():
            return  # it was deleted while its end was being recorded, or the other way round
        tracked.finish()
        self._exited_count -= tracked.phase is Phase.EXITED
        if self.jobs.get(tracked.job) is tracked:
            del self.jobs[tracked.job]

    # -- recording -------------------------------------------------------------------------------

    def record_exited(self, jobs: Collection[J]) -> None:
        """Record the ends of those jobs that have ended, where it is time to try.

        :param jobs: the jobs to look at.
        """
        now = time.monotonic()
        for tracked in jobs:
            if tracked.finished.is_set() or tracked.recording:
                continue  # the caller's list may be older than the end of the job
            if tracked.phase is Phase.EXITED and now >= tracked.not_before:
                tracked.recording = True
                self._begin_recording()
                self.spawn(self.try_to_record(tracked), tracked)

    async def try_to_record(self, tracked: J) -> None:
        """Record the end of a job, or have it tried again later, less and less often.

        :param tracked: the job.
        """
        try:
            await self.record_outcome(tracked)
        except Exception as e:  # noqa: BLE001 - told of, and tried again
            if tracked.phase is Phase.TERMINATING:
                self.set_phase(tracked, Phase.EXITED)
            delay = tracked.next_delay(_FIRST_RETRY_DELAY_SECONDS)
            tracked.not_before = time.monotonic() + delay
            asyncio.get_running_loop().call_later(delay, self.record_exited, [tracked])
            log.error(
                "%s: the end of job %s could not be recorded; what it left is kept and it is "
                "tried again in %.1f s: %s",
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
        """Return the names of the required outputs that a job lacks that ended well.

        While they are looked for again, other jobs go on, and nothing waits for this one.

        :param tracked: the job.
        :param written: the repositories that the task itself writes.
        :raises Exception: if a store could not be read.
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
        """Wait until all that can be recorded now is."""
        await self._all_recorded.wait()
