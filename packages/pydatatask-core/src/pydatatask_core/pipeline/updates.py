"""The update phase: all tasks update their jobs concurrently; a hanging task delays no other."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from .background_tasks import cancel_with_timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pydatatask_core.task.base import Task

__all__ = ["Updates"]

log = logging.getLogger("pydatatask.pipeline")

SHUTDOWN_TIMEOUT_SECONDS = 1.0
"""Seconds that pending updates get to finish when the loop ends."""


class Updates:
    """Runs the updates of tasks concurrently.

    An update that takes longer than the timeout of a round goes on; its task gets no other update
    until it has finished.

    :param on_late: called when such an update has finished, with the task and whether another
        update was requested meanwhile.
    """

    def __init__(self, on_late: Callable[[Task, bool], None]) -> None:
        self._on_late = on_late
        self._pending: dict[Task, asyncio.Task[bool]] = {}
        self._overdue: set[Task] = set()
        self._requested_again: set[Task] = set()

    async def update(self, tasks: Iterable[Task], timeout: float | None) -> dict[Task, bool | None]:
        """Update tasks and return whether each is active, or None if its update takes too long.

        :param tasks: the tasks; the result of a late update that has finished is used.
        :param timeout: maximum wait in seconds; None to wait for all updates, late ones included.
        """
        tasks = list(tasks)
        started = [self._start(task) for task in tasks if task not in self._pending]
        awaited = started if timeout is not None else [self._pending[task] for task in tasks]
        await self._wait(awaited, timeout)
        return {task: self._result(task) for task in tasks}

    async def refresh(self, tasks: Iterable[Task], timeout: float) -> None:
        """Update tasks of which a job has just ended.

        :param tasks: the tasks.
        :param timeout: maximum wait in seconds.
        """
        started = {}
        for task in tasks:
            pending = self._pending.get(task)
            if pending is not None and not pending.done():
                self._requested_again.add(task)
            else:
                started[task] = self._start(task)
        await self._wait(started.values(), timeout)
        for task in started:
            self._result(task)

    def _start(self, task: Task) -> asyncio.Task[bool]:
        update = asyncio.create_task(_update(task), name=f"pydatatask update {task.name}")
        self._pending[task] = update
        return update

    def _result(self, task: Task) -> bool | None:
        update = self._pending[task]
        if update.done():
            del self._pending[task]
            return update.cancelled() or update.result()
        if task not in self._overdue:
            self._overdue.add(task)
            log.info("%s: its update takes long; the other tasks go on without it", task.name)
            update.add_done_callback(lambda _: self._report_late(task))
        return None

    def _report_late(self, task: Task) -> None:
        requested_again = task in self._requested_again
        self._overdue.discard(task)
        self._requested_again.discard(task)
        self._on_late(task, requested_again)

    async def _wait(self, updates: Iterable[asyncio.Task[bool]], timeout: float | None) -> None:
        waiting = [update for update in updates if not update.done()]
        if waiting:
            await asyncio.wait(waiting, timeout=timeout)

    async def close(self) -> None:
        """Cancel pending updates and wait until they finish, for a limited time."""
        pending, self._pending = self._pending, {}
        self._requested_again.clear()
        await cancel_with_timeout(pending.values(), SHUTDOWN_TIMEOUT_SECONDS)


async def _update(task: Task) -> bool:
    try:
        return bool(await task.update())
    except Exception:
        log.exception("%s: update failed", task.name, extra={"task": task.name})
        return True
