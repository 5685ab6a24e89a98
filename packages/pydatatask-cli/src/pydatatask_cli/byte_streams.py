"""Standard input and output as byte streams that can be abandoned at any time.

A read from a terminal or pipe, and a write to a pipe, may block forever. Threads that the program
does not wait for do them, on the bare file descriptors, so that Ctrl-C ends the program at once.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from pydatatask_core.utils import ReadStream
from pydatatask_core.utils.visible import VisibleDecoder

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CHUNK_BYTES", "FileInput", "Output", "run_abandonable"]

T = TypeVar("T")

CHUNK_BYTES = 1 << 20
"""The maximum number of bytes in memory at once."""


async def run_abandonable(function: Callable[[], T]) -> T:
    """Call a function that may block in a thread, which is abandoned on cancellation.

    :param function: the function to call.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def tell(setter: Callable[[Any], None], value: Any) -> None:
        if not future.done():
            setter(value)

    def work() -> None:
        try:
            setter, value = future.set_result, function()
        except BaseException as e:  # noqa: BLE001 - passed to the awaiting caller
            setter, value = future.set_exception, e  # type: ignore[assignment]
        try:
            loop.call_soon_threadsafe(tell, setter, value)
        except RuntimeError:
            return  # the loop is closed, so no caller waits

    threading.Thread(target=work, daemon=True, name="pydatatask io").start()
    return await future


class FileInput(ReadStream):
    """A file, or standard input, as a stream.

    :param path: the file; standard input by default.
    :param follow_links: whether the path may be a symbolic link.
    :raises OSError: ``ELOOP``, if the path is a symbolic link and ``follow_links`` is false.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, follow_links: bool = True
    ) -> None:
        self._is_owner = path is not None
        flags = os.O_RDONLY if follow_links else os.O_RDONLY | os.O_NOFOLLOW
        self._descriptor = sys.stdin.fileno() if path is None else os.open(path, flags)

    async def read(self, n: int | None = None) -> bytes:
        """Read up to n bytes, or all remaining bytes; only an empty result means the end."""
        if n is not None:
            return await run_abandonable(lambda: os.read(self._descriptor, min(n, CHUNK_BYTES)))
        parts = []
        while part := await self.read(CHUNK_BYTES):
            parts.append(part)
        return b"".join(parts)

    async def close(self) -> None:
        if self._is_owner:
            self._is_owner = False
            os.close(self._descriptor)


class Output:
    """Standard output for the bytes of a value; close it after the last write.

    A pipe or a file receives the bytes unchanged. A terminal or a notebook receives text in which
    all control characters are escaped.

    :param raw: whether a terminal receives the bytes unchanged, too.
    """

    def __init__(self, *, raw: bool = False) -> None:
        sys.stdout.flush()
        try:
            self._descriptor: int | None = sys.stdout.fileno()
        except (OSError, AttributeError, ValueError):
            self._descriptor = None  # a notebook, for instance
        self._binary = getattr(sys.stdout, "buffer", None) if self._descriptor is None else None
        shown = self._binary is None and (self._descriptor is None or sys.stdout.isatty())
        self._decoder = VisibleDecoder() if shown and not raw else None

    async def write(self, data: bytes) -> None:
        """Write all of the data."""
        if self._decoder is None:
            await self._put(data)
        else:
            await self._show(self._decoder.decode(data))

    async def close(self) -> None:
        """Write remaining bytes that may have been the beginning of a character."""
        if self._decoder is not None:
            await self._show(self._decoder.decode(b"", final=True))

    async def _show(self, text: str) -> None:
        # The UTF-8 bytes of a character may be control characters in the terminal's encoding.
        await self._put(text.encode(self._encoding, "backslashreplace"))

    @property
    def _encoding(self) -> str:
        return "utf-8" if self._descriptor is None else sys.stdout.encoding or "utf-8"

    async def _put(self, data: bytes) -> None:
        if self._descriptor is not None:
            await run_abandonable(lambda: self._write(data))
        elif self._binary is not None:
            self._binary.write(data)
        else:
            sys.stdout.write(data.decode(errors="replace"))

    def _write(self, data: bytes) -> None:
        remaining = memoryview(data)
        while remaining:
            remaining = remaining[os.write(self._descriptor or 0, remaining) :]
