"""The jobs of a process task that this driver manages."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydatatask_core.proc_manager.process import ProcessRun
from pydatatask_core.task.detached.tracker import Phase, TrackedJob

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["Phase", "ProcessJob"]


_NOWHERE = Path("/nonexistent")


@dataclass(slots=True, eq=False)
class ProcessJob(TrackedJob):
    """An unfinished job of a process task.

    :param job: the job.
    :param run: its run directory, once it has one.
    """

    run: ProcessRun = field(default_factory=lambda: ProcessRun(_NOWHERE, ""))
    start_time: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_at: float | None = None
    """The monotonic time at which its process started, if known."""
    exit_seen_at: float | None = None
    """The monotonic time at which the end of its process was noticed."""
    retry_at: datetime | None = None
    """The time of its next launch, if its record contains it."""
    last_error: str | None = None
    """Why the last attempt failed."""
    may_have_process: bool = False
    """True if its launch may have started a process."""
    has_record: bool = False
    """True if it was launched before, so that it has a record already."""
    cleanup_failed: bool = False
    """True if a launch failed and could not be undone."""
    handle_unsaved: bool = False
    """True if its record lacks the handle needed to find the process again."""
    has_note: bool = False
    """True if there is a note with the number of its earlier attempts."""
    keeps_directory: bool = False
    """True if its run directory has output that could not be held back elsewhere."""
    unwatch: Callable[[], None] | None = None
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    total_attempts: int = 1
    """The number of attempts of all drivers, once it was looked up."""

    @property
    def maybe_started(self) -> bool:
        return self.may_have_process

    @property
    def is_retry(self) -> bool:
        return self.has_record or self.cleanup_failed

    def begin_attempt(self) -> None:
        TrackedJob.begin_attempt(self)  # super() refers to the class before @dataclass added slots
        self.cleanup_failed = self.may_have_process = False

    def live_record(self) -> dict[str, Any]:
        """Return the ``pids`` record of the job."""
        record: dict[str, Any] = {
            "handle": str(self.run.directory),
            "host": self.run.host,
            "attempt": self.attempt,
            "start_time": self.start_time,
        }
        if self.run.handle is not None:
            record["pid"] = self.run.handle
        if self.retry_at is not None:
            record["retry_time"] = self.retry_at
            record["reason"] = self.last_error
        return record

    def restore(self, record: Any) -> None:
        """Restore the state from a ``pids`` record; missing fields stay unchanged.

        :param record: the record, of any origin.
        """
        if not isinstance(record, dict):
            return
        attempt, start = record.get("attempt"), record.get("start_time")
        if isinstance(attempt, int) and attempt > 0:
            self.attempt = attempt
        if isinstance(start, datetime):
            self.start_time = start if start.tzinfo is not None else start.replace(tzinfo=UTC)
        waiting = record.get("retry_time")
        if isinstance(waiting, datetime):
            self.retry_at = waiting if waiting.tzinfo else waiting.replace(tzinfo=UTC)
            self.last_error = str(record.get("reason"))

    def set_age(self, age: float | None) -> None:
        """Set how long its process has been running.

        :param age: the age in seconds, or None to compute it from the recorded start time.
        """
        if age is None:
            age = max(0.0, (datetime.now(UTC) - self.start_time).total_seconds())
        self.started_at = time.monotonic() - age

    @property
    def run_seconds(self) -> float | None:
        """The duration of its process in seconds, or slightly more; None if not known."""
        return (
            None
            if self.started_at is None or self.exit_seen_at is None
            else self.exit_seen_at - self.started_at
        )

    def count_attempts(self, note: str | None) -> int:
        """Count this attempt and the earlier ones, including those before ``done`` was deleted.

        :param note: the attempt note of an earlier failed attempt, or of this one.
        """
        count, _, run = (note or "").partition(" ")
        if not count.isdecimal():
            return self.attempt
        return int(count) if run == self._launched_at else int(count) + self.attempt

    def attempt_note(self) -> str:
        """Return the note for the next attempt; writing it twice has no further effect."""
        return f"{self.total_attempts} {self._launched_at}"

    @property
    def _launched_at(self) -> str:
        return self.start_time.astimezone(UTC).isoformat()

    def release_host(self) -> None:
        """Release the share of its machine, if the jobs run on several."""
        if self.run.release_host is not None:
            self.run.release_host()
            self.run.release_host = None

    def stop_watching(self) -> None:
        if self.unwatch is not None:
            self.unwatch()
            self.unwatch = None
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()
