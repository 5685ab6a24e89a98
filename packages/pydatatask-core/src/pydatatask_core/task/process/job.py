"""The jobs of a process task that this driver looks after."""

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
    """A job of a process task that is in flight.

    :param job: the job.
    :param run: its run directory, once it has one.
    :param attempt: which attempt it is, counted from 1 when it was first launched.
    """

    run: ProcessRun = field(default_factory=lambda: ProcessRun(_NOWHERE, ""))
    attempt: int = 1
    start_time: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_at: float | None = None
    """When (monotonic) its process began, if that is known."""
    exit_seen_at: float | None = None
    """When (monotonic) the end of its process was noticed."""
    retry_at: datetime | None = None
    """When it is to be launched again, if that is noted in its record."""
    conflict: str | None = None
    """Why its outputs must not be published, if another task has published there."""
    last_error: str | None = None
    """Why the last attempt failed."""
    maybe_started: bool = False
    """Whether a process may have come to life."""
    is_final_attempt: bool = False
    """Whether a failure of this attempt is final, because the job was killed."""
    cancelled: bool = False
    """Whether it is not to be launched again after all."""
    has_record: bool = False
    """Whether it was launched before, so that it has a record already."""
    cleanup_failed: bool = False
    """Whether a launch failed that could not be undone."""
    handle_unsaved: bool = False
    """Whether its record lacks what it takes to find the process again."""
    unwatch: Callable[[], None] | None = None
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    total_attempts: int = 1
    """How many attempts there were in all, whoever launched them, once that was looked up."""

    def record(self) -> dict[str, Any]:
        """Give what ``pids`` says about the job."""
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
        """Take over what ``pids`` says; what it does not say stays as it is.

        :param record: the record, whoever wrote it.
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
        """Note for how long its process has run.

        :param age: the age in seconds, or None if only the clock can tell.
        """
        if age is None:
            age = max(0.0, (datetime.now(UTC) - self.start_time).total_seconds())
        self.started_at = time.monotonic() - age

    @property
    def run_seconds(self) -> float | None:
        """For how many seconds its process ran, or slightly more; None if that is not known."""
        return (
            None
            if self.started_at is None or self.exit_seen_at is None
            else self.exit_seen_at - self.started_at
        )

    def count_attempts(self, note: str | None) -> int:
        """Count this attempt and those before it, also before ``done`` was deleted to try again.

        :param note: what an earlier attempt that failed, or this one, has left.
        """
        count, _, run = (note or "").partition(" ")
        if not count.isdecimal():
            return self.attempt
        return int(count) if run == self._launched_at else int(count) + self.attempt

    def attempt_note(self) -> str:
        """Give what is to be left for the next attempt; leaving it twice changes nothing."""
        return f"{self.total_attempts} {self._launched_at}"

    @property
    def _launched_at(self) -> str:
        return self.start_time.astimezone(UTC).isoformat()

    def release_host(self) -> None:
        """Give back what it takes of its machine, where several share the jobs."""
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
