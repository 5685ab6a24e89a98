"""A base class for streams whose data takes effect as a whole or not at all."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar, cast

from pydatatask_core.errors import NotAwaitedError, StreamClosedError, describe

from .call_log import mark_coroutine_function, observed
from .streams import WriteStream, discard_on_error

__all__ = ["AtomicWriter", "PublicationListener"]

DataT = TypeVar("DataT", bytes, str)


F = TypeVar("F", bound=Callable[..., Any])


def _count_calls(write: F) -> F:
    """Count the calls of ``write``, because a call that is not awaited runs none of its code."""
    function = observed(write)

    @functools.wraps(write)
    def call(self: AtomicWriter[Any], data: Any) -> Any:
        self._called += 1
        return function(self, data)

    wrapper = cast("F", call)
    wrapper._is_observed = True  # type: ignore[attr-defined]
    return mark_coroutine_function(wrapper)


class PublicationListener(Protocol):
    """An observer of the publication of a stream's data."""

    def begin(self) -> None:
        """Check the publication that is about to take effect; raise to reject it."""

    def end(self) -> None:
        """Record the publication that has taken effect."""


class AtomicWriter(WriteStream, Generic[DataT]):
    """A stream for writing that follows the rules, based on three operations of a subclass.

    A subclass does not override ``write`` itself, whose calls are counted.

    - ``close()`` publishes, once; ``abort()`` discards, once; the first of them counts.
    - After a ``write`` that failed or was cancelled, the stored data is undefined. From then on
      the stream can only be discarded, and ``close()`` raises, even in a ``finally``.
    - If a ``write`` was not awaited or has not ended when the stream is closed, the stored data is
      undefined as well: ``close()`` discards and raises. So ``json.dump(value, stream)`` and other
      functions that write without ``await`` publish nothing.
    - A ``close()`` that fails or is cancelled discards.
    """

    publication: PublicationListener | None = None
    """The observer of the publication of the data, if any."""

    _final_state: str | None = None
    _failure: str | None = None
    _called = 0
    """Number of calls of ``write``."""
    _stored = 0
    """Number of calls that have stored their data."""

    @property
    def is_open(self) -> bool:
        """True until the stream is closed or discarded."""
        return self._final_state is None

    @abstractmethod
    async def _write(self, data: DataT) -> None:
        """Write data to a place where it is not visible yet."""

    @abstractmethod
    async def _publish(self) -> None:
        """Publish all stored data at once, and release everything."""

    @abstractmethod
    async def _discard(self) -> None:
        """Release everything and remove the unpublished data.

        Called at most once; also after ``_publish`` has failed or was cancelled at any point.
        """

    @_count_calls
    async def write(self, data: DataT) -> None:
        """Write data to the stream.

        :raises StreamClosedError: if the stream has ended, or an earlier write failed.
        """
        self._check_usable()
        try:
            await self._write(data)
        except BaseException as error:
            self._failure = f"{type(error).__name__}: {describe(error)}"
            raise
        self._stored += 1

    async def close(self) -> None:
        """Publish the written data and release the stream; no-op if it is closed.

        :raises StreamClosedError: if an earlier write failed; then nothing is published.
        :raises NotAwaitedError: if a write was not awaited; then nothing is published.
        """
        if self._final_state is not None:
            return
        if self._failure is not None:
            await self.abort()
            raise StreamClosedError(
                f"{self!r} was discarded instead of closed, because an earlier write failed "
                f"({self._failure}); open it again and write everything once more"
            )
        if self._stored != self._called:
            await self.abort()
            raise self._not_awaited()
        self._final_state = "closed"
        listener = self.publication
        try:
            if listener is not None:
                listener.begin()
            await self._publish()
        except BaseException as error:
            self._final_state = "discarded"
            await discard_on_error(error, self._discard(), self)
            raise
        if listener is not None:
            listener.end()

    async def abort(self) -> None:
        if self._final_state is None:
            self._final_state = "discarded"
            await self._discard()

    def _not_awaited(self) -> NotAwaitedError:
        count = self._called - self._stored
        return NotAwaitedError(
            f"{self!r} was discarded instead of closed, because {count} of {self._called} writes "
            f"{'was' if count == 1 else 'were'} not awaited (or had not ended). Write "
            "`await stream.write(...)`; to write with a function that does not await, such as "
            "json.dump, csv.writer, print or DataFrame.to_csv, use `async with "
            'repository.local_file(job, "w") as path` or `async with '
            'repository.open_sync(job, "w") as file`'
        )

    def _check_usable(self) -> None:
        if self._final_state is not None:
            raise StreamClosedError(
                f"{self!r} is already {self._final_state}; open it again to write"
            )
        if self._failure is not None:
            raise StreamClosedError(
                f"{self!r} accepts no more data, because an earlier write failed "
                f"({self._failure}); open it again and write everything once more"
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"
