"""An asyncio task that owns an async context manager."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydatatask_core.errors import describe

from .asyncio import wait_until_done

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

__all__ = ["OwnerTask"]

logger = logging.getLogger("pydatatask.utils")
T = TypeVar("T")


class OwnerTask(Generic[T]):
    """An asyncio task that enters an async context manager and leaves it.

    Cancel scopes and async generators must be left in the task that entered them, regardless of the
    task that requests it. Usable once: ``enter()``, then ``exit()``. Cancelling either call cancels
    the current operation of the owner; the call ends when the owner has left the context.
    If the owner itself is cancelled, as ``asyncio.run`` does with remaining tasks, it leaves.

    :param context: the context manager to own.
    :param name: the name of the asyncio task, for debugging.
    """

    def __init__(self, context: AbstractAsyncContextManager[T, Any], name: str) -> None:
        self._context = context
        self._name = name
        self._exit_requested = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def ended(self) -> bool:
        """True if the context manager was entered and is left, or its event loop is closed."""
        task = self._task
        return task is not None and (task.done() or task.get_loop().is_closed())

    async def enter(self) -> T:
        """Enter the context manager and return its value.

        :raises RuntimeError: if it was entered before.
        """
        if self._task is not None:
            raise RuntimeError(f"{self._name} has already been entered")
        entered: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._hold_open(entered), name=self._name)
        self._task = task
        futures: set[asyncio.Future[Any]] = {task, entered}
        try:
            await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError as cancellation:
            task.cancel()
            await self._wait(task, cancellation)
        if not entered.done():
            task.result()
        return entered.result()

    async def exit(self) -> None:
        """Leave the context manager; no-op if it has been left.

        :raises RuntimeError: if called in the wrong event loop, or from inside the context manager.
        """
        task = self._task
        if task is None:
            return
        if not task.done():
            if task.get_loop() is not asyncio.get_running_loop():
                raise RuntimeError(
                    f"{self._name} was entered in another event loop; leave it there"
                )
            if task is asyncio.current_task():
                raise RuntimeError(f"{self._name} cannot be left from inside itself")
        self._exit_requested.set()
        await self._wait(task)
        if not task.cancelled():
            task.result()

    async def _hold_open(self, entered: asyncio.Future[T]) -> None:
        async with self._context as value:
            entered.set_result(value)
            await self._exit_requested.wait()

    @staticmethod
    async def _wait(
        task: asyncio.Task[None], cancellation: asyncio.CancelledError | None = None
    ) -> None:
        """Wait until the owner is done; pass cancellations on to it, and raise the last one."""
        cancellation = await wait_until_done(task, task.cancel) or cancellation
        if cancellation is None:
            return
        if not task.cancelled() and (failure := task.exception()) is not None:
            logger.error(
                "%s: %s, after it was cancelled",
                task.get_name(),
                describe(failure),
                exc_info=failure,
            )
        raise cancellation
