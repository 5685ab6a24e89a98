"""Keeping two drivers of one pipeline on one machine apart."""

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
from pydatatask_core.repository.snapshot import View
from pydatatask_core.utils.ownership import is_own_folder, parent_problem, state_folder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydatatask_core.repository.base import Repository
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
        """Close what a forked process inherits: a worker must not keep the lock of its driver."""
        for descriptor in self.descriptors.values():
            os.close(descriptor)
        self.descriptors = {}
        self.mutex = threading.Lock()  # another thread of the parent may hold that


_held_locks = _HeldLocks()
os.register_at_fork(after_in_child=_held_locks.close_in_fork)


class DriverLock:
    """Locks the tasks of a pipeline whose state outlives the process.

    The lock of a task is a file in each folder where its state is: the folders of ``done``,
    ``pids`` and the like, or of its outputs if no such link is in files. Any process that
    reaches the folder finds it, by any path, as any user, from any container on this machine.
    State that is nowhere in files is locked by a file in the user's folder for temporary files, or
    in the user's home if another user has taken the name of that folder. A lock file can be opened
    only by users who may write to its folder, so that no other can hold it.

    It is ``flock`` that locks: the lock ends with the process, however that ends. A lock file is
    removed when the lock is released; one that a killed process has left locks nothing.

    :param tasks: the tasks that are to be driven.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._tasks = list(tasks)
        self._files: dict[_FileId, Path] = {}

    def acquire(self) -> None:
        """Acquire all the locks, or none. This blocks for as long as a file system may.

        :raises PipelineLockedError: if another driver has one of the tasks.
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
                continue  # nothing can be recorded there: the repository says so when it opens
            try:
                self._acquire_file(folder / lock_name(_digest(task.name)[:16]), task)
            except OSError as e:
                needs_temporary_lock = True
                log.warning(
                    "%s: %s cannot be locked (%s), so drivers are kept apart only if they are of "
                    "one user on one machine with one TMPDIR",
                    *(task.name, folder, describe(e)),
                    extra={"task": task.name},
                )
        key = _temporary_lock_name(task) if needs_temporary_lock else None
        if key is not None:
            for folder in _own_folders():
                self._acquire_file(folder / f"{key}.lock", task)

    def _acquire_file(self, path: Path, task: Task) -> None:
        """Lock a file, which is made if need be.

        :raises PipelineLockedError: if another driver has it, or it is not ours to open.
        :raises OSError: if nothing can be locked there.
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
                    if not _is_current(path, file):  # its holder released it, and has removed it
                        os.close(descriptor)
                        continue
                except BlockingIOError:
                    owner = os.pread(descriptor, 4096, 0).decode(errors="replace").strip()
                    os.close(descriptor)
                    raise _locked_error(task, owner or "another process") from None  # it says all
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
        """Release the locks. A forked process has none to release."""
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
    """Open a lock file, or make it for all who may write to its folder."""
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    while True:
        try:
            return os.open(path, os.O_RDWR | flags)
        except PermissionError:
            try:
                return os.open(path, os.O_RDONLY | flags)
            except PermissionError as e:
                raise PipelineLockedError(
                    f"task {task.name}: {path}, which keeps drivers apart, cannot be opened by "
                    "this user; remove it if no driver runs, or make it readable"
                ) from e
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | flags, 0o600)
                _share_with_group(descriptor, path.parent)
                return descriptor


def _share_with_group(descriptor: int, folder: Path) -> None:
    """Let the users who may write to its folder open a lock file, and no others."""
    with contextlib.suppress(OSError):
        status = os.stat(folder)
        mode = 0o600
        if status.st_mode & stat.S_IWGRP:
            os.fchown(descriptor, -1, status.st_gid)
            mode |= 0o060
        if status.st_mode & stat.S_IWOTH:
            mode |= 0o006
        if os.geteuid() == 0:  # the owner may be the next to drive, if this process is killed
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
        "twice. End the other one, or make the pipeline with exclusive=False if you know better"
    )


def _state_folders(task: Task) -> list[Path]:
    """Find the folders whose lock files keep drivers of a task apart; none if it has no files."""
    links = task.links.values()
    status = _folders(link for link in links if link.is_status)
    return status or _folders(link for link in links if link.is_output)


def _folders(links: Iterable[Link]) -> list[Path]:
    """Find the folders of the links that are in files, each once, in one order for all drivers."""
    leaves = [leaf for link in links for leaf in _written_leaves(link.repo)]
    folders = [leaf.basedir for leaf in leaves if isinstance(leaf, FileRepositoryBase)]
    return [Path(path) for path in sorted({os.path.realpath(folder) for folder in folders})]


def _temporary_lock_name(task: Task) -> str | None:
    """Name a task by where its state lives; None if that ends with the process."""
    identities = sorted(
        {
            leaf.identity
            for link in task.links.values()
            if link.is_output or link.is_status
            for leaf in _written_leaves(link.repo)
            if leaf.identity is not None
        }
    )
    if not identities:
        return None
    return _digest("\0".join([task.name, *identities]))[:32]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _written_leaves(repo: Repository) -> Iterable[Repository]:
    if isinstance(repo, View):
        for child in repo.children.values():
            yield from _written_leaves(child)
    else:
        yield repo


def _own_folders() -> list[Path]:
    """Return the folders of this user in which state that is nowhere in files is locked.

    The second of them is there only if the name of the first was once taken by another user. It
    is then used beside the first, so that a driver which found the first one taken, and one which
    did not, still exclude each other.

    :raises PipelineLockedError: if there is no folder that can be trusted.
    """
    first = os.path.join(tempfile.gettempdir(), f"pydatatask-locks-{os.getuid()}")
    second = state_folder("locks")
    problem = _make_own(first)
    if problem is None:
        beside = second is not None and is_own_folder(second)
        return [Path(first), *([Path(second)] if second is not None and beside else [])]
    ours = _is_of_this_user(first) and not is_own_folder(first)  # for the user to mend
    if second is not None and not ours and _make_own(second) is None:
        return [Path(second)]
    raise PipelineLockedError(
        f"{first}, where drivers are kept apart, {problem}, so no lock can be trusted there; "
        "remove it, set TMPDIR to another folder, or make the pipeline with exclusive=False"
    )


def _make_own(folder: str) -> str | None:
    """Make a folder of this user if it is missing, and return what is wrong with it."""
    try:
        os.makedirs(os.path.dirname(folder), 0o700, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        if not is_own_folder(folder):
            return "is not a directory of this user alone"
        problem = parent_problem(folder)
        return problem and f"is not safe: {problem}"
    except OSError as e:
        return f"cannot be made: {describe(e)}"


def _is_of_this_user(path: str) -> bool:
    with contextlib.suppress(OSError):
        return os.lstat(path).st_uid == os.getuid()
    return False
