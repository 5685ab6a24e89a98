"""What a pipeline gives to its tasks while it is open."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from .base import Task

__all__ = ["FailureHook", "OpenMode", "Runtime"]

log = logging.getLogger("pydatatask.task")

OpenMode = Literal["drive", "inspect", "one"]
"""What a pipeline is opened for: to launch and reap, only to look, or to run one job."""

FailureHook = Callable[[str, str, Mapping[str, Any]], Any]
"""Called with a task's name, a job and its ``done`` record when the job has failed for good."""


class Runtime(Protocol):
    """What an open pipeline offers its tasks; without one a task works on its own."""

    mode: OpenMode

    @property
    def looping(self) -> bool:
        """Whether a loop attends to what tasks tell by :meth:`wake`, so that they need not wait."""

    def wake(self, task: Task) -> None:
        """Say that something of this task ended, so that a round is worth while at once."""

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """Run something beside the loop until the pipeline closes, which cancels it."""

    async def failed(self, task: Task, job: str, record: Mapping[str, Any]) -> None:
        """Report a job that has failed for good."""
