"""Helpers for asyncio."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, TypeVar

from pydatatask_core.errors import describe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Iterator
    from typing import Any

__all__ = [
    "being_cancelled",
    "cancel_and_wait",
    "log_failure_after_cancellation",
    "roundrobin",
    "run_concurrently",
    "run_to_completion",
    "wait_until_done",
]

logger = logging.getLogger("pydatatask.utils")
T = TypeVar("T")


def being_cancelled() -> bool:
    """Return True if a CancelledError here is for this task and not from elsewhere."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def run_to_completion(awaitable: Awaitable[T]) -> T:
    """Await an awaitable to its end, even if the waiting task is cancelled meanwhile.

    Use this for operations that cannot be interrupted, such as a thread that renames a file. A
    cancellation is raised after the operation, so nothing is still running when the caller sees it.

    :param awaitable: the operation; it should be short.
    """
    future = asyncio.ensure_future(awaitable)
    cancellation = await wait_until_done(future)
    if cancellation is None:
        return future.result()
    if not future.cancelled() and (failure := future.exception()) is not None:
        log_failure_after_cancellation(failure)
    raise cancellation


async def wait_until_done(
    future: asyncio.Future[Any], on_cancel: Callable[[], object] | None = None
) -> asyncio.CancelledError | None:
    """Wait until a future is done, even if the waiting task is cancelled meanwhile.

    :param future: the future, which is not cancelled.
    :param on_cancel: called for each cancellation of the waiting task.
    :return: the last cancellation, which the caller has to raise; None if there was none.
    """
    cancellation: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError as error:
            cancellation = error
            if on_cancel is not None:
                on_cancel()
    return cancellation


def log_failure_after_cancellation(failure: BaseException) -> None:
    """Log the error of an operation whose caller gets a CancelledError instead."""
    logger.error("Failed after the task was cancelled: %s", describe(failure), exc_info=failure)


async def run_concurrently(coroutines: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run coroutines at the same time; if one of them fails, cancel the others and raise its error.

    Use this instead of ``asyncio.TaskGroup``, which cancels the task that waits for it. Before
    Python 3.13 the cancellation count of that task stays raised, so a later ``asyncio.timeout``
    around it raises CancelledError, and Ctrl-C does not raise KeyboardInterrupt.

    :param coroutines: the coroutines; each runs in its own asyncio task.
    """
    tasks = [asyncio.create_task(_contain_system_exit(coroutine)) for coroutine in coroutines]
    if not tasks:
        return
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        failed = [task for task in tasks if task.done() and not task.cancelled()]
        error = next((e for task in failed if (e := task.exception()) is not None), None)
    finally:
        await cancel_and_wait(tasks)
    if isinstance(error, _SystemExitCarrier):
        raise error.error
    if error is not None:
        raise error
    for task in tasks:
        task.result()


class _SystemExitCarrier(Exception):
    """Carries a SystemExit, which would otherwise leave the event loop immediately."""

    def __init__(self, error: SystemExit) -> None:
        super().__init__(error)
        self.error = error


async def _contain_system_exit(coroutine: Coroutine[Any, Any, None]) -> None:
    try:
        await coroutine
    except SystemExit as e:
        raise _SystemExitCarrier(e) from e


async def cancel_and_wait(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they are done, even if the waiting task is cancelled meanwhile.

    :param tasks: the tasks; finished tasks are left alone.
    """
    for task in tasks:
        task.cancel()
    if tasks:
        await run_to_completion(asyncio.gather(*tasks, return_exceptions=True))


async def roundrobin(*iterables: AsyncIterable[T] | Iterable[T]) -> AsyncGenerator[T, None]:
    """Yield one item of each iterable in turn, until all of them are exhausted.

    An async version of the itertools roundrobin recipe::

        roundrobin("ABC", "D", "EF") --> A D E B F C

    Generators among the iterables are closed at the end, even if not all items were consumed.

    :param iterables: any number of iterables, async or not.
    """
    async with AsyncExitStack() as stack:
        iterators = deque[AsyncIterator[T]]()
        for iterable in iterables:
            iterator = _items(iterable)
            iterators.append(iterator)
            if isinstance(iterator, AsyncGenerator):
                stack.push_async_callback(iterator.aclose)
        while iterators:
            iterator = iterators.popleft()
            try:
                item = await anext(iterator)
            except StopAsyncIteration:
                continue
            iterators.append(iterator)
            yield item


def _items(iterable: AsyncIterable[T] | Iterable[T]) -> AsyncIterator[T]:
    if isinstance(iterable, AsyncIterable):
        return aiter(iterable)
    try:
        return _sync_items(iter(iterable))
    except TypeError as error:
        raise TypeError(f"roundrobin accepts iterables, not {iterable!r}") from error


async def _sync_items(iterator: Iterator[T]) -> AsyncGenerator[T, None]:
    try:
        for item in iterator:
            yield item
    finally:
        if isinstance(iterator, Generator):
            iterator.close()
