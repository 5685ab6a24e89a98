"""A file that appears under its name as a whole or not at all."""

from __future__ import annotations

import os
import threading

from pydatatask_core.utils.files import write_all

from .finalizers import discard_and_unlock, finalize
from .locking import try_lock
from .temporary_names import temporary_name

__all__ = ["AtomicFile", "make_folder", "replace_file", "sync_folder"]


class AtomicFile:
    """A temporary file that is renamed to its destination when it is complete.

    Its permissions are those of any new file: 0666 less the umask. Nothing is created on disk
    before the first bytes are written. If it is garbage collected before its end, its temporary
    file is removed.

    :param path: the destination; its folder is created if it is missing.
    :param durable: whether the file survives a power failure once it has appeared.
    """

    def __init__(self, path: str, durable: bool = False) -> None:
        self._path = path
        self._durable = durable
        self._fd = -1
        self._temporary: str | None = None
        self._ended = False
        # A cancelled writer may still be running in its thread during the next call.
        self._lock = threading.Lock()

    def append(self, *chunks: bytes | bytearray) -> None:
        """Write all of the chunks."""
        with self._lock:
            self._append(chunks)

    def commit(self, *chunks: bytes | bytearray, path: str | None = None) -> None:
        """Write the chunks and rename the file to its destination; on an error the old value stays.

        A symbolic link at the destination is replaced, not followed.

        :param chunks: the last of the data.
        :param path: the destination, if it is another name in the folder.
        """
        with self._lock:
            try:
                self._append(chunks)
                if self._durable:
                    os.fsync(self._fd)
                # Remote file systems report a full disk when a descriptor is closed. This one is
                # still needed for its lock, so a duplicate is closed.
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
        """Remove the temporary file; no-op after ``commit``."""
        with self._lock:
            self._release()

    @property
    def has_temporary(self) -> bool:
        """True while there is a temporary file that must be discarded."""
        return self._fd >= 0

    def _append(self, chunks: tuple[bytes | bytearray, ...]) -> None:
        if self._fd < 0:
            self._create()
        for chunk in chunks:
            write_all(self._fd, chunk)

    def _create(self) -> None:
        if self._ended:
            raise ValueError(f"{self._path!r} has already been written or discarded")
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
    """Rename a file to its destination, replacing an existing file.

    :param path: the file.
    :param target: the destination, in the same file system.
    :param durable: whether the result must survive a power failure.
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
    """Create a folder with its parents; succeed if it exists.

    :param durable: whether the folder must survive a power failure.
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
    """Write the renames and removals in a folder to disk, so that they survive a power failure."""
    fd = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
