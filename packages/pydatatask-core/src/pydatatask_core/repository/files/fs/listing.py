"""What is in a folder, and what counts as there."""

from __future__ import annotations

import errno
import os
import stat
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EntryKind", "check_no_link", "entry_exists", "has_entries", "list_folder"]

_BROKEN_LINK_ERRNOS = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


class EntryKind(Enum):
    """What an entry has to be, or what a symbolic link has to lead to, if links are followed."""

    ANY = "entry"
    FILE = "file"
    DIRECTORY = "directory"
    UNLINKED_ANY = "entry that is no link"
    UNLINKED_FILE = "file that is no link"
    UNLINKED_DIRECTORY = "directory that is no link"

    @property
    def unlinked(self) -> EntryKind:
        """The same kind without symbolic links."""
        return _UNLINKED.get(self, self)

    @property
    def follows(self) -> bool:
        """Whether a symbolic link counts as the entry that it leads to."""
        return self in _UNLINKED

    def matches(self, mode: int) -> bool:
        """Determine whether a status says so."""
        if self in (EntryKind.FILE, EntryKind.UNLINKED_FILE):
            return stat.S_ISREG(mode)
        if self in (EntryKind.DIRECTORY, EntryKind.UNLINKED_DIRECTORY):
            return stat.S_ISDIR(mode)
        return self is EntryKind.ANY or not stat.S_ISLNK(mode)


_UNLINKED = {
    EntryKind.ANY: EntryKind.UNLINKED_ANY,
    EntryKind.FILE: EntryKind.UNLINKED_FILE,
    EntryKind.DIRECTORY: EntryKind.UNLINKED_DIRECTORY,
}


def entry_exists(path: str, kind: EntryKind) -> bool:
    """Determine whether an entry of the kind is at a path.

    A symbolic link that leads nowhere, or that the kind does not follow, is not there. Whatever
    keeps us from looking raises.
    """
    try:
        return kind.matches(os.stat(path, follow_symlinks=kind.follows).st_mode)
    except FileNotFoundError:
        return False
    except OSError as e:
        if e.errno in _BROKEN_LINK_ERRNOS and os.path.islink(path):
            return False
        raise


def check_no_link(path: str) -> None:
    """Raise an error if a symbolic link is at a path, for code that hands the path to others.

    :param path: the path.
    :raises OSError: ``ELOOP``, with the path.
    """
    if os.path.islink(path):
        raise OSError(errno.ELOOP, "a symbolic link, which follow_links=False refuses", path)


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
    is_plain = _IS_PLAIN[kind.unlinked]
    links = 0

    def holds(entry: os.DirEntry[str]) -> bool:
        nonlocal links
        if is_plain(entry):
            return True
        if not kind.follows or not entry.is_symlink():
            return False
        links += 1
        return entry_exists(entry.path, kind)

    try:
        entries = os.scandir(folder)
    except FileNotFoundError:
        return [], False
    with entries:
        return [name for e in entries if wanted(name := e.name) and holds(e)], links > 0


def has_entries(folder: str, kind: EntryKind = EntryKind.DIRECTORY) -> bool:
    """Determine whether a directory has anything in it; one that is gone has not.

    :param folder: its path.
    :param kind: tells whether a link to a directory counts.
    """
    try:
        if not kind.follows and not entry_exists(folder, kind):
            return False
        with os.scandir(folder) as entries:
            return any(True for _ in entries)
    except FileNotFoundError:
        return False


_IS_PLAIN: dict[EntryKind, Callable[[os.DirEntry[str]], bool]] = {
    EntryKind.UNLINKED_ANY: lambda entry: not entry.is_symlink(),
    EntryKind.UNLINKED_FILE: lambda entry: entry.is_file(follow_symlinks=False),
    EntryKind.UNLINKED_DIRECTORY: lambda entry: entry.is_dir(follow_symlinks=False),
}
