"""Tasks of asyncio that run beside the loop, none of them unobserved."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine

__all__ = ["BackgroundTasks", "cancel_with_timeout", "log_failure"]

log = logging.getLogger("pydatatask.pipeline")

SHUTDOWN_TIMEOUT_SECONDS = 1.5
"""Seconds that what runs beside the loop gets to end when the pipeline closes."""


class BackgroundTasks:
    """Holds what runs beside the loop: named, told of when it fails, ended when the holder ends."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """Start something.

        :param coroutine: what to run.
        :param name: what to call it in messages.
        """
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(log_failure)

    async def close(self) -> None:
        """Cancel everything and wait for its end, though not for ever."""
        await cancel_with_timeout(self._tasks, SHUTDOWN_TIMEOUT_SECONDS)


def log_failure(task: asyncio.Task[Any]) -> None:
    """Tell of a task that ended with an error; to be called when it is done."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s ended with an error", task.get_name(), exc_info=error)


async def cancel_with_timeout(tasks: Collection[asyncio.Task[Any]], timeout: float) -> None:
    """Cancel tasks and wait for their end, though not for ever.

    :param tasks: what to cancel.
    :param timeout: how long to wait; then a warning names what does not end.
    """
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    if tasks:
        _, unresponsive = await asyncio.wait(tasks, timeout=timeout)
        for task in unresponsive:
            log.warning("%s does not end although it was cancelled", task.get_name())
