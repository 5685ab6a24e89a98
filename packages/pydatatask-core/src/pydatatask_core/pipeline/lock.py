"""Locks that prevent two drivers of one pipeline on one machine."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import socket
import stat
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from pydatatask_core.errors import PipelineLockedError, describe
from pydatatask_core.repository.files.base import FileRepositoryBase
from pydatatask_core.repository.files.fs.temporary_names import lock_name
from pydatatask_core.repository.snapshot import stores
from pydatatask_core.utils.ownership import is_own_folder, parent_problem, state_folder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydatatask_core.task.base import Task
    from pydatatask_core.task.link import Link

__all__ = ["DriverLock"]

log = logging.getLogger("pydatatask.pipeline")

_FileId = tuple[int, int]
"""The device and the inode of a file, which are the same however its path is spelled."""


class _HeldLocks:
    """The lock files that this process holds."""

    def __init__(self) -> None:
        self.descriptors: dict[_FileId, int] = {}
        self.mutex = threading.Lock()

    def close_in_fork(self) -> None:
        """Close inherited descriptors after a fork: a worker must not hold its driver's lock."""
        for descriptor in self.descriptors.values():
            os.close(descriptor)
        self.descriptors = {}
        self.mutex = threading.Lock()  # another thread of the parent may hold the old one


_held_locks = _HeldLocks()
os.register_at_fork(after_in_child=_held_locks.close_in_fork)


class DriverLock:
    """Locks for the tasks of a pipeline whose state outlives the process.

    The lock of a task is a file in each folder that contains its state: the folders of ``done``,
    ``pids`` and the like, or of its outputs if no such link is in files. Any process that
    reaches the folder finds it, by any path, as any user, from any container on this machine.
    If no state is in files, the lock is a file in the user's folder for temporary files, or
    in the user's home if another user has taken the name of that folder. A lock file can be opened
    only by users with write access to its folder, so that no other user can hold the lock.

    The lock is an ``flock``: it ends with the process, however that ends. A lock file is removed
    when the lock is released; a file left by a killed process locks nothing.

    :param tasks: the tasks to lock.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._tasks = list(tasks)
        self._files: dict[_FileId, Path] = {}

    def acquire(self) -> None:
        """Acquire all locks, or none. This blocks as long as a file system call may.

        :raises PipelineLockedError: if another driver holds the lock of a task.
        """
        try:
            for task in self._tasks:
                self._lock_task(task)
        except BaseException:
            self.release()
            raise

    def _lock_task(self, task: Task) -> None:
        folders = _state_folders(task)
        needs_temporary_lock = not folders
        for folder in folders:
            with contextlib.suppress(OSError):
                os.makedirs(folder, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                continue  # not writable: the repository raises when it opens
            try:
                self._acquire_file(folder / lock_name(_digest(task.name)[:16]), task)
            except OSError as e:
                needs_temporary_lock = True
                log.warning(
                    "%s: %s cannot be locked (%s), so other drivers are detected only if they run "
                    "as the same user on the same machine with the same TMPDIR",
                    *(task.name, folder, describe(e)),
                    extra={"task": task.name},
                )
        key = _temporary_lock_name(task) if needs_temporary_lock else None
        if key is not None:
            for folder in _own_folders():
                self._acquire_file(folder / f"{key}.lock", task)

    def _acquire_file(self, path: Path, task: Task) -> None:
        """Lock a file, and create it if it is missing.

        :raises PipelineLockedError: if another driver holds the lock, or this user may not open it.
        :raises OSError: if the folder does not support locks.
        """
        with _held_locks.mutex:
            while True:
                with contextlib.suppress(FileNotFoundError):
                    if _file_id(os.stat(path, follow_symlinks=False)) in _held_locks.descriptors:
                        process = _describe_process()
                        raise _locked_error(task, f"another pipeline of this process ({process})")
                descriptor = _open(path, task)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    file = _file_id(os.fstat(descriptor))
                    if not _is_current(path, file):  # its holder released and removed it
                        os.close(descriptor)
                        continue
                except BlockingIOError:
                    owner = os.pread(descriptor, 4096, 0).decode(errors="replace").strip()
                    os.close(descriptor)
                    raise _locked_error(task, owner or "another process") from None
                except BaseException:
                    os.close(descriptor)
                    raise
                _held_locks.descriptors[file] = descriptor
                self._files[file] = path
                break
        with contextlib.suppress(OSError):  # it may be another user's, or the disk full
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{_describe_process()}\n".encode(), 0)

    def release(self) -> None:
        """Release the locks. In a forked process this does nothing."""
        with _held_locks.mutex:
            for file, path in self._files.items():
                descriptor = _held_locks.descriptors.pop(file, None)
                if descriptor is None:
                    continue
                with contextlib.suppress(OSError):
                    if _is_current(path, file):
                        os.unlink(path)
                os.close(descriptor)
            self._files.clear()


def _open(path: Path, task: Task) -> int:
    """Open a lock file; create it for users with write access to its folder if it is missing."""
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    while True:
        try:
            return os.open(path, os.O_RDWR | flags)
        except PermissionError:
            try:
                return os.open(path, os.O_RDONLY | flags)
            except PermissionError as e:
                raise PipelineLockedError(
                    f"task {task.name}: the lock file {path} cannot be opened by this user; remove "
                    "it if no driver runs, or make it readable"
                ) from e
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | flags, 0o600)
                _share_with_group(descriptor, path.parent)
                return descriptor


def _share_with_group(descriptor: int, folder: Path) -> None:
    """Allow only the users with write access to the folder to open a lock file."""
    with contextlib.suppress(OSError):
        status = os.stat(folder)
        mode = 0o600
        if status.st_mode & stat.S_IWGRP:
            os.fchown(descriptor, -1, status.st_gid)
            mode |= 0o060
        if status.st_mode & stat.S_IWOTH:
            mode |= 0o006
        if os.geteuid() == 0:  # the owner may run the next driver
            os.fchown(descriptor, status.st_uid, -1)
        os.fchmod(descriptor, mode)


def _file_id(status: os.stat_result) -> _FileId:
    return status.st_dev, status.st_ino


def _is_current(path: Path, file: _FileId) -> bool:
    try:
        return _file_id(os.stat(path, follow_symlinks=False)) == file
    except FileNotFoundError:
        return False


def _describe_process() -> str:
    return f"process {os.getpid()} on {socket.gethostname()} ({' '.join(sys.argv)[:500]})"


def _locked_error(task: Task, owner: str) -> PipelineLockedError:
    return PipelineLockedError(
        f"task {task.name} is driven already, by {owner}; two drivers at once would run every job "
        "twice. Stop the other driver, or create the pipeline with exclusive=False if it is safe"
    )


def _state_folders(task: Task) -> list[Path]:
    """Return the folders for the lock files of a task; none if its state is not in files."""
    links = task.links.values()
    status = _folders(link for link in links if link.is_status)
    return status or _folders(link for link in links if link.is_output)


def _folders(links: Iterable[Link]) -> list[Path]:
    """Return the folders of links that are in files, each once, in one order for all drivers."""
    repos = stores(*(link.repo for link in links))
    folders = [repo.basedir for repo in repos if isinstance(repo, FileRepositoryBase)]
    return [Path(path) for path in sorted({os.path.realpath(folder) for folder in folders})]


def _temporary_lock_name(task: Task) -> str | None:
    """Return a lock name made from the location of a task's state, or None if it is in memory."""
    written = [link.repo for link in task.links.values() if link.is_output or link.is_status]
    identities = sorted({repo.identity for repo in stores(*written) if repo.identity is not None})
    if not identities:
        return None
    return _digest("\0".join([task.name, *identities]))[:32]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _own_folders() -> list[Path]:
    """Return this user's folders for the locks of state that is not in files.

    The second folder exists only if the name of the first was once taken by another user. It is
    then used in addition to the first, so that a driver that found the first folder taken and a
    driver that did not still exclude each other.

    :raises PipelineLockedError: if no folder is safe.
    """
    first = os.path.join(tempfile.gettempdir(), f"pydatatask-locks-{os.getuid()}")
    second = state_folder("locks")
    problem = _make_own(first)
    if problem is None:
        beside = second is not None and is_own_folder(second)
        return [Path(first), *([Path(second)] if second is not None and beside else [])]
    ours = _is_of_this_user(first) and not is_own_folder(first)  # the user can correct this
    if second is not None and not ours and _make_own(second) is None:
        return [Path(second)]
    raise PipelineLockedError(
        f"{first}, the folder for lock files, {problem}, so locks in it are not safe; "
        "remove it, set TMPDIR to another folder, or create the pipeline with exclusive=False"
    )


def _make_own(folder: str) -> str | None:
    """Create a folder of this user if it is missing; return its problem, or None if it is safe."""
    try:
        os.makedirs(os.path.dirname(folder), 0o700, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        if not is_own_folder(folder):
            return "is not a directory of this user alone"
        problem = parent_problem(folder)
        return problem and f"is not safe: {problem}"
    except OSError as e:
        return f"cannot be created: {describe(e)}"


def _is_of_this_user(path: str) -> bool:
    with contextlib.suppress(OSError):
        return os.lstat(path).st_uid == os.getuid()
    return False
