"""The interface that an open pipeline provides to its tasks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from .base import Task

__all__ = ["FailureHook", "OpenMode", "Runtime"]

log = logging.getLogger("pydatatask.task")

OpenMode = Literal["drive", "inspect", "one"]
"""The purpose of opening a pipeline: launch and record jobs, only inspect, or run one job."""

FailureHook = Callable[[str, str, Mapping[str, Any]], Any]
"""Called with the name of a task, a job, and its ``done`` record after its last attempt failed."""


class Runtime(Protocol):
    """The services of an open pipeline; a task without one works on its own."""

    mode: OpenMode

    @property
    def looping(self) -> bool:
        """True if a running loop reacts to :meth:`wake`, so that tasks need not wait themselves."""

    def wake(self, task: Task) -> None:
        """Request a round now, because a job of this task ended."""

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """Run a coroutine beside the loop until it ends or the pipeline closes and cancels it."""

    async def failed(self, task: Task, job: str, record: Mapping[str, Any]) -> None:
        """Report a job whose last attempt failed."""
