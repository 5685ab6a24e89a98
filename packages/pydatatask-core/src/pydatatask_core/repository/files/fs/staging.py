"""A directory that appears under its name as a whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading

from pydatatask_core.utils.files import check_no_mounts

from .atomic_file import make_folder, sync_folder
from .finalizers import discard_and_unlock, finalize
from .locking import try_lock
from .removal import discard
from .temporary_names import temporary_name

__all__ = ["StagedDirectory"]

_OCCUPIED_ERRNOS = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR})


class StagedDirectory:
    """A temporary directory that is filled and then renamed to its destination.

    The constructor blocks. If it is garbage collected before its end, the directory is removed.

    :param path: the destination; its folder is created if it is missing.
    :param durable: whether the directory survives a power failure once it has appeared.
    """

    def __init__(self, path: str, durable: bool = False) -> None:
        self._fd = -1
        self._target = path
        self._durable = durable
        # A cancelled publication may still be running in its thread.
        self._lock = threading.Lock()
        folder, name = os.path.split(path)
        self.path: str | None = os.path.join(folder, temporary_name(name))
        try:
            os.mkdir(self.path)
        except FileNotFoundError:
            make_folder(folder, durable)
            os.mkdir(self.path)
        self._fd = _open_directory(self.path)
        try_lock(self._fd)

    def publish(self, target: str) -> None:
        """Rename the directory to its destination, replacing another directory or a link."""
        with self._lock:
            assert self.path is not None
            if self._durable:
                _sync_tree(self.path)
            _replace(self.path, target)
            self.path = None
            if self._durable:
                sync_folder(os.path.dirname(target))
            self._release()

    def discard(self) -> None:
        """Remove the directory unless it has been published."""
        with self._lock:
            self._release()

    def _release(self) -> None:
        discard_and_unlock(*self._detach())

    def _detach(self) -> tuple[str | None, int]:
        detached = self.path, self._fd
        self.path, self._fd = None, -1
        return detached

    def __repr__(self) -> str:
        return f"directory {self._target!r}"

    def __del__(self) -> None:
        finalize(*self._detach())


def _replace(new: str, target: str) -> None:
    """Rename a directory over another one.

    Only an empty directory can be replaced in one step. Any other is renamed aside first, so
    between two renames none exists; a process that dies there leaves none.
    """
    aside: list[str] = []
    with contextlib.ExitStack() as locks:
        try:
            while not _try_rename(new, target):
                old = _move_aside(target, locks)
                if old is not None:
                    aside.append(old)
        except BaseException:
            if aside and not os.path.lexists(target):
                os.rename(aside.pop(), target)
            raise
        finally:
            for old in aside:
                discard(old)


def _try_rename(new: str, target: str) -> bool:
    try:
        os.rename(new, target)
    except OSError as e:
        if e.errno in _OCCUPIED_ERRNOS:
            return False
        raise
    return True


def _move_aside(target: str, locks: contextlib.ExitStack) -> str | None:
    folder, name = os.path.split(target)
    old = os.path.join(folder, temporary_name(name))
    try:
        mode = os.lstat(target).st_mode
        if stat.S_ISDIR(mode):
            check_no_mounts(target)  # a mount would be moved along with the old directory
            # The old directory may be old enough to be removed as stale if it is not locked.
            fd = _open_directory(target)
            locks.callback(os.close, fd)
            try_lock(fd)
        elif not stat.S_ISLNK(mode):
            raise FileExistsError(errno.EEXIST, "an entry that is not a directory is there", target)
        os.rename(target, old)
    except FileNotFoundError:
        return None
    return old


def _open_directory(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _sync_tree(tree: str) -> None:
    for folder, _, files in os.walk(tree):
        for name in files:
            path = os.path.join(folder, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)
        sync_folder(folder)
