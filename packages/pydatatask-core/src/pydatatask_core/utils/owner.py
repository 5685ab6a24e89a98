"""A task that owns an async context manager."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydatatask_core.errors import describe

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

__all__ = ["OwnerTask"]

logger = logging.getLogger("pydatatask.utils")
T = TypeVar("T")


class OwnerTask(Generic[T]):
    """Enter an async context manager, and leave it, in one task made for that.

    Cancel scopes and async generators have to be left in the task that entered them, whichever
    tasks ask for it. Used once: ``enter()``, then ``exit()``. Cancelling either call cancels what
    the owner is doing at the time; the call ends when the owner has left what it had entered.
    If the owner itself is cancelled, as ``asyncio.run`` does to whatever is left over, it leaves.

    :param context: what to own.
    :param name: the name of the task, for whoever lists tasks.
    """

    def __init__(self, context: AbstractAsyncContextManager[T, Any], name: str) -> None:
        self._context = context
        self._name = name
        self._exit_requested = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def ended(self) -> bool:
        """Whether it was entered and is entirely left, or can never be left any more."""
        task = self._task
        return task is not None and (task.done() or task.get_loop().is_closed())

    async def enter(self) -> T:
        """Enter the context manager, and return what that gives.

        :raises RuntimeError: if that was done before.
        """
        if self._task is not None:
            raise RuntimeError(f"{self._name} was entered before")
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
        """Leave the context manager; harmless if that is done already.

        :raises RuntimeError: if it is called in the wrong loop, or by what is to be left.
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
        """Wait until the owner is done, passing on cancellations, the last of which is raised."""
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError as error:
                cancellation = error
                task.cancel()
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
