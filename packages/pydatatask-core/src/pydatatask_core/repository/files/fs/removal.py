"""Removal of a repository's entries, and of no other entries with their names."""

from __future__ import annotations

import errno
import logging
import os
import stat

from pydatatask_core.errors import describe
from pydatatask_core.utils.files import check_no_mounts, remove_tree

from .listing import EntryKind, entry_exists
from .temporary_names import temporary_name

__all__ = ["discard", "remove_directory", "remove_file"]

log = logging.getLogger("pydatatask.repository")


def remove_file(path: str, kind: EntryKind = EntryKind.FILE) -> bool:
    """Remove a regular file, or a symbolic link to one or to nowhere.

    :param path: the file.
    :param kind: the kind, which determines whether links are removed.
    :returns: True if there was such an entry.
    """
    try:
        if not _is_kind(path, kind):
            return False
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def remove_directory(path: str, kind: EntryKind = EntryKind.DIRECTORY) -> bool:
    """Remove a directory with its contents, or a symbolic link to one or to nowhere.

    Links are removed, not followed. A directory is first renamed to a temporary name, so that it is
    never visible while partly removed; content that cannot be removed is left under that name.

    :param path: the directory.
    :param kind: the kind, which determines whether links are removed.
    :raises OSError: if a file system is mounted in the directory, which then stays unchanged.
    :returns: True if there was such an entry.
    """
    folder, name = os.path.split(path)
    aside = os.path.join(folder, temporary_name(name))
    try:
        if not _is_kind(path, kind):
            return False
        check_no_mounts(path)
        os.rename(path, aside)
    except FileNotFoundError:
        return False
    try:
        remove_tree(aside)
    except OSError as e:
        if e.errno == errno.EBUSY and not os.path.lexists(path):
            os.rename(aside, path)  # it was mounted after the check
            raise
        warn_left_behind(aside, e)
    return True


def discard(path: str) -> None:
    """Remove an entry that is no longer used; if that fails, leave it and log a warning.

    :param path: the entry; it may be missing.
    """
    try:
        remove_tree(path)
    except OSError as e:
        warn_left_behind(path, e)


def warn_left_behind(path: str, error: OSError) -> None:
    """Log a warning that an entry is left under a temporary name."""
    log.warning(
        "%s could not be removed (%s); it is left behind, and removal is retried when a pipeline "
        "that writes there is opened at least a day later",
        *(path, describe(error)),
    )


def _is_kind(path: str, kind: EntryKind) -> bool:
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode) and kind.follows:
        return entry_exists(path, kind) or not entry_exists(path, EntryKind.ANY)
    return kind.matches(mode)
