"""Text on top of streams of bytes."""

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

    Newlines are left as they are; ``async for`` gives lines, which end after a line feed. What is
    held in memory is one chunk beyond what was asked for. One task reads at a time.

    :param base: the stream of bytes, which is closed with this one.
    :param encoding: a text encoding that Python knows.
    :param errors: what to do about bytes that the encoding does not know, as for ``bytes.decode``.
    :param chunksize: how many bytes to ask the base for at once.
    :raises LookupError: if there is no such encoding or error handler.
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

        Fewer than n means that the stream has ended, which it only does when it gives ``""``.

        :raises UnicodeDecodeError: if there are bytes that the encoding does not know. The
            characters before them can be had by asking for no more than those.
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
        """Read up to and including the next line feed, or the rest if there is none."""
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
        """Decode one more chunk, and tell whether there was one.

        Nothing is taken out of the buffer before all that was asked for is there, so a read that
        is cancelled here loses nothing.
        """
        if self._failure is not None:
            # The decoder has lost its place, so there is no going on after the broken bytes.
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
            # Its own position counts from the beginning of what the decoder held.
            position = self._bytes - len(error.object) + error.start
            error.add_note(f"This is byte {position} of {self.base!r}.")
            raise
        return True

    def _check_open(self) -> None:
        if self._closed:
            raise StreamClosedError(f"{self!r} is closed; open it anew to read")

    def __repr__(self) -> str:
        return f"AReadText({self.base!r})"


class AWriteText(AtomicWriter[str]):
    """An async version of ``io.TextIOWrapper`` which can only handle writing.

    What ends up in the base is what encoding the whole text at once would give. Newlines are left
    as they are. Nothing is buffered here. Text that cannot be encoded, or leaving ``async with``
    by any exception, discards what was written if the base can do that.

    :param base: the stream of bytes, which is closed or discarded with this one.
    :param encoding: a text encoding that Python knows.
    :param errors: what to do about characters that the encoding does not know, as for
        ``str.encode``.
    :raises LookupError: if there is no such encoding or error handler.
    """

    def __init__(self, base: AWriteStream, encoding: str = "utf-8", errors: str = "strict") -> None:
        self.base = base
        self._encoder = _text_codec(encoding, errors).incrementalencoder(errors)
        self._base_ended = False

    async def _write(self, data: str) -> None:
        if not isinstance(data, str):
            raise TypeError(
                f"{self!r} takes str, not {type(data).__name__}; for bytes open it with mode 'wb'"
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
    """Look up an encoding when the stream is made, so that a wrong name fails there."""
    codec = codecs.lookup(encoding)
    codecs.lookup_error(errors)
    if not codec._is_text_encoding or codec.incrementaldecoder is None:
        raise LookupError(f"{encoding!r} is not a text encoding that can be streamed")
    return codec
