"""Short work that blocks, done beside the event loop at little cost."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from pydatatask_core.errors import describe

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["in_thread"]

log = logging.getLogger("pydatatask.utils")

P = ParamSpec("P")
T = TypeVar("T")

_LINGER = 0.01
"""Seconds that a thread waits for more to do."""

_LOOK = 0.002
"""Seconds after which it is looked whether what waits needs another thread."""

_FAST = 4
"""What a thread does at least between two looks if it is not held up by a disk."""

_MOST = min(32, (os.cpu_count() or 1) + 4)


async def in_thread(function: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """Call a function that blocks for a moment in a thread, to its end.

    This is ``finish(asyncio.to_thread(...))`` for what is done thousands of times: the threads,
    which are those of the loop's default executor, are not woken and waited for one call at a
    time. There is one of them as long as it gets on well.

    :param function: the function.
    """
    loop = asyncio.get_running_loop()
    work = _Work(loop, function, args, options)
    crew = _crews.get(loop)
    if crew is None:
        crew = _crews[loop] = _Crew()
    crew.add(work)
    return await work.end()  # type: ignore[no-any-return] # it is what the function gave


class _Work:
    """One call, from the loop to a thread and back."""

    __slots__ = ("_call", "_context", "_error", "_result", "done", "loop", "waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop, *call: Any) -> None:
        self.loop = loop
        self.done = False
        self.waiter: asyncio.Future[None] = loop.create_future()
        self._call = call
        self._context = contextvars.copy_context()
        self._result: Any = None
        self._error: BaseException | None = None

    def do(self) -> None:
        """Do it, in a thread."""
        function, args, options = self._call
        try:
            self._result = self._context.run(function, *args, **options)
        except BaseException as e:  # noqa: BLE001 - raised where it is waited for
            self._error = e

    async def end(self) -> Any:
        """Wait for its end, in the loop, also if that is cancelled."""
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
                    message = "Failed after the task was cancelled: %s"
                    log.error(message, describe(error), exc_info=error)
                raise cancellation
            if error is not None:
                raise error
            return self._result
        finally:
            del error  # whose traceback leads here


class _Crew:
    """The threads that work for one event loop."""

    def __init__(self) -> None:
        self._waiting: deque[_Work] = deque()
        self._ended: deque[_Work] = deque()
        self._told = False
        self._lock = threading.Lock()
        self._threads = 0
        self._taken = 0
        self._looks = False
        self._lingers = False
        self._bell = threading.Lock()  # SimpleQueue.get of Python 3.11 may outwait its timeout
        self._bell.acquire()

    def add(self, work: _Work) -> None:
        """Have something done."""
        with self._lock:
            if self._lingers:
                self._lingers = False
                if self._bell.locked():  # or somebody else has yet to hear the last ring
                    self._bell.release()
            elif not self._threads:
                self._begin(work.loop)
            self._waiting.append(work)
        if not self._looks:
            self._look_soon(work.loop)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_in_executor(None, self._work)
        self._threads += 1

    def _look_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        self._looks = True
        loop.call_later(_LOOK, self._look, loop, self._taken)

    def _look(self, loop: asyncio.AbstractEventLoop, taken: int) -> None:
        """Have another thread work if those that do are held up."""
        self._looks = False
        if not self._waiting:
            return
        with self._lock:
            if self._taken - taken < _FAST * self._threads and self._threads < _MOST:
                self._begin(loop)
        self._look_soon(loop)

    def _work(self) -> None:
        """Do what there is to do, in a thread."""
        while (work := self._take()) is not None:
            work.do()
            self._ended.append(work)
            if not self._told:
                self._told = True  # before it is told, so that nothing waits for another one
                with suppress(RuntimeError):  # the loop was closed, and nobody waits
                    work.loop.call_soon_threadsafe(self._deliver)

    def _take(self) -> _Work | None:
        """Give what is to be done next, perhaps after a moment; None if this thread may go."""
        with self._lock:
            lingers = not self._waiting and not self._lingers  # one at a time will do
            self._lingers = self._lingers or lingers
        if lingers:
            self._bell.acquire(timeout=_LINGER)
        with self._lock:
            if lingers:
                self._lingers = False
                self._bell.acquire(blocking=False)  # it may have rung just now
            if self._waiting:
                self._taken += 1
                return self._waiting.popleft()
            self._threads -= 1
            return None

    def _deliver(self) -> None:
        """Wake whoever waits for what has ended, in the loop."""
        self._told = False
        while self._ended:
            work = self._ended.popleft()
            work.done = True
            if not work.waiter.done():
                work.waiter.set_result(None)


_crews: WeakKeyDictionary[asyncio.AbstractEventLoop, _Crew] = WeakKeyDictionary()
