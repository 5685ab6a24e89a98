"""Calls from the event loop of a worker's thread into the driver's, which return their results.

Repositories, and the streams that they open, belong to the event loop of the pipeline. A function
in a thread receives proxies, which await everything in that loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydatatask_core.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["LoopPortal"]

LOOP_CHECK_INTERVAL_SECONDS = 5.0
"""The interval at which waiting calls check that the driver's loop still exists."""

T = TypeVar("T")


class LoopPortal:
    """A portal for calls from other threads into an event loop.

    :param loop: the event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._lock = threading.Lock()
        self._calls: set[_PortalCall[Any]] = set()
        self._closed = False

    async def run(self, call: Callable[[], Awaitable[T]]) -> T:
        """Await an object in the loop of the portal.

        If the caller is cancelled, the object is cancelled, too, and has ended when this returns.

        :param call: a function that returns the object to await; it is called in that loop.
        :raises TaskError: if the portal is closed, or while this waits.
        """
        if asyncio.get_running_loop() is self.loop:
            return await call()
        portal_call = _PortalCall(self, call)
        with self._lock:
            if self._closed:
                raise _closed_error()
            self._calls.add(portal_call)
        try:
            return await portal_call.result()
        finally:
            with self._lock:
                self._calls.discard(portal_call)

    def close(self) -> None:
        """Reject further calls, and raise an error in those that wait."""
        with self._lock:
            self._closed = True
            for portal_call in self._calls:
                portal_call.abandon()


class _PortalCall(Generic[T]):
    """One call into another loop. Methods named ``loop_`` run in that loop."""

    def __init__(self, portal: LoopPortal, call: Callable[[], Awaitable[T]]) -> None:
        self._loop = portal.loop
        self._caller_loop = asyncio.get_running_loop()
        self._call = call
        self._result: asyncio.Future[T] = self._caller_loop.create_future()
        self._task: asyncio.Task[T] | None = None

    async def result(self) -> T:
        """Run the call, and wait for its end even if the caller is cancelled."""
        cancellation: asyncio.CancelledError | None = None
        self._post(self._loop_begin)
        while not self._result.done():
            try:
                await asyncio.wait({self._result}, timeout=LOOP_CHECK_INTERVAL_SECONDS)
            except asyncio.CancelledError as e:
                cancellation = e
                self._post(self._loop_cancel)
            if self._loop.is_closed():
                self.abandon()
                await asyncio.wait({self._result})
        if cancellation is not None:
            self._result.exception()  # so that asyncio does not log it as never retrieved
            raise cancellation
        return self._result.result()

    def abandon(self) -> None:
        """Raise an error in the caller, and cancel the call; from any thread."""
        with contextlib.suppress(RuntimeError):  # the caller's loop is closed as well
            self._caller_loop.call_soon_threadsafe(self._fail, _closed_error())
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._loop_cancel)

    def _post(self, callback: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop is closed
            self._fail(_closed_error())

    def _loop_begin(self) -> None:
        self._task = self._loop.create_task(self._loop_run(), name="pydatatask hop")
        self._task.add_done_callback(self._loop_end)

    async def _loop_run(self) -> T:
        return await self._call()

    def _loop_cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _loop_end(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            return self.abandon()
        error = task.exception()
        with contextlib.suppress(RuntimeError):  # the caller's loop is closed
            if error is None:
                self._caller_loop.call_soon_threadsafe(self._succeed, task.result())
            else:
                self._caller_loop.call_soon_threadsafe(self._fail, error)
        return None

    def _succeed(self, value: T) -> None:
        if not self._result.done():
            self._result.set_result(value)

    def _fail(self, error: BaseException) -> None:
        if not self._result.done():
            self._result.set_exception(error)


def _closed_error() -> TaskError:
    return TaskError(
        "the pipeline that this job belongs to was closed, and its repositories with it"
    )
