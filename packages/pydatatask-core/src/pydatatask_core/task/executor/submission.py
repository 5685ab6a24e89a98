"""One job in an executor, from its order to what is recorded of it."""

from __future__ import annotations

import asyncio
import pickle
from concurrent.futures import BrokenExecutor, Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import describe

from .worker import JobResult, WorkItem

if TYPE_CHECKING:
    from pydatatask_core.repository.job_scope import JobScope

__all__ = ["Submission", "early_end_record"]


@dataclass(eq=False)
class Submission:
    """A job that was given to an executor, or is about to be."""

    job: str
    attempt: int
    scope: JobScope
    """What its body has published."""

    work_item: WorkItem | None = None
    future: Future[JobResult] | None = None
    submitted_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: bool = False
    """Whether somebody asked for its end."""

    closing: bool = False
    """Whether the pipeline was closed before it was recorded."""

    abandoned: bool = False
    """Whether the pipeline was closed before it ended."""

    never_started: bool = False
    """Whether it was still waiting when its executor broke."""

    is_awaited: bool = False
    """Whether its launch waits for its end, and launches it again if need be."""

    unusable: bool = False
    """Whether it was not begun, since its worker cannot run the task."""

    retry_after: float | None = None
    """How many seconds such a launch has to wait first."""

    @property
    def is_pending(self) -> bool:
        """Whether it surely has not begun."""
        future = self.future
        return future is not None and not (future.running() or future.done())

    @property
    def in_thread(self) -> bool:
        """Whether it is for a thread of this process, which can be told to end it."""
        return self.work_item is not None and self.work_item.stop is not None

    def stop(self) -> bool:
        """End it if that can be done; tell whether it can. This may block."""
        if self.future is None or self.future.cancel() or self.future.done():
            return True
        stop = None if self.work_item is None else self.work_item.stop
        return stop is not None and stop.request()

    def result(self) -> JobResult | None:
        """Give what became of it, or None if that says nothing about the job.

        Then the job is as it was before the launch.
        """
        assert self.future is not None
        if self.future.cancelled():
            if self.abandoned and not self.cancelled:
                return None
            reason = "cancelled" if self.cancelled else "cancelled by the executor"
            return JobResult(early_end_record(self.submitted_at, reason), self.cancelled)
        error = self.future.exception()
        if error is not None:
            return self._without_result(error)
        result = self.future.result()
        self.scope.add_published(result.written, result.own_key)
        if result.unusable is None and not result.record["success"] and self._was_interrupted:
            return None
        if result.cancelled:
            result.record["reason"] = "cancelled"
        return result

    @property
    def _was_interrupted(self) -> bool:
        """Whether the end of the pipeline took its repositories away, or cancelled it."""
        return self.in_thread and self.abandoned and not self.cancelled

    def _without_result(self, error: BaseException) -> JobResult | None:
        """Judge an exception, which never is the function's own: those arrive as text."""
        if self.closing and isinstance(error, KeyboardInterrupt | BrokenExecutor):
            return None  # Ctrl-C, of which all processes of a terminal hear
        if self.never_started and isinstance(error, BrokenExecutor):
            return None
        text = f"{type(error).__name__}: {describe(error)}"
        if isinstance(error, ImportError | AttributeError | pickle.PickleError):
            return JobResult({}, unusable=f"a worker cannot read what it is to do: {text}")
        record = early_end_record(self.submitted_at, "its worker died, or its executor gave it up")
        return JobResult({**record, "exception": text})


def early_end_record(start: datetime, reason: str) -> dict[str, Any]:
    """Make the record of a job whose end no worker tells of.

    :param start: since when it was on its way.
    :param reason: why it has ended.
    """
    return {
        "success": False,
        "start_time": start,
        "end_time": max(start, datetime.now(UTC)),
        "reason": reason,
    }
