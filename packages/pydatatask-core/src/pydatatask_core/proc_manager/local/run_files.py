"""Access to the files of a run directory. Everything here blocks.

No other module opens these files. A job has had access to the directory, so each entry may be
anything: a link, a FIFO, a device, a file of another user, a file with further hard links. The
directory is opened first, and never through a link; its files are opened relative to that
descriptor. A file is opened with ``O_PATH``, which has no effect on it and never blocks, and read
only if it is a regular file with one link that belongs to this user.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from typing import TYPE_CHECKING, Self

from pydatatask_core.errors import ProcessManagerError

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["MAX_CONTROL_BYTES", "RunDirectory", "RunFileError"]

MAX_CONTROL_BYTES = 4096
"""The maximum number of bytes that are read from a file that is not an output."""

MAX_HOLE_BYTES = 1 << 30
"""The size in bytes from which a file is refused if less than a thousandth of it is stored."""

_MIN_STORED = 1000
_BLOCK_BYTES = 512
"""The unit of ``st_blocks`` in bytes."""

_OPEN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | _OPEN

_FORBIDDEN = "the permissions of its directory deny access to it"

_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFDIR: "a directory",
}


class RunFileError(ProcessManagerError):
    """A file of a run directory is not the regular file any more that the job was started with."""


def file_error(name: str, why: str) -> RunFileError:
    """Return the error of a file that is refused.

    :param name: the name of the file.
    :param why: the reason.
    """
    return RunFileError(f"`{name}` is not a regular file any more ({why})")


class RunDirectory:
    """An open run directory, or another private directory of the manager.

    :param path: the path. If its last component is a link, it is refused.
    :raises FileNotFoundError: if it does not exist.
    :raises RunFileError: if it is not a directory, or cannot be entered.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self.fd = os.open(path, _DIRECTORY)
        except OSError as e:
            if e.errno not in (errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.EPERM):
                raise
            name = os.path.basename(path)
            raise RunFileError(f"`{name}` is not its run directory any more ({_why(path)})") from e
        self.status = os.fstat(self.fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptor; doing so again does nothing."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def mode(self, name: str) -> int | None:
        """Return the type and permissions of an entry, or None if it does not exist.

        :param name: the name of the entry. A link is not followed.
        :raises RunFileError: if the permissions of the directory deny access to it.
        """
        try:
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return None
        except PermissionError as e:
            raise file_error(name, _FORBIDDEN) from e

    def names(self) -> list[str]:
        """Return the names of all entries."""
        return os.listdir(self.fd)

    def open(
        self,
        name: str,
        flags: int = os.O_RDONLY,
        *,
        max_links: int = 1,
        other_link: str | None = None,
    ) -> int:
        """Open an existing file, and return its descriptor.

        :param name: the name of the file.
        :param flags: the flags of ``os.open``.
        :param max_links: the maximum number of hard links of the file.
        :param other_link: a path that may be one more link to the file.
        :raises FileNotFoundError: if it does not exist.
        :raises RunFileError: if it is not a regular file of this user with one link.
        """
        try:
            path_fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.fd)
        except PermissionError as e:
            raise file_error(name, _FORBIDDEN) from e
        try:
            status = os.fstat(path_fd)
            links = status.st_nlink
            if links > max_links and other_link is not None and _is_same(status, other_link):
                links -= 1
            problem = _problem(status, links, max_links)
            if problem is not None:
                raise file_error(name, problem)
            try:
                return os.open(f"/proc/self/fd/{path_fd}", flags | os.O_CLOEXEC)
            except PermissionError as e:
                raise file_error(name, "its permissions deny opening it") from e
        finally:
            os.close(path_fd)

    def read(self, name: str, limit: int = MAX_CONTROL_BYTES) -> tuple[bytes, float] | None:
        """Read a small file; return its content and its modification time.

        :param name: the name of the file.
        :param limit: the maximum number of bytes to read.
        :return: None if it does not exist.
        :raises RunFileError: if it is not a regular file of this user with one link.
        """
        try:
            fd = self.open(name)
        except FileNotFoundError:
            return None
        try:
            return os.read(fd, limit), os.fstat(fd).st_mtime
        finally:
            os.close(fd)

    def create(self, name: str, data: bytes, mode: int = 0o600) -> None:
        """Write a file that does not exist yet.

        :param name: the name of the file.
        :param data: its content.
        :param mode: its permissions.
        :raises FileExistsError: if an entry of that name exists.
        """
        _write_all(self.create_fd(name, mode), data)

    def create_fd(self, name: str, mode: int = 0o600) -> int:
        """Create a file that does not exist yet, and return a descriptor for writing.

        :param name: the name of the file.
        :param mode: its permissions.
        :raises FileExistsError: if an entry of that name exists.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN
        return os.open(name, flags, mode, dir_fd=self.fd)

    def append(self, name: str, data: bytes) -> None:
        """Append to a file, which is created if it does not exist.

        :param name: the name of the file.
        :param data: the bytes to append.
        :raises RunFileError: if it is not a regular file of this user with one link.
        """
        try:
            fd = self.open(name, os.O_WRONLY | os.O_APPEND)
        except FileNotFoundError:
            fd = self.create_fd(name)
        _write_all(fd, data)

    def replace(self, name: str, data: bytes) -> None:
        """Write a file atomically, replacing an existing one.

        :param name: the name of the file.
        :param data: its content.
        """
        passing = f"{name}.{os.urandom(8).hex()}~"
        try:
            self.create(passing, data)
            os.rename(passing, name, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        except BaseException:
            self.remove(passing)
            raise

    def remove(self, name: str) -> None:
        """Remove an entry that is not a directory; succeed if it does not exist.

        :param name: the name of the entry. If it is a link, the link is removed.
        """
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.fd)

    def make_directory(self, name: str) -> None:
        """Create a directory in this one.

        :param name: its name.
        :raises FileExistsError: if an entry of that name exists.
        """
        os.mkdir(name, 0o700, dir_fd=self.fd)

    def link(self, name: str, target: RunDirectory) -> None:
        """Link a file into another directory, or copy it if the file system has no hard links.

        A file of that name in the other directory is replaced.

        :param name: the name of the file in both directories.
        :param target: the other directory.
        :raises FileNotFoundError: if it does not exist.
        :raises RunFileError: if it is not a regular file of this user with one link.
        """
        fd = self.open(name, other_link=os.path.join(target.path, name))
        try:
            target.remove(name)
            try:
                os.link(
                    *(name, name),
                    src_dir_fd=self.fd,
                    dst_dir_fd=target.fd,
                    follow_symlinks=False,
                )
            except FileNotFoundError:
                raise
            except OSError:  # another file system, or one without hard links
                _copy(fd, target, name)
                return
            linked = os.stat(name, dir_fd=target.fd, follow_symlinks=False)
            if not os.path.samestat(linked, os.fstat(fd)):
                target.remove(name)
                raise file_error(name, "it was replaced meanwhile")
        finally:
            os.close(fd)


def _problem(status: os.stat_result, links: int, max_links: int) -> str | None:
    """Return why a file is refused, or None if it is accepted."""
    if not stat.S_ISREG(status.st_mode):
        return f"it is {_KINDS.get(stat.S_IFMT(status.st_mode), 'of an unknown kind')}"
    if status.st_uid != os.geteuid():
        return f"it belongs to user {status.st_uid}"
    if links > max_links:
        return f"it is a hard link: the file has {links} names"
    stored = status.st_blocks * _BLOCK_BYTES
    if status.st_size > MAX_HOLE_BYTES and stored < status.st_size // _MIN_STORED:
        return f"it has {status.st_size} bytes, of which {stored} are stored"
    return None


def _is_same(status: os.stat_result, path: str) -> bool:
    try:
        return os.path.samestat(status, os.lstat(path))
    except OSError:
        return False


def _why(path: str) -> str:
    """Return why a path cannot be opened as a directory."""
    try:
        mode = os.lstat(path).st_mode
    except OSError as e:
        return f"{e.strerror}"
    if stat.S_ISDIR(mode):
        return "its permissions deny entering it"
    return f"it is {_KINDS.get(stat.S_IFMT(mode), 'a file')}"


def _copy(fd: int, target: RunDirectory, name: str) -> None:
    partial = f"{name}~"
    target.remove(partial)
    try:
        target.create(partial, b"")
        shutil.copyfile(f"/proc/self/fd/{fd}", f"/proc/self/fd/{target.fd}/{partial}")
        os.rename(partial, name, src_dir_fd=target.fd, dst_dir_fd=target.fd)
    except BaseException:
        target.remove(partial)
        raise


def _write_all(fd: int, data: bytes) -> None:
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
    finally:
        os.close(fd)
