"""One job in an executor, from its work item to its record."""

from __future__ import annotations

import asyncio
import pickle
from concurrent.futures import BrokenExecutor, CancelledError, Future
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
    """A job that was submitted to an executor, or is about to be."""

    job: str
    attempt: int
    scope: JobScope
    """The keys that its body has published."""

    work_item: WorkItem | None = None
    future: Future[JobResult] | None = None
    submitted_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: bool = False
    """True if the user cancelled it."""

    closing: bool = False
    """True if the pipeline was closed before the job was recorded."""

    abandoned: bool = False
    """True if the pipeline was closed before the job ended."""

    never_started: bool = False
    """True if the job was still queued when its executor broke."""

    is_awaited: bool = False
    """True if its launch waits for the end of the job, and retries it if necessary."""

    unusable: bool = False
    """True if the job did not start because its worker cannot run the task."""

    retry_after: float | None = None
    """The delay in seconds before such a launch retries the job."""

    @property
    def is_pending(self) -> bool:
        """True if it has certainly not started."""
        future = self.future
        return future is not None and not (future.running() or future.done())

    @property
    def in_thread(self) -> bool:
        """True if it is for a thread of this process, where an async function can be cancelled."""
        return self.work_item is not None and self.work_item.stop is not None

    def stop(self) -> bool:
        """Cancel the job if possible, and return whether it is. This may block."""
        if self.future is None or self.future.cancel() or self.future.done():
            return True
        stop = None if self.work_item is None else self.work_item.stop
        return stop is not None and stop.request()

    def result(self) -> JobResult | None:
        """Return the result, or None if the job is to count as never launched."""
        assert self.future is not None
        try:
            result = self.future.result()
        except CancelledError:
            if self.abandoned and not self.cancelled:
                return None
            reason = "cancelled" if self.cancelled else "cancelled by the executor"
            return JobResult(early_end_record(self.submitted_at, reason), self.cancelled)
        except BaseException as error:  # noqa: BLE001 - of the executor, which goes into the record
            return self._without_result(error)
        if result.written:
            self.scope.add_published(result.written, result.own_key)
        if result.unusable is None and not result.record["success"] and self._was_interrupted:
            return None
        if result.cancelled:
            result.record["reason"] = "cancelled"
        return result

    @property
    def _was_interrupted(self) -> bool:
        """True if closing the pipeline closed its repositories or cancelled it."""
        return self.in_thread and self.abandoned and not self.cancelled

    def _without_result(self, error: BaseException) -> JobResult | None:
        """Return the result of a job whose worker raised; errors of the function arrive as text."""
        if self.closing and isinstance(error, KeyboardInterrupt | BrokenExecutor):
            return None  # Ctrl-C, which reaches all processes of a terminal
        if self.never_started and isinstance(error, BrokenExecutor):
            return None
        text = f"{type(error).__name__}: {describe(error)}"
        if isinstance(error, ImportError | AttributeError | pickle.PickleError):
            return JobResult({}, unusable=f"a worker cannot deserialize its job: {text}")
        record = early_end_record(self.submitted_at, "its worker died, or its executor dropped it")
        return JobResult({**record, "exception": text})


def early_end_record(start: datetime, reason: str) -> dict[str, Any]:
    """Create the record of a job whose end no worker reported.

    :param start: when it was submitted.
    :param reason: why it ended.
    """
    return {
        "success": False,
        "start_time": start,
        "end_time": max(start, datetime.now(UTC)),
        "reason": reason,
    }
