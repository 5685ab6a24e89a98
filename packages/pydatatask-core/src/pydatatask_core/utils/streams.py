"""The protocols for streams, and the base classes of our own streams.

A stream for writing ends in one of two ways: ``close()`` publishes the written data, and
``abort()`` discards it. Leaving ``async with`` by an exception discards as well, because writing
has not finished. A stream without ``abort()`` is closed instead, because there is no better option.
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

        Only an empty result marks the end of the stream.
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
        """Write all of the data to the stream."""

    @abstractmethod
    async def close(self) -> None:
        """Close and release the stream; the written data takes effect."""


@runtime_checkable
class AAbortable(Protocol):
    """A protocol for streams whose data can still be discarded."""

    @abstractmethod
    async def abort(self) -> None:
        """Release the stream and leave everything as it was before it was opened.

        No-op once the stream is closed or discarded.
        """


class ReadStream(AsyncWithOnly, ABC):
    """A base class for streams for reading: leaving ``async with`` closes them."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Wrap the methods, so that a job whose function forgets to await one of them fails."""
        super().__init_subclass__(**kwargs)
        observe_methods(cls)

    @abstractmethod
    async def close(self) -> None:
        """Close and release the stream; no-op if it is closed."""

    if not TYPE_CHECKING:  # type checkers report `for` as well

        def __iter__(self) -> Any:
            raise TypeError(
                f"{self!r} is read with `await`, not with `for`: write `await stream.read()`, or "
                "for text `async for line in stream`; for code that does not await, such as "
                "csv.reader, open it by `async with repository.open_sync(job) as file`"
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
    """A base class for streams for writing: leaving ``async with`` publishes or discards.

    An exception that leaves the block is always the one that the caller sees: a failure to discard
    is added to it as a note.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Wrap the methods, so that a job whose function forgets to await one of them fails."""
        super().__init_subclass__(**kwargs)
        observe_methods(cls)

    @abstractmethod
    async def close(self) -> None:
        """Publish the written data and release the stream; no-op if it is closed."""

    @abstractmethod
    async def abort(self) -> None:
        """Discard the written data and release the stream.

        No-op once the stream is closed or discarded.
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
    """Discard the data of a stream because of an error; the error stays the one to raise.

    :param error: the reason; it gets a note if the data cannot be discarded.
    :param discard: the awaitable that discards.
    :param stream: the stream, for the note.
    """
    try:
        await discard
    except Exception as failure:  # noqa: BLE001 - reported as a note of the error
        error.add_note(f"The data written to {stream!r} was not discarded: {describe(failure)}")
