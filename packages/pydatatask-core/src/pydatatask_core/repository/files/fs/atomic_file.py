"""A file that appears under its name whole, or not at all."""

from __future__ import annotations

import os
import threading

from .finalizers import discard_and_unlock, finalize
from .locking import try_lock
from .temporary_names import temporary_name

__all__ = ["AtomicFile", "make_folder", "replace_file", "sync_folder"]


class AtomicFile:
    """Bytes that are gathered in a temporary file and renamed to their place.

    Its permissions are those of any new file: 0666 less the umask. Nothing touches the disk
    before the first bytes do. One that is dropped without an end removes what it wrote.

    :param path: where the file is to appear; its folder is made if it is missing.
    :param durable: whether it has to survive a power cut once it has appeared.
    """

    def __init__(self, path: str, durable: bool = False) -> None:
        self._path = path
        self._durable = durable
        self._fd = -1
        self._temporary: str | None = None
        self._ended = False
        # A writer that is cancelled may still be busy in its thread when the next call comes.
        self._lock = threading.Lock()

    def append(self, *chunks: bytes | bytearray) -> None:
        """Write all of the chunks."""
        with self._lock:
            self._append(chunks)

    def commit(self, *chunks: bytes | bytearray, path: str | None = None) -> None:
        """Write the chunks and put the file in its place; on an error the old value stays.

        A symbolic link in its place is itself replaced, not what it points to.

        :param chunks: the last of the bytes.
        :param path: the place, if it is another name in the folder after all.
        """
        with self._lock:
            try:
                self._append(chunks)
                if self._durable:
                    os.fsync(self._fd)
                # Remote file systems report a full disk when a descriptor is closed. This one is
                # still needed for its lock, so a copy of it is closed.
                os.close(os.dup(self._fd))
                target = path or self._path
                assert self._temporary is not None
                os.replace(self._temporary, target)
                self._temporary = None
                if self._durable:
                    sync_folder(os.path.dirname(target))
            finally:
                self._release()

    def discard(self) -> None:
        """Remove what was written; do nothing if the file is in its place already."""
        with self._lock:
            self._release()

    @property
    def has_temporary(self) -> bool:
        """Whether there is something on the disk that has to be discarded."""
        return self._fd >= 0

    def _append(self, chunks: tuple[bytes | bytearray, ...]) -> None:
        if self._fd < 0:
            self._create()
        for chunk in chunks:
            rest = memoryview(chunk).cast("B")
            while rest:
                rest = rest[os.write(self._fd, rest) :]

    def _create(self) -> None:
        if self._ended:
            raise ValueError(f"{self._path!r} is written or discarded already")
        folder, name = os.path.split(self._path)
        temporary = os.path.join(folder, temporary_name(name))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._fd = os.open(temporary, flags, 0o666)
        except FileNotFoundError:
            make_folder(folder, self._durable)
            self._fd = os.open(temporary, flags, 0o666)
        self._temporary = temporary
        try_lock(self._fd)

    def _release(self) -> None:
        discard_and_unlock(*self._detach())

    def _detach(self) -> tuple[str | None, int]:
        self._ended = True
        detached = self._temporary, self._fd
        self._temporary, self._fd = None, -1
        return detached

    def __del__(self) -> None:
        finalize(*self._detach())

    def __repr__(self) -> str:
        return f"file {self._path!r}"


def replace_file(path: str, target: str, durable: bool = False) -> None:
    """Rename a file to its place, which may hold another one.

    :param path: the file.
    :param target: the place, in the same file system.
    :param durable: whether it has to survive a power cut.
    """
    if durable:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    os.replace(path, target)
    if durable:
        sync_folder(os.path.dirname(target))


def make_folder(folder: str, durable: bool = False) -> None:
    """Create a folder with its parents; succeed if it is there.

    :param durable: whether it has to survive a power cut.
    """
    created = []
    above = os.path.abspath(folder)
    while durable and not os.path.isdir(above):
        above = os.path.dirname(above)
        created.append(above)
    os.makedirs(folder or ".", exist_ok=True)
    for parent in created:
        sync_folder(parent)


def sync_folder(folder: str) -> None:
    """Make the renames and removals in a folder survive a power cut."""
    fd = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
