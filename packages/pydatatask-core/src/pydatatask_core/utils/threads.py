"""Cheap execution of short blocking calls, outside of the event loop or in slices of it."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from .asyncio import log_failure_after_cancellation

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["in_thread", "run_blocking"]

log = logging.getLogger("pydatatask.utils")

P = ParamSpec("P")
T = TypeVar("T")

_IDLE_TIMEOUT_SECONDS = 0.01
"""Seconds that an idle thread waits for another call before it exits."""

_CHECK_INTERVAL_SECONDS = 0.002
"""Seconds between checks whether queued calls need another thread."""

_MIN_CALLS_PER_CHECK = 4
"""The number of calls that a thread starts between two checks unless it is blocked by a disk."""

_MAX_THREADS = min(32, (os.cpu_count() or 1) + 4)


async def in_thread(function: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """Call a function that blocks briefly in a thread, and wait for its end even if cancelled.

    This is ``run_to_completion(asyncio.to_thread(...))`` for operations that are done thousands of
    times: threads, which are those of the loop's default executor, are not woken and awaited for
    each single call. There is only one of them while it keeps up.

    :param function: the function.
    """
    loop = asyncio.get_running_loop()
    call = _ThreadCall(loop, function, args, options)
    pool = _pools.get(loop)
    if pool is None:
        pool = _pools[loop] = _ThreadPool()
    pool.submit(call)
    return await call.wait()  # type: ignore[no-any-return] # from the function


_MAX_SLICE_SECONDS = 0.005
"""Seconds for which quick calls may block the event loop before it handles other events."""


async def run_blocking(
    is_quick: bool, function: Callable[P, T], *args: P.args, **options: P.kwargs
) -> T:
    """Call a function that blocks briefly in this thread if it is quick, or else in another one.

    A system call for a small file on a local disk takes less time than handing it to a thread.

    :param is_quick: whether the call takes well below a millisecond as a rule.
    :param function: the function.
    """
    if not is_quick:
        return await in_thread(function, *args, **options)
    loop = asyncio.get_running_loop()
    while (began := _slices.get(loop)) is not None:
        if time.monotonic() - began <= _MAX_SLICE_SECONDS:
            break
        await asyncio.sleep(0)
    else:
        _slices[loop] = time.monotonic()
        loop.call_soon(_slices.pop, loop, None)
    return function(*args, **options)


_slices: WeakKeyDictionary[asyncio.AbstractEventLoop, float] = WeakKeyDictionary()
"""The time of the first quick call in the present iteration of each loop."""


class _ThreadCall:
    """One call that is sent from the event loop to a thread, with its result."""

    __slots__ = ("_call", "_context", "_error", "_result", "done", "loop", "waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop, *call: Any) -> None:
        self.loop = loop
        self.done = False
        self.waiter: asyncio.Future[None] = loop.create_future()
        self._call = call
        self._context = contextvars.copy_context()
        self._result: Any = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Call the function, in a thread."""
        function, args, options = self._call
        try:
            self._result = self._context.run(function, *args, **options)
        except BaseException as e:  # noqa: BLE001 - raised by wait()
            self._error = e

    async def wait(self) -> Any:
        """Wait in the event loop until the call has ended, even if the waiting is cancelled."""
        cancellation: asyncio.CancelledError | None = None
        while not self.done:
            try:
                await self.waiter
            except asyncio.CancelledError as e:
                cancellation = e
                self.waiter = self.loop.create_future()
        error, self._error = self._error, None
        try:
            if cancellation is not None:
                if error is not None:
                    log_failure_after_cancellation(error)
                raise cancellation
            if error is not None:
                raise error
            return self._result
        finally:
            del error  # its traceback refers to this frame


class _ThreadPool:
    """The threads that serve one event loop."""

    def __init__(self) -> None:
        self._queued: deque[_ThreadCall] = deque()
        self._completed: deque[_ThreadCall] = deque()
        self._delivery_scheduled = False
        self._lock = threading.Lock()
        self._threads = 0
        self._started_calls = 0
        self._check_scheduled = False
        self._idle = False
        self._wakeup = threading.Lock()  # SimpleQueue.get of Python 3.11 may exceed its timeout
        self._wakeup.acquire()

    def submit(self, call: _ThreadCall) -> None:
        """Queue a call, and wake or start a thread if necessary."""
        with self._lock:
            if self._idle:
                self._idle = False
                if self._wakeup.locked():  # otherwise the last wake-up has not been consumed yet
                    self._wakeup.release()
            elif not self._threads:
                self._start_thread(call.loop)
            self._queued.append(call)
        if not self._check_scheduled:
            self._schedule_check(call.loop)

    def _start_thread(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_in_executor(None, self._run_calls)
        self._threads += 1

    def _schedule_check(self, loop: asyncio.AbstractEventLoop) -> None:
        self._check_scheduled = True
        loop.call_later(_CHECK_INTERVAL_SECONDS, self._check, loop, self._started_calls)

    def _check(self, loop: asyncio.AbstractEventLoop, started_before: int) -> None:
        """Start another thread if the running ones are blocked."""
        self._check_scheduled = False
        if not self._queued:
            return
        with self._lock:
            if (
                self._started_calls - started_before < _MIN_CALLS_PER_CHECK * self._threads
                and self._threads < _MAX_THREADS
            ):
                self._start_thread(loop)
        self._schedule_check(loop)

    def _run_calls(self) -> None:
        """Run queued calls, in a thread."""
        while (call := self._next_call()) is not None:
            call.run()
            self._completed.append(call)
            if not self._delivery_scheduled:
                self._delivery_scheduled = (
                    True  # set before scheduling, so that no completed call waits for another one
                )
                with suppress(RuntimeError):  # the loop was closed, so nothing waits for the call
                    call.loop.call_soon_threadsafe(self._notify_waiters)

    def _next_call(self) -> _ThreadCall | None:
        """Return the next call, perhaps after a short wait, or None if the thread may exit."""
        with self._lock:
            is_idle = not self._queued and not self._idle  # one idle thread is enough
            self._idle = self._idle or is_idle
        if is_idle:
            self._wakeup.acquire(timeout=_IDLE_TIMEOUT_SECONDS)
        with self._lock:
            if is_idle:
                self._idle = False
                self._wakeup.acquire(blocking=False)  # it may have been released just now
            if self._queued:
                self._started_calls += 1
                return self._queued.popleft()
            self._threads -= 1
            return None

    def _notify_waiters(self) -> None:
        """Resolve the waiters of all completed calls, in the event loop."""
        self._delivery_scheduled = False
        while self._completed:
            call = self._completed.popleft()
            call.done = True
            if not call.waiter.done():
                call.waiter.set_result(None)


_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, _ThreadPool] = WeakKeyDictionary()
