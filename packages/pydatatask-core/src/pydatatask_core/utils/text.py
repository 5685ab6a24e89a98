"""Text streams on top of streams of bytes."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from pydatatask_core.errors import StreamClosedError

from .characters import CharacterBuffer
from .streams import AAbortable, ReadStream
from .writer import AtomicWriter

if TYPE_CHECKING:
    from typing import Self

    from .streams import AReadStream, AWriteStream

__all__ = ["AReadText", "AWriteText"]


class AReadText(ReadStream):
    """An async version of ``io.TextIOWrapper`` which can only handle reading.

    Newlines are not translated; ``async for`` yields lines, which end after a line feed. At most
    one chunk more than requested is held in memory. Only one asyncio task may read at a time.

    :param base: the stream of bytes, which is closed with this one.
    :param encoding: a text encoding known to Python.
    :param errors: the handling of bytes that cannot be decoded, as for ``bytes.decode``.
    :param chunksize: the number of bytes to request from the base at once.
    :raises LookupError: if the encoding or the error handler is unknown.
    """

    def __init__(
        self,
        base: AReadStream,
        encoding: str = "utf-8",
        errors: str = "strict",
        chunksize: int = 4096,
    ) -> None:
        if chunksize < 1:
            raise ValueError(f"chunksize must be at least one byte, not {chunksize!r}")
        self.base = base
        self.chunksize = chunksize
        self._decoder = _text_codec(encoding, errors).incrementaldecoder(errors)
        self._buffer = CharacterBuffer()
        self._bytes = 0
        self._exhausted = False
        self._failure: UnicodeDecodeError | None = None
        self._closed = False

    async def read(self, n: int | None = None) -> str:
        """Read up to n chars from the stream, or the rest of the stream if not provided.

        A result shorter than n means that the end was reached; after that, reads return ``""``.

        :raises UnicodeDecodeError: if there are bytes that cannot be decoded. The characters
            before them can be read by requesting no more than those.
        :raises StreamClosedError: if the stream is closed.
        """
        self._check_open()
        buffer = self._buffer
        if n is None or n < 0:
            while await self._fill():
                pass
            return buffer.take(len(buffer))
        while len(buffer) < n and await self._fill():
            pass
        return buffer.take(n)

    async def readline(self) -> str:
        """Read through the next line feed, or the rest of the stream if there is none."""
        self._check_open()
        buffer = self._buffer
        while (length := buffer.line_length()) is None:
            if not await self._fill():
                return buffer.take(len(buffer))
        return buffer.take(length)

    async def close(self) -> None:
        """Close and release the stream."""
        if not self._closed:
            self._closed = True
            await self.base.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line

    async def _fill(self) -> bool:
        """Decode one more chunk; return False at the end of the stream.

        Nothing is removed from the buffer before all requested characters are there, so a read
        that is cancelled here loses nothing.
        """
        if self._failure is not None:
            # The decoder has lost its position, so decoding cannot continue after the bad bytes.
            raise self._failure.with_traceback(None)
        if self._exhausted:
            return False
        data = await self.base.read(self.chunksize)
        self._bytes += len(data)
        self._exhausted = not data
        try:
            self._buffer.append(self._decoder.decode(data, final=not data))
        except UnicodeDecodeError as error:
            self._failure = error
            # Its own position is relative to the bytes that the decoder held.
            position = self._bytes - len(error.object) + error.start
            error.add_note(f"This is byte {position} of {self.base!r}.")
            raise
        return True

    def _check_open(self) -> None:
        if self._closed:
            raise StreamClosedError(f"{self!r} is closed; open it again to read")

    def __repr__(self) -> str:
        return f"AReadText({self.base!r})"


class AWriteText(AtomicWriter[str]):
    """An async version of ``io.TextIOWrapper`` which can only handle writing.

    The base receives the same bytes as from encoding the whole text at once. Newlines are not
    translated. Nothing is buffered here. If text cannot be encoded, or ``async with`` is left by
    any exception, the written data is discarded if the base supports that.

    :param base: the stream of bytes, which is closed or discarded with this one.
    :param encoding: a text encoding known to Python.
    :param errors: the handling of characters that cannot be encoded, as for ``str.encode``.
    :raises LookupError: if the encoding or the error handler is unknown.
    """

    def __init__(self, base: AWriteStream, encoding: str = "utf-8", errors: str = "strict") -> None:
        self.base = base
        self._encoder = _text_codec(encoding, errors).incrementalencoder(errors)
        self._base_ended = False

    async def _write(self, data: str) -> None:
        if not isinstance(data, str):
            raise TypeError(
                f"{self!r} accepts str, not {type(data).__name__}; for bytes open it with mode 'wb'"
            )
        encoded = self._encoder.encode(data)
        if encoded:
            await self.base.write(encoded)

    async def _publish(self) -> None:
        rest = self._encoder.encode("", final=True)
        if rest:
            await self.base.write(rest)
        self._base_ended = True
        await self.base.close()

    async def _discard(self) -> None:
        if isinstance(self.base, AAbortable):
            await self.base.abort()
        elif not self._base_ended:
            await self.base.close()

    def __repr__(self) -> str:
        return f"AWriteText({self.base!r})"


def _text_codec(encoding: str, errors: str) -> codecs.CodecInfo:
    """Return the codec of an encoding, so that a wrong name fails when the stream is created."""
    codec = codecs.lookup(encoding)
    codecs.lookup_error(errors)
    if not codec._is_text_encoding or codec.incrementaldecoder is None:
        raise LookupError(f"{encoding!r} is not a text encoding that can be streamed")
    return codec
