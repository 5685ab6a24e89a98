"""Removal of the remains of dead writers.

A process that works on a temporary entry holds a lock (``flock``) on it, which ends with the
process in any case; so an old entry that is not locked is stale. On file systems without locks,
no entry is ever considered stale.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from typing import TYPE_CHECKING

from pydatatask_core.errors import describe
from pydatatask_core.utils.files import remove_tree

from .temporary_names import target_name

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PROBE", "remove_stale", "try_lock"]

log = logging.getLogger("pydatatask.repository")

PROBE = "probe"
"""The target name of a temporary file that only tests whether files can be created."""

STALE_SECONDS = 24 * 60 * 60
"""The age from which an unlocked temporary entry is stale."""


def try_lock(fd: int) -> bool:
    """Return True if the lock of an open entry was acquired; it is held until the fd is closed."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def remove_stale(folder: str, owns: Callable[[str], bool], stale: float = STALE_SECONDS) -> int:
    """Remove the stale entries of dead writers, and return their number.

    :param folder: the folder; subfolders are not searched.
    :param owns: returns True if the name of a target belongs to the caller.
    :param stale: the age in seconds from which an unlocked entry is stale.
    """
    deadline = time.time() - stale
    with os.scandir(folder) as entries:
        candidates = [entry for entry in entries if entry.name[0] == "."]
    removed_count, failures = 0, []
    for entry in candidates:
        target, cut = target_name(entry.name) or ("", False)
        if not target or not (cut or target == PROBE or owns(target)):
            continue
        try:
            if entry.stat(follow_symlinks=False).st_mtime < deadline:
                removed_count += _remove_unless_locked(entry)
        except FileNotFoundError:
            continue
        except OSError as e:
            failures.append((entry.path, e))
    if failures:
        path, error = failures[0]
        log.warning(
            "%d unfinished or deleted values in %s cannot be removed and are left behind, for "
            "example %s: %s",
            *(len(failures), folder, path, describe(error)),
        )
    return removed_count


def _remove_unless_locked(entry: os.DirEntry[str]) -> bool:
    if entry.is_symlink():
        os.unlink(entry.path)
        return True
    # Over NFS only files that are open for writing can be locked, and directories cannot.
    flags = os.O_RDONLY | os.O_DIRECTORY if entry.is_dir() else os.O_RDWR
    fd = os.open(entry.path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not try_lock(fd):
            return False
        remove_tree(entry.path)
    finally:
        os.close(fd)
    return True
