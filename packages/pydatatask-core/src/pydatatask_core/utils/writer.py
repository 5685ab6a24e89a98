"""A base for streams whose data takes effect as a whole, or not at all."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, Protocol, TypeVar

from pydatatask_core.errors import StreamClosedError, describe

from .streams import WriteStream, discard_after

__all__ = ["AtomicWriter", "PublicationReport"]

DataT = TypeVar("DataT", bytes, str)


class PublicationReport(Protocol):
    """Learns of the publication of a stream's data."""

    def begin(self) -> None:
        """Check the publication, which is about to take effect; refuse it by raising."""

    def end(self) -> None:
        """Note the publication, which has taken effect."""


class AtomicWriter(WriteStream, Generic[DataT]):
    """A stream for writing that keeps the rules, on top of three operations of a subclass.

    - ``close()`` publishes, once; ``abort()`` discards, once; whichever comes first counts.
    - A ``write`` that failed or was cancelled has stored nobody knows what. From then on the
      stream only discards, and a ``close()`` says so, even one that stands in a ``finally``.
    - A ``close()`` that fails or is cancelled discards.
    """

    publication: PublicationReport | None = None
    """Learns of the publication of the data, if set."""

    _ended: str | None = None
    _failed: str | None = None

    @abstractmethod
    async def _write(self, data: DataT) -> None:
        """Store data where nobody sees it yet."""

    @abstractmethod
    async def _publish(self) -> None:
        """Let all that was stored take effect, at once, and release everything."""

    @abstractmethod
    async def _discard(self) -> None:
        """Release everything and remove what is not published.

        Called at most once; also after ``_publish`` failed or was cancelled at any point.
        """

    async def write(self, data: DataT) -> None:
        """Write data to the stream.

        :raises StreamClosedError: if the stream has ended, or an earlier write failed.
        """
        self._check_usable()
        try:
            await self._write(data)
        except BaseException as error:
            self._failed = f"{type(error).__name__}: {describe(error)}"
            raise

    async def close(self) -> None:
        """Publish what was written and release the stream; doing so again does nothing.

        :raises StreamClosedError: if an earlier write failed; then nothing is published.
        """
        if self._ended is not None:
            return
        if self._failed is not None:
            await self.abort()
            raise StreamClosedError(
                f"{self!r} was discarded instead of closed, since an earlier write failed "
                f"({self._failed}); open it anew and write everything again"
            )
        self._ended = "closed"
        report = self.publication
        try:
            if report is not None:
                report.begin()
            await self._publish()
        except BaseException as error:
            self._ended = "discarded"
            await discard_after(error, self._discard(), self)
            raise
        if report is not None:
            report.end()

    async def abort(self) -> None:
        if self._ended is None:
            self._ended = "discarded"
            await self._discard()

    def _check_usable(self) -> None:
        if self._ended is not None:
            raise StreamClosedError(f"{self!r} is {self._ended} already; open it anew to write")
        if self._failed is not None:
            raise StreamClosedError(
                f"{self!r} takes no more data, since an earlier write failed ({self._failed}); "
                "open it anew and write everything again"
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"
