"""One job in an executor, from its order to what is recorded of it."""

from __future__ import annotations

import asyncio
import pickle
from concurrent.futures import BrokenExecutor, Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import describe

from .worker import Ending, Order

if TYPE_CHECKING:
    from pydatatask_core.repository.job_scope import JobScope

__all__ = ["Instance", "ended_early"]


@dataclass(eq=False)
class Instance:
    """A job that was given to an executor, or is about to be."""

    job: str
    attempt: int
    scope: JobScope
    """What its body has published."""

    order: Order | None = None
    future: Future[Ending] | None = None
    given: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: bool = False
    """Whether somebody asked for its end."""

    closing: bool = False
    """Whether the pipeline was closed before it was recorded."""

    abandoned: bool = False
    """Whether the pipeline was closed before it ended."""

    unbegun: bool = False
    """Whether it was still waiting when its executor broke."""

    awaited: bool = False
    """Whether its launch waits for its end, and launches it again if need be."""

    unusable: bool = False
    """Whether it was not begun, since its worker cannot run the task."""

    retry_after: float | None = None
    """How many seconds such a launch has to wait first."""

    @property
    def waits(self) -> bool:
        """Whether it surely has not begun."""
        future = self.future
        return future is not None and not (future.running() or future.done())

    @property
    def in_thread(self) -> bool:
        """Whether it is for a thread of this process, which can be told to end it."""
        return self.order is not None and self.order.stop is not None

    def stop(self) -> bool:
        """End it if that can be done; tell whether it can. This may block."""
        if self.future is None or self.future.cancel() or self.future.done():
            return True
        stop = None if self.order is None else self.order.stop
        return stop is not None and stop.request()

    def ending(self) -> Ending | None:
        """Give what became of it, or None if that says nothing about the job.

        Then the job is as it was before the launch.
        """
        assert self.future is not None
        if self.future.cancelled():
            if self.abandoned and not self.cancelled:
                return None
            reason = "cancelled" if self.cancelled else "cancelled by the executor"
            return Ending(ended_early(self.given, reason), self.cancelled)
        error = self.future.exception()
        if error is not None:
            return self._without_worker(error)
        ending = self.future.result()
        self.scope.add_published(ending.written, ending.own_key)
        if ending.unusable is None and not ending.record["success"] and self._was_cut_off:
            return None
        if ending.cancelled:
            ending.record["reason"] = "cancelled"
        return ending

    @property
    def _was_cut_off(self) -> bool:
        """Whether the end of the pipeline took its repositories away, or cancelled it."""
        return self.in_thread and self.abandoned and not self.cancelled

    def _without_worker(self, error: BaseException) -> Ending | None:
        """Judge an exception, which never is the function's own: those arrive as text."""
        if self.closing and isinstance(error, KeyboardInterrupt | BrokenExecutor):
            return None  # Ctrl-C, of which all processes of a terminal hear
        if self.unbegun and isinstance(error, BrokenExecutor):
            return None
        told = f"{type(error).__name__}: {describe(error)}"
        if isinstance(error, ImportError | AttributeError | pickle.PickleError):
            return Ending({}, unusable=f"a worker cannot read what it is to do: {told}")
        record = ended_early(self.given, "its worker died, or its executor gave it up")
        return Ending({**record, "exception": told})


def ended_early(start: datetime, reason: str) -> dict[str, Any]:
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
