"""Files of this machine as streams; each operation runs in a thread."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydatatask_core.errors import ProcessManagerError, PydatataskError, StreamClosedError, describe
from pydatatask_core.utils import AtomicWriter, ReadStream, in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LocalReadStream", "LocalWriteStream", "manager_errors"]

_BLOCK = 1024 * 1024


@contextmanager
def manager_errors(action: str) -> Iterator[None]:
    """Convert errors of the operating system to a ProcessManagerError that names the operation.

    A missing file stays a ``FileNotFoundError``, and other errors of this project pass unchanged.

    :param action: the operation, as an infinitive ("create the run directory '/tmp/x'").
    """
    try:
        yield
    except (PydatataskError, FileNotFoundError):
        raise
    except OSError as e:
        error = ProcessManagerError(f"could not {action}: {describe(e)}")
        error.errno = e.errno
        raise error from e


class LocalReadStream(ReadStream):
    """A stream that reads a file. The constructor blocks, so call it in a thread.

    :param path: the file.
    :param fd: an open descriptor of it, which the stream will close; None to open the path.
    """

    def __init__(self, path: str, fd: int | None = None) -> None:
        self._path = path
        with manager_errors(f"read {path!r}"):
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if fd is None else fd

    async def read(self, n: int | None = None) -> bytes:
        """Read up to n bytes from the file, or the rest of it.

        :raises StreamClosedError: if the stream is closed.
        """
        if self._fd < 0:
            raise StreamClosedError(f"{self!r} is closed; open it again to read")
        return await in_thread(self._read, -1 if n is None else n)

    def _read(self, n: int) -> bytes:
        with manager_errors(f"read {self._path!r}"):
            if n >= 0:
                return os.read(self._fd, n)
            parts = []
            while part := os.read(self._fd, _BLOCK):
                parts.append(part)
            return b"".join(parts)

    async def close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def __repr__(self) -> str:
        return f"<{self._path!r} for reading>"


class LocalWriteStream(AtomicWriter[bytes]):
    """A stream that overwrites a file. The constructor blocks, so call it in a thread.

    :param path: the file, which is truncated.
    :param fd: an open descriptor of it, which the stream will close; None to open the path.
    """

    def __init__(self, path: str, fd: int | None = None) -> None:
        self._path = path
        with manager_errors(f"write {path!r}"):
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            self._fd = os.open(path, flags, 0o600) if fd is None else fd

    async def _write(self, data: bytes) -> None:
        await in_thread(self._append, data)

    def _append(self, data: bytes) -> None:
        rest = memoryview(data).cast("B")
        with manager_errors(f"write {self._path!r}"):
            while rest:
                rest = rest[os.write(self._fd, rest) :]

    async def _publish(self) -> None:
        fd, self._fd = self._fd, -1
        with manager_errors(f"write {self._path!r}"):
            os.close(fd)

    async def _discard(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
        await in_thread(os.unlink, self._path)

    def __repr__(self) -> str:
        return f"<{self._path!r} for writing>"
