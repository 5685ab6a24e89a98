"""Asyncio tasks that run beside the loop, with logging of their errors."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine

__all__ = ["BackgroundTasks", "cancel_with_timeout", "log_failure"]

log = logging.getLogger("pydatatask.pipeline")

SHUTDOWN_TIMEOUT_SECONDS = 1.5
"""Seconds that background tasks get to finish when the pipeline closes."""


class BackgroundTasks:
    """Named background tasks, whose errors are logged and which end when the pipeline closes."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """Start a background task.

        :param coroutine: the coroutine to run.
        :param name: the name of the task in messages.
        """
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(log_failure)

    async def close(self) -> None:
        """Cancel all tasks and wait until they finish, for at most `SHUTDOWN_TIMEOUT_SECONDS`."""
        await cancel_with_timeout(self._tasks, SHUTDOWN_TIMEOUT_SECONDS)


def log_failure(task: asyncio.Task[Any]) -> None:
    """Log the error of a finished task, if it has one."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s ended with an error", task.get_name(), exc_info=error)


async def cancel_with_timeout(tasks: Collection[asyncio.Task[Any]], timeout: float) -> None:
    """Cancel tasks and wait until they finish, for a limited time.

    :param tasks: the tasks to cancel.
    :param timeout: maximum wait in seconds; tasks that have not finished by then are logged.
    """
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    if tasks:
        _, unresponsive = await asyncio.wait(tasks, timeout=timeout)
        for task in unresponsive:
            log.warning("%s does not finish although it was cancelled", task.get_name())
