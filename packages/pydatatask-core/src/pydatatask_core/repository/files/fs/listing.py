"""What is in a folder, and what counts as there."""

from __future__ import annotations

import errno
import os
import stat
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EntryKind", "entry_exists", "has_entries", "list_folder"]

_BROKEN_LINK_ERRNOS = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


class EntryKind(Enum):
    """What an entry has to be, or what a symbolic link has to lead to."""

    ANY = "entry"
    FILE = "file"
    DIRECTORY = "directory"

    def matches(self, mode: int) -> bool:
        """Determine whether a status says so."""
        if self is EntryKind.FILE:
            return stat.S_ISREG(mode)
        return self is EntryKind.ANY or stat.S_ISDIR(mode)


def entry_exists(path: str, kind: EntryKind) -> bool:
    """Determine whether an entry of the kind is at a path.

    A symbolic link that leads nowhere is not there. Whatever keeps us from looking raises.
    """
    try:
        return kind.matches(os.stat(path).st_mode)
    except FileNotFoundError:
        return False
    except OSError as e:
        if e.errno in _BROKEN_LINK_ERRNOS and os.path.islink(path):
            return False
        raise


def list_folder(
    folder: str, kind: EntryKind, wanted: Callable[[str], bool]
) -> tuple[list[str], bool]:
    """List the names of the entries of a kind, and tell whether there are links among the wanted.

    A folder that does not exist is empty. :func:`entry_exists` agrees about every entry; only links
    cost a look at each.

    :param folder: its path.
    :param kind: what the entries have to be.
    :param wanted: which names to look at, at all.
    """
    is_plain = _IS_PLAIN[kind]
    links = 0

    def holds(entry: os.DirEntry[str]) -> bool:
        nonlocal links
        if is_plain(entry):
            return True
        if not entry.is_symlink():
            return False
        links += 1
        return entry_exists(entry.path, kind)

    try:
        entries = os.scandir(folder)
    except FileNotFoundError:
        return [], False
    with entries:
        return [name for e in entries if wanted(name := e.name) and holds(e)], links > 0


def has_entries(folder: str) -> bool:
    """Determine whether a directory has anything in it; one that is gone has not."""
    try:
        with os.scandir(folder) as entries:
            return any(True for _ in entries)
    except FileNotFoundError:
        return False


_IS_PLAIN: dict[EntryKind, Callable[[os.DirEntry[str]], bool]] = {
    EntryKind.ANY: lambda entry: not entry.is_symlink(),
    EntryKind.FILE: lambda entry: entry.is_file(follow_symlinks=False),
    EntryKind.DIRECTORY: lambda entry: entry.is_dir(follow_symlinks=False),
}
