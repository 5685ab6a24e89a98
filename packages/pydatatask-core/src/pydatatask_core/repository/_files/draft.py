"""A directory that appears under its name whole, or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading

from pydatatask_core.utils.trees import refuse_mounts

from .atomic import make_folder, sync_folder
from .dropping import drop, end
from .names import temporary_name
from .removal import discard
from .sweeping import hold

__all__ = ["DraftDirectory"]

_TAKEN = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR})


class DraftDirectory:
    """A temporary directory to fill, which is then renamed to its place.

    To make one blocks. One that is dropped without an end removes itself.

    :param path: where the directory is to appear; its folder is made if it is missing.
    :param durable: whether it has to survive a power cut once it has appeared.
    """

    def __init__(self, path: str, durable: bool = False) -> None:
        self._fd = -1
        self._place = path
        self._durable = durable
        # Whoever publishes may have been cancelled and still be busy in a thread.
        self._lock = threading.Lock()
        folder, name = os.path.split(path)
        self.path: str | None = os.path.join(folder, temporary_name(name))
        try:
            os.mkdir(self.path)
        except FileNotFoundError:
            make_folder(folder, durable)
            os.mkdir(self.path)
        self._fd = _open_directory(self.path)
        hold(self._fd)

    def publish(self, place: str) -> None:
        """Rename the directory to its place, where it replaces another directory, or a link."""
        with self._lock:
            assert self.path is not None
            if self._durable:
                _sync_tree(self.path)
            _replace(self.path, place)
            self.path = None
            if self._durable:
                sync_folder(os.path.dirname(place))
            self._release()

    def discard(self) -> None:
        """Remove the directory unless it is in its place already."""
        with self._lock:
            self._release()

    def _release(self) -> None:
        end(*self._let_go())

    def _let_go(self) -> tuple[str | None, int]:
        held = self.path, self._fd
        self.path, self._fd = None, -1
        return held

    def __repr__(self) -> str:
        return f"directory {self._place!r}"

    def __del__(self) -> None:
        drop(*self._let_go())


def _replace(new: str, place: str) -> None:
    """Rename a directory over another one.

    Only an empty directory can be replaced in one step. Another one is renamed aside first, so
    between two renames there is none; whoever dies there leaves none.
    """
    aside: list[str] = []
    with contextlib.ExitStack() as held:
        try:
            while not _renamed(new, place):
                old = _move_aside(place, held)
                if old is not None:
                    aside.append(old)
        except BaseException:
            if aside and not os.path.lexists(place):
                os.rename(aside.pop(), place)
            raise
        finally:
            for old in aside:
                discard(old)


def _renamed(new: str, place: str) -> bool:
    try:
        os.rename(new, place)
    except OSError as e:
        if e.errno in _TAKEN:
            return False
        raise
    return True


def _move_aside(place: str, held: contextlib.ExitStack) -> str | None:
    folder, name = os.path.split(place)
    old = os.path.join(folder, temporary_name(name))
    try:
        mode = os.lstat(place).st_mode
        if stat.S_ISDIR(mode):
            refuse_mounts(place)  # a mount would leave its place with what is replaced
            # It may be old enough to be swept as litter, were it not held.
            fd = _open_directory(place)
            held.callback(os.close, fd)
            hold(fd)
        elif not stat.S_ISLNK(mode):
            raise FileExistsError(errno.EEXIST, "something that is no directory is there", place)
        os.rename(place, old)
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
