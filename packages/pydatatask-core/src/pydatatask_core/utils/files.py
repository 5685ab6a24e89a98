"""Complete writes, and removal of directory trees within one file system. All calls block.

A mount point cannot be removed, and the kernel reports this (``EBUSY``) before any other error,
even if a directory of the same device is mounted there (a bind mount), which has the same
``st_dev``. Therefore each directory is first opened and then tried with ``rmdir``: a directory that
fails as not empty is not a mount point. Directories are opened relative to their parent and without
following links, so a directory that is renamed or replaced by a link meanwhile does not lead
anywhere else.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "check_no_mounts",
    "escape_mount_point",
    "find_mount_point",
    "remove_tree",
    "unescape_mount_point",
    "write_all",
]

MOUNTINFO = "/proc/self/mountinfo"

_MOUNTINFO_ESCAPES = {b"\\": rb"\134", b" ": rb"\040", b"\t": rb"\011", b"\n": rb"\012"}
_OPEN_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_ATTEMPTS = 3


def remove_tree(path: str) -> None:
    """Remove a file, a link or a directory with its contents; succeed if nothing is there.

    Symbolic links are removed, not followed. If permissions of a directory forbid the removal of
    its entries and it belongs to this user, they are extended. Other processes may remove the same
    tree at the same time.

    :param path: the path.
    :raises OSError: if something cannot be removed. ``EBUSY`` names the file system that is mounted
        at or below the path, none of which is removed. Nothing else is removed either, unless the
        path has no subdirectories and one of its files is a mount point.
    """
    for attempt in range(_MAX_ATTEMPTS):
        try:
            _remove(path)
        except OSError as e:
            # Another process added something meanwhile.
            if e.errno != errno.ENOTEMPTY or attempt == _MAX_ATTEMPTS - 1:
                raise
        else:
            return


def write_all(fd: int, data: bytes | bytearray | memoryview) -> None:
    """Write all of the data to a file descriptor; one system call may write only a part.

    :param fd: a descriptor in blocking mode.
    :param data: the data.
    """
    rest = memoryview(data).cast("B")
    while rest:
        rest = rest[os.write(fd, rest) :]


def check_no_mounts(path: str) -> None:
    """Raise an error if a file system is mounted at or below a path.

    :param path: the path. If its last component is a link, the link is not followed.
    :raises OSError: ``EBUSY``, with the mount point.
    """
    point = find_mount_point(path)
    if point is not None:
        raise _mount_error(point)


def find_mount_point(path: str) -> str | None:
    """Return a mount point at or below a path, or None if there is none.

    None is also returned if the system has no list of mounts; :func:`remove_tree` does not depend
    on it.

    :param path: the path. If its last component is a link, the link is not followed.
    """
    folder, name = os.path.split(os.path.abspath(path))
    mount_path = escape_mount_point(os.path.join(os.path.realpath(folder), name))
    try:
        with open(MOUNTINFO, "rb", buffering=0) as file:
            lines = file.readall().split(b"\n")
    except OSError:
        return None
    for line in lines:
        point = line.split(b" ", 5)[4:5]
        if point and (point[0] == mount_path or point[0].startswith(mount_path + b"/")):
            return unescape_mount_point(point[0])
    return None


def escape_mount_point(path: str) -> bytes:
    r"""Return a path as the kernel's list of mounts has it, with ``\040`` for a space.

    :param path: the path.
    """
    return re.sub(rb"[\\ \t\n]", lambda match: _MOUNTINFO_ESCAPES[match[0]], os.fsencode(path))


def unescape_mount_point(point: bytes) -> str:
    """Return the path for a listed mount point; the inverse of :func:`escape_mount_point`.

    :param point: the path in the notation of the list.
    """
    return os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8)]), point))


class _Level(NamedTuple):
    """An open directory that is being removed, and the names that remain in it."""

    fd: int
    path: str
    name: str
    device: int
    files: list[str]
    folders: list[str]


def _remove(path: str) -> None:
    levels: list[_Level] = []
    try:
        _enter_directory(levels, path, path)
        if levels and levels[0].folders:
            check_no_mounts(path)  # most directories contain only files, and do not need this
        while levels:
            level = levels[-1]
            if level.folders:
                name = level.folders.pop()
                _enter_directory(levels, name, f"{level.path}/{name}")
                continue
            for name in level.files:
                _remove_entry(os.unlink, name, f"{level.path}/{name}", level)
            os.close(levels.pop().fd)
            _remove_entry(os.rmdir, level.name, level.path, levels[-1] if levels else None)
    finally:
        for level in levels:
            os.close(level.fd)


def _enter_directory(levels: list[_Level], name: str, path: str) -> None:
    """Open a directory and add it to the levels; remove an empty directory or a file at once."""
    parent = levels[-1] if levels else None
    try:
        fd = _open(name, path, parent)
    except FileNotFoundError:
        return
    except OSError as e:
        if e.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        return _remove_entry(os.unlink, name, path, parent)
    try:
        try:
            _remove_entry(os.rmdir, name, path, parent)
        except OSError as e:
            if e.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            levels.append(_list(fd, path, name, parent))
    finally:
        if not levels or levels[-1].fd != fd:
            os.close(fd)


def _list(fd: int, path: str, name: str, parent: _Level | None) -> _Level:
    level = _Level(fd, path, name, os.fstat(fd).st_dev, [], [])
    if parent is not None and level.device != parent.device:
        raise _mount_error(path)
    with os.scandir(fd) as entries:
        for entry in entries:
            names = level.folders if entry.is_dir(follow_symlinks=False) else level.files
            names.append(entry.name)
    return level


def _open(name: str, path: str, parent: _Level | None) -> int:
    dir_fd = None if parent is None else parent.fd
    try:
        return os.open(name, _OPEN_DIRECTORY_FLAGS, dir_fd=dir_fd)
    except PermissionError:
        with _errors_with_path(path):
            if parent is not None:
                os.fchmod(parent.fd, stat.S_IRWXU)
            _add_owner_permissions(name, dir_fd)
            return os.open(name, _OPEN_DIRECTORY_FLAGS, dir_fd=dir_fd)


def _add_owner_permissions(name: str, dir_fd: int | None) -> None:
    """Extend the permissions of a directory for its owner; never follow a link."""
    fd = os.open(name, _OPEN_DIRECTORY_FLAGS | os.O_PATH, dir_fd=dir_fd)
    try:
        os.chmod(f"/proc/self/fd/{fd}", stat.S_IRWXU)
    finally:
        os.close(fd)


def _remove_entry(
    operation: Callable[..., None], name: str, path: str, parent: _Level | None
) -> None:
    """Remove an entry of a directory if it exists."""
    try:
        if parent is None:
            operation(name)
        else:
            operation(name, dir_fd=parent.fd)
    except FileNotFoundError:
        return
    except PermissionError:
        with contextlib.suppress(FileNotFoundError), _errors_with_path(path):
            if parent is None:
                raise
            os.fchmod(parent.fd, stat.S_IRWXU)
            operation(name, dir_fd=parent.fd)
    except OSError as e:
        raise _with_path(e, path) from e


@contextlib.contextmanager
def _errors_with_path(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as e:
        raise _with_path(e, path) from e


def _with_path(error: OSError, path: str) -> OSError:
    """Return the error with the whole path; if a mount is the reason, with the mount point."""
    if error.errno == errno.EBUSY and (point := find_mount_point(path)) is not None:
        return _mount_error(point)
    return OSError(error.errno, error.strerror, path)


def _mount_error(point: str) -> OSError:
    return OSError(errno.EBUSY, "a file system is mounted there, and is left unchanged", point)
