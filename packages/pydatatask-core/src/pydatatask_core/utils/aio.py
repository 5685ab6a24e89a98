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
    from collections.abc import Awaitable, Iterable, Iterator

__all__ = ["being_cancelled", "finish", "roundrobin"]

logger = logging.getLogger("pydatatask.utils")
T = TypeVar("T")


def being_cancelled() -> bool:
    """Tell whether a CancelledError here is meant for this task, or has escaped from something."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def finish(awaitable: Awaitable[T]) -> T:
    """Await something to its end, even if the waiting task is cancelled meanwhile.

    For what cannot be stopped half-way, such as a thread that renames a file: the cancellation
    is raised after it, so that nothing goes on behind the back of whoever was cancelled.

    :param awaitable: what to wait for; it should be short.
    """
    future = asyncio.ensure_future(awaitable)
    cancellation: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError as error:
            cancellation = error
    if cancellation is None:
        return future.result()
    if not future.cancelled() and (failure := future.exception()) is not None:
        logger.error("Failed after the task was cancelled: %s", describe(failure), exc_info=failure)
    raise cancellation


async def roundrobin(*iterables: AsyncIterable[T] | Iterable[T]) -> AsyncGenerator[T, None]:
    """Take one item of each iterable in turn, until all of them are exhausted.

    An async version of the itertools roundrobin recipe::

        roundrobin("ABC", "D", "EF") --> A D E B F C

    Generators among the iterables are closed at the end, also if not all items were taken.

    :param iterables: any number of iterables, async or not.
    """
    async with AsyncExitStack() as stack:
        turns = deque[AsyncIterator[T]]()
        for iterable in iterables:
            iterator = _items(iterable)
            turns.append(iterator)
            if isinstance(iterator, AsyncGenerator):
                stack.push_async_callback(iterator.aclose)
        while turns:
            iterator = turns.popleft()
            try:
                item = await anext(iterator)
            except StopAsyncIteration:
                continue
            turns.append(iterator)
            yield item


def _items(iterable: AsyncIterable[T] | Iterable[T]) -> AsyncIterator[T]:
    if isinstance(iterable, AsyncIterable):
        return aiter(iterable)
    try:
        return _plain_items(iter(iterable))
    except TypeError as error:
        raise TypeError(f"roundrobin takes iterables, and this is none: {iterable!r}") from error


async def _plain_items(iterator: Iterator[T]) -> AsyncGenerator[T, None]:
    try:
        for item in iterator:
            yield item
    finally:
        if isinstance(iterator, Generator):
            iterator.close()
