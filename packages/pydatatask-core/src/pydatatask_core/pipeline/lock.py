"""Keeping two drivers of one pipeline on one machine apart."""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import stat
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pydatatask_core.errors import PipelineLockedError, describe
from pydatatask_core.repository.listing import Combinator

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydatatask_core.repository.base import Repository
    from pydatatask_core.task.base import Task

__all__ = ["DriverLock"]


class DriverLock:
    """Locks the tasks of a pipeline whose state outlives the process, one lock file a task.

    The locks are POSIX record locks: they end with the process, however it ends, and are not
    inherited by the workers that it forked. Within a process the table below stands in for them.

    :param tasks: the tasks that are to be driven.
    """

    # By the process that took them: a fork inherits this table, and none of the locks.
    _ours: dict[Path, int] = {}  # noqa: RUF012 - a record lock belongs to the process as well

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._keys = {key: task for task in tasks if (key := _key(task)) is not None}
        self._held: dict[Path, int] = {}

    def acquire(self) -> None:
        """Take all the locks, or none.

        :raises PipelineLockedError: if another driver has one of the tasks.
        """
        if not self._keys:
            return
        folder = _folder()
        try:
            for key, task in sorted(self._keys.items()):
                self._take(folder / f"{key}.lock", task)
        except BaseException:
            self.release()
            raise

    def _take(self, path: Path, task: Task) -> None:
        here = f"process {os.getpid()} on {socket.gethostname()}"
        if self._ours.get(path) == os.getpid():
            raise _locked(task, f"another pipeline of this process ({here})")
        # Opened and closed only when the lock is to be had: closing any descriptor of the file
        # would give up a lock that this process holds on it.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 4096, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise _locked(task, owner or "another process") from None  # it says all
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{here} ({' '.join(sys.argv)[:500]})\n".encode(), 0)
        self._held[path] = descriptor
        self._ours[path] = os.getpid()

    def release(self) -> None:
        """Give the locks back."""
        for path, descriptor in self._held.items():
            if self._ours.get(path) == os.getpid():  # what a fork holds is its parent's
                os.ftruncate(descriptor, 0)
                del self._ours[path]
            os.close(descriptor)
        self._held.clear()


def _locked(task: Task, owner: str) -> PipelineLockedError:
    return PipelineLockedError(
        f"task {task.name} is driven already, by {owner}; two drivers would do every job twice. "
        "End the other one, or make the pipeline with exclusive=False if you know better"
    )


def _key(task: Task) -> str | None:
    """Name a task by where its state lives; None if that ends with the process."""
    places = sorted(
        {
            leaf.identity
            for link in task.links.values()
            if link.is_output or link.is_status
            for leaf in _written(link.repo)
            if leaf.identity is not None
        }
    )
    if not places:
        return None
    return hashlib.sha256("\0".join([task.name, *places]).encode()).hexdigest()[:32]


def _written(repo: Repository) -> Iterable[Repository]:
    if isinstance(repo, Combinator):
        for child in repo.children.values():
            yield from _written(child)
    else:
        yield repo


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"pydatatask-locks-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as e:
        raise PipelineLockedError(
            f"{folder}, where drivers are kept apart, cannot be made: {describe(e)}; set TMPDIR to "
            "another folder, or make the pipeline with exclusive=False"
        ) from e
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PipelineLockedError(
            f"{folder} is not a directory of this user, so no lock can be trusted there; remove it "
            "or set TMPDIR"
        )
    return folder
