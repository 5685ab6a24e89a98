"""Streams for reading and writing a file, with one call to a thread per buffer."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from pydatatask_core.errors import StreamClosedError
from pydatatask_core.utils import AtomicWriter, ReadStream, in_thread, run_blocking

from .listing import EntryKind
from .regular_files import open_regular, read_up_to

if TYPE_CHECKING:
    from .atomic_file import AtomicFile

__all__ = ["BUFFER_BYTES", "FileReadStream", "FileWriteStream"]

BUFFER_BYTES = 256 * 1024
"""Number of bytes that are read ahead, or buffered before they are written."""

MAX_READ_BYTES = 4 * 1024 * 1024

Errors = Callable[[], AbstractContextManager[None]]
"""Returns a context manager that translates errors."""


class FileReadStream(ReadStream):
    """A stream that reads a file, one buffer ahead. The constructor blocks, so call it in a thread.

    A file that fits into the buffer is read completely when it is opened. Only one asyncio task may
    read at a time; a cancelled read loses no bytes.

    :param path: the file.
    :param errors: translates the errors of later operations.
    :param kind: the kind, which determines whether a link to a file is followed.
    :raises FileNotFoundError: if there is no regular file.
    """

    def __init__(self, path: str, errors: Errors, kind: EntryKind = EntryKind.FILE) -> None:
        self._path = path
        self._errors = errors
        self._closed = False
        self._buffer = b""
        self._position = 0
        # A descriptor must not be closed, and its number reused, while a thread reads from it.
        self._lock = threading.Lock()
        self._fd, size = open_regular(path, kind)
        self._fill(min(size + 1, BUFFER_BYTES))

    async def read(self, n: int | None = None) -> bytes:
        """Read up to n bytes from the file, or the rest of it.

        :raises StreamClosedError: if the stream is closed.
        """
        self._check_open()
        if n is None or n < 0:
            return await self._read_rest()
        if n and self._position == len(self._buffer) and self._fd >= 0:
            await in_thread(self._fill, min(max(n, BUFFER_BYTES), MAX_READ_BYTES))
        return self._consume(n)

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._buffer = b""
            if self._fd >= 0:
                await in_thread(self._release)

    async def _read_rest(self) -> bytes:
        parts = [self._consume(len(self._buffer))]
        try:
            while self._fd >= 0:
                await in_thread(self._fill, MAX_READ_BYTES)
                parts.append(self._consume(len(self._buffer)))
        except BaseException:
            parts.append(self._consume(len(self._buffer)))
            self._buffer, self._position = b"".join(parts), 0
            raise
        return b"".join(parts)

    def _consume(self, n: int) -> bytes:
        start, end = self._position, min(self._position + n, len(self._buffer))
        self._position = end
        return self._buffer[start:end]

    def _fill(self, size: int) -> None:
        """Read the next bytes into the empty buffer; fewer than requested are the last."""
        with self._lock, self._errors():
            self._check_open()
            self._buffer, self._position = read_up_to(self._fd, size), 0
            if len(self._buffer) < size:
                self._close_descriptor()

    def _check_open(self) -> None:
        if self._closed:
            raise StreamClosedError(f"{self!r} is closed; open it again to read")

    def _release(self) -> None:
        with self._lock:
            self._close_descriptor()

    def _close_descriptor(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            self._close_descriptor()

    def __repr__(self) -> str:
        return f"<file {self._path!r} for reading>"


class FileWriteStream(AtomicWriter[bytes]):
    """A stream that writes a file, which appears as a whole when the stream is closed.

    Small chunks are buffered; data that fits into one buffer is written when the stream is closed,
    in one step.

    :param file: the temporary file.
    :param publish: writes the last bytes and renames the file to its destination.
    :param errors: translates errors.
    :param is_quick: whether writing one buffer takes well below a millisecond as a rule.
    """

    def __init__(
        self,
        file: AtomicFile,
        publish: Callable[[bytearray], None],
        errors: Errors,
        *,
        is_quick: bool = False,
    ) -> None:
        self._file = file
        self._publish_file = publish
        self._errors = errors
        self._is_quick = is_quick
        self._buffer = bytearray()

    async def _write(self, data: bytes) -> None:
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(
                f"{self!r} accepts bytes, not {type(data).__name__}; for text open it with mode 'w'"
            )
        if len(self._buffer) + len(data) < BUFFER_BYTES:
            self._buffer += data
            return
        buffered, self._buffer = self._buffer, bytearray()
        await in_thread(self._append, buffered, data)

    async def _publish(self) -> None:
        await run_blocking(self._is_quick, self._commit)

    async def _discard(self) -> None:
        self._buffer = bytearray()
        if self._file.has_temporary:
            await in_thread(self._discard_file)

    def _append(self, *chunks: bytes | bytearray) -> None:
        with self._errors():
            self._file.append(*chunks)

    def _discard_file(self) -> None:
        with self._errors():
            self._file.discard()

    def _commit(self) -> None:
        with self._errors():
            self._publish_file(self._buffer)

    def __repr__(self) -> str:
        return f"<{self._file!r} for writing>"
