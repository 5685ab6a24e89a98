"""Listing of folders, and checks of single entries."""

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
    """The required kind of an entry, or of the target of a symbolic link if links are followed."""

    ANY = "entry"
    FILE = "file"
    DIRECTORY = "directory"
    UNLINKED_ANY = "entry, not a link"
    UNLINKED_FILE = "file, not a link"
    UNLINKED_DIRECTORY = "directory, not a link"

    @property
    def unlinked(self) -> EntryKind:
        """The same kind without symbolic links."""
        return _UNLINKED.get(self, self)

    @property
    def follows(self) -> bool:
        """True if a symbolic link counts as its target."""
        return self in _UNLINKED

    def matches(self, mode: int) -> bool:
        """Return True if a file mode is of this kind."""
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
    """Return True if there is an entry of the kind at a path.

    Symbolic links that are broken, or that the kind does not follow, count as missing. Any error
    that prevents the check is raised.
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
    """Raise if a symbolic link is at a path, for code that passes the path on to others.

    :param path: the path.
    :raises OSError: ``ELOOP``, with the path.
    """
    if os.path.islink(path):
        raise OSError(errno.ELOOP, "a symbolic link, which follow_links=False rejects", path)


def list_folder(
    folder: str, kind: EntryKind, wanted: Callable[[str], bool]
) -> tuple[list[str], bool]:
    """Return the names of the entries of a kind, and whether there are links among them.

    A folder that does not exist is empty. The result agrees with :func:`entry_exists` for every
    entry; only links cost an additional system call each.

    :param folder: its path.
    :param kind: the required kind of the entries.
    :param wanted: returns True for names to consider.
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
    """Return True if a directory is not empty; False if it does not exist.

    :param folder: its path.
    :param kind: the kind, which determines whether a link to a directory counts.
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
