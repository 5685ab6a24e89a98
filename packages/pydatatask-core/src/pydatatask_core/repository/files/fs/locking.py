"""Removing what writers that died have left.

Who works on a temporary entry holds a lock (``flock``) on it, which ends with the process however
that ends; so an entry that is old and not locked is litter. Where the file system knows no
locks, nothing is ever taken for litter.
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
"""The target of a temporary file that only tries out whether one can be made."""

STALE_SECONDS = 24 * 60 * 60
"""The age from which a temporary entry that nobody holds is litter."""


def try_lock(fd: int) -> bool:
    """Take the lock of an open entry if it is free; it lasts until the descriptor is closed."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def remove_stale(folder: str, owns: Callable[[str], bool], stale: float = STALE_SECONDS) -> int:
    """Remove the litter of writers that died, and say how much it was.

    :param folder: where to look; not below it.
    :param owns: whether the name of a target is one of the caller's.
    :param stale: the age in seconds from which an entry that nobody holds is litter.
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
            "%d unfinished or deleted values in %s cannot be removed and are left behind, %s for "
            "one: %s",
            *(len(failures), folder, path, describe(error)),
        )
    return removed_count


def _remove_unless_locked(entry: os.DirEntry[str]) -> bool:
    if entry.is_symlink():
        os.unlink(entry.path)
        return True
    # Over NFS only a file that is open for writing can be locked; a directory never is.
    flags = os.O_RDONLY | os.O_DIRECTORY if entry.is_dir() else os.O_RDWR
    fd = os.open(entry.path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not try_lock(fd):
            return False
        remove_tree(entry.path)
    finally:
        os.close(fd)
    return True
