"""Who else could change what is in a folder. Everything here blocks for a moment.

The rule is the one that sshd applies to the files of its users: each directory on the way belongs
to root or to this user, and others may not write to it unless it is sticky, as ``/tmp`` is.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "MAX_LINKS",
    "component_problem",
    "is_own_folder",
    "parent_problem",
    "state_folder",
    "writable_by_others",
]

UID_MAP = "/proc/self/uid_map"
OVERFLOW_UID = 65534
"""The number that the kernel shows for users outside of this user namespace."""

MAX_LINKS = 40
"""Symbolic links on the way to one path, as the kernel limits them."""


def parent_problem(path: str) -> str | None:
    """Return why another user could replace a path or what is in it; None if none could.

    The path itself is not checked, only the directories and links that lead to it, also those
    behind a link in its own place.

    :param path: an absolute path; the end of it may be missing.
    """
    try:
        for component, status in _way_to(path):
            problem = _problem(component, status)
            if problem is not None:
                return problem
    except OSError as e:
        if e.errno not in (errno.ENOTDIR, errno.EACCES, errno.ELOOP):
            raise
        return None  # creating or opening it is what fails, and says why
    return None


def _way_to(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the directories and links that lead to a path, with their status."""
    here, names, links = "/", path.split("/")[::-1], 0
    while names:
        name = names.pop()
        if name in ("", "."):
            continue
        yield here, os.lstat(here)
        if name == "..":
            here = os.path.dirname(here)
            continue
        step = os.path.join(here, name)
        try:
            status = os.lstat(step)
        except FileNotFoundError:
            return
        if not stat.S_ISLNK(status.st_mode):
            here = step
            continue
        links += 1
        if links > MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        yield step, status
        target = os.readlink(step)
        here = "/" if target.startswith("/") else here
        names += target.split("/")[::-1]


def _problem(component: str, status: os.stat_result) -> str | None:
    private = status.st_mode & stat.S_IWGRP and _is_private(status.st_gid)
    mode = status.st_mode & ~stat.S_IWGRP if private else status.st_mode
    trusted = status.st_uid in (0, os.geteuid()) or _is_unmapped(status.st_uid)
    return component_problem(component, mode, status.st_uid, trusted=trusted)


def component_problem(component: str, mode: int, owner: int, *, trusted: bool) -> str | None:
    """Return why another user could replace what is behind one step on the way to a path.

    :param component: the directory or link.
    :param mode: its type and permissions; without that of its group, if that is this user alone.
    :param owner: the number of its owner.
    :param trusted: whether the owner is root or this user.
    """
    shown = f"mode {stat.S_IMODE(mode):04o}, owner {owner}"
    if not trusted:
        kind = "a symbolic link" if stat.S_ISLNK(mode) else "a directory"
        return (
            f"{component!r}, on the way to it, is {kind} of another user ({shown}), who could "
            "replace what is behind it; choose a folder below directories of root or your own"
        )
    if stat.S_ISDIR(mode) and mode & 0o022 and not mode & stat.S_ISVTX:
        return (
            f"other users may write to {component!r}, on the way to it ({shown}), and so replace "
            "what is in it; `chmod go-w` or, to share it, `chmod +t` makes it safe"
        )
    return None


def writable_by_others(status: os.stat_result) -> bool:
    """Determine whether others than root and this user may replace what is in a directory.

    The group of this user alone, which many systems create for each, is no other.

    :param status: the status of the directory.
    """
    mode = status.st_mode
    if mode & stat.S_ISVTX:
        return False
    return bool(mode & stat.S_IWOTH or (mode & stat.S_IWGRP and not _is_private(status.st_gid)))


def _is_private(group: int) -> bool:
    """Determine whether a group is the one of its own that this user has, with no other member."""
    if group == 0 or group != os.getegid():
        return False
    import grp
    import pwd

    try:
        name, found = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(group)
    except KeyError:
        return False
    return found.gr_name == name and set(found.gr_mem) <= {name}


def _is_unmapped(owner: int) -> bool:
    """Determine whether an owner is a user outside of this user namespace, as root of the host is.

    In a container without root, the kernel shows all of them as one, which is no user in it.
    """
    if owner != OVERFLOW_UID:
        return False
    try:
        with open(UID_MAP, encoding="ascii") as ranges:
            mapped = [[int(word) for word in line.split()] for line in ranges]
    except (OSError, ValueError):
        return False
    return not any(first <= owner < first + count for first, _, count in mapped)


def is_own_folder(path: str) -> bool:
    """Determine whether a directory, and no link, of this user alone is at a path.

    :param path: the path.
    """
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return (
        stat.S_ISDIR(status.st_mode)
        and status.st_uid == os.geteuid()
        and not writable_by_others(status)
    )


def state_folder(name: str) -> str | None:
    """Return a path for data of this machine in the home of this user, where others have no names.

    It does not depend on the environment, so that each process of the user finds the same one.

    :param name: the name of the data.
    :return: the path, which may be missing; None if the user has no home.
    """
    import pwd
    import socket

    home = ""
    with suppress(KeyError):
        home = pwd.getpwuid(os.geteuid()).pw_dir
    if not os.path.isabs(home) or not os.path.isdir(home):
        return None
    machine = socket.gethostname().replace("/", "_") or "localhost"
    return os.path.join(home, ".local", "state", "pydatatask", machine, name)
