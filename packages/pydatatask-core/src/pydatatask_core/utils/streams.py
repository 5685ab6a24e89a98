"""What a stream is: the protocols that are asked for, and the bases that ours are built on.

A stream for writing ends in one of two ways. ``close()`` publishes what was written; ``abort()``
discards it. Whoever leaves ``async with`` by an exception has not finished writing, so that
discards, too. A stream without ``abort()`` is closed in its place, since there is nothing better.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pydatatask_core.errors import describe

from .call_log import observe_methods
from .contexts import AsyncWithOnly

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from types import TracebackType
    from typing import Self

__all__ = ["AAbortable", "AReadStream", "AWriteStream", "ReadStream", "WriteStream"]


@runtime_checkable
class AReadStream(Protocol, AbstractAsyncContextManager[Any, "bool | None"]):
    """A protocol for reading data from an asynchronous stream."""

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def read(self, n: int | None = None) -> bytes:
        """Read and return up to n bytes, or if unspecified, the rest of the stream.

        Only an empty result means the end.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close and release the stream."""


@runtime_checkable
class AWriteStream(Protocol, AbstractAsyncContextManager[Any, "bool | None"]):
    """A protocol for writing data to an asynchronous stream."""

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def write(self, data: bytes) -> object:
        """Write data, all of it, to the stream."""

    @abstractmethod
    async def close(self) -> None:
        """Close and release the stream; what was written takes effect."""


@runtime_checkable
class AAbortable(Protocol):
    """A protocol for what can be given up: a stream whose data can still be discarded."""

    @abstractmethod
    async def abort(self) -> None:
        """Release the stream and leave everything as it was before it was opened.

        Does nothing once the stream is closed or discarded.
        """


class ReadStream(AsyncWithOnly, ABC):
    """A base for streams that are read: leaving ``async with`` closes them."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Have a job whose body forgets to await a method fail."""
        super().__init_subclass__(**kwargs)
        observe_methods(cls)

    @abstractmethod
    async def close(self) -> None:
        """Close and release the stream; doing so again does nothing."""

    if not TYPE_CHECKING:  # type checkers report `for` as well

        def __iter__(self) -> Any:
            raise TypeError(
                f"{self!r} is read by `await`, not by `for`: write `await stream.read()`, of text "
                "also `async for line in stream`; code that does not await, such as csv.reader, "
                "reads `async with repository.open_sync(job) as file`"
            )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


class WriteStream(AsyncWithOnly, ABC):
    """A base for streams that are written: leaving ``async with`` publishes or discards.

    An exception that leaves the block stays the one that the caller sees: a failure to discard
    is added to it as a note.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Have a job whose body forgets to await a method fail."""
        super().__init_subclass__(**kwargs)
        observe_methods(cls)

    @abstractmethod
    async def close(self) -> None:
        """Publish what was written and release the stream; doing so again does nothing."""

    @abstractmethod
    async def abort(self) -> None:
        """Discard what was written and release the stream.

        Does nothing once the stream is closed or discarded.
        """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc is None:
            await self.close()
        else:
            await discard_on_error(exc, self.abort(), self)


async def discard_on_error(error: BaseException, discard: Awaitable[None], stream: object) -> None:
    """Await the discarding of a stream because of an error, which stays the error to report.

    :param error: why; it gets a note if the stream cannot be discarded.
    :param discarding: what discards.
    :param stream: whose data it is.
    """
    try:
        await discard
    except Exception as failure:  # noqa: BLE001 - it is reported with the error
        error.add_note(f"What was written to {stream!r} was not discarded: {describe(failure)}")
