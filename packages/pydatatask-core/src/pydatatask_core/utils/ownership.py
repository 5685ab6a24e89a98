"""Checks whether other users could change the contents of a folder. All calls block briefly.

The rule is the one of sshd for its users' files: each directory on the path belongs to root or to
this user, and others may not write to it unless it is sticky, as ``/tmp`` is.
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
    "PathWalk",
    "component_problem",
    "is_own_folder",
    "parent_problem",
    "state_folder",
    "writable_by_others",
]

UID_MAP = "/proc/self/uid_map"
OVERFLOW_UID = 65534
"""The user id that the kernel shows for users outside of this user namespace."""

MAX_LINKS = 40
"""The kernel's limit of symbolic links in the resolution of one path."""


def parent_problem(path: str) -> str | None:
    """Return how another user could replace a path or its contents, or None if none could.

    Only the directories and links that lead to the path are checked, not the path itself. If it is
    a link, those that lead to its target are checked as well.

    :param path: an absolute path; its last components may be missing.
    """
    try:
        for component, status in _way_to(path):
            problem = _problem(component, status)
            if problem is not None:
                return problem
    except OSError as e:
        if e.errno not in (errno.ENOTDIR, errno.EACCES, errno.ELOOP):
            raise
        return None  # creating or opening it will fail with this error
    return None


def _way_to(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the directories and links that lead to a path, with their status."""
    walk = PathWalk(path)
    while (step := walk.next_step()) is not None:
        yield walk.directory, os.lstat(walk.directory)
        try:
            status = os.lstat(step)
        except FileNotFoundError:
            return
        if stat.S_ISLNK(status.st_mode):
            yield step, status
            walk.follow(os.readlink(step))
        else:
            walk.enter(step)


class PathWalk:
    """The way of the kernel along a path, for a caller that examines the files on it.

    :param path: an absolute path.
    """

    def __init__(self, path: str) -> None:
        self.directory = "/"
        """The directory that contains the next step."""
        self._names = path.split("/")[::-1]
        self._links = 0

    def next_step(self) -> str | None:
        """Return the path of the next file; None at the end, or after :data:`MAX_LINKS` links.

        The caller calls :meth:`enter` or :meth:`follow` for it.
        """
        while self._names and self._links <= MAX_LINKS:
            name = self._names.pop()
            if name not in ("", "."):
                return os.path.join(self.directory, name)
        return None

    def enter(self, step: str) -> None:
        """Continue in a step that is not a link.

        :param step: the step.
        """
        is_parent = os.path.basename(step) == ".."
        self.directory = os.path.dirname(self.directory) if is_parent else step

    def follow(self, target: str) -> None:
        """Continue along the target of a link.

        :param target: the content of the link, to which the last step has led.
        """
        self._links += 1
        self.directory = "/" if target.startswith("/") else self.directory
        self._names += target.split("/")[::-1]


def _problem(component: str, status: os.stat_result) -> str | None:
    private = status.st_mode & stat.S_IWGRP and _is_private(status.st_gid)
    mode = status.st_mode & ~stat.S_IWGRP if private else status.st_mode
    trusted = status.st_uid in (0, os.geteuid()) or _is_unmapped(status.st_uid)
    return component_problem(component, mode, status.st_uid, trusted=trusted)


def component_problem(component: str, mode: int, owner: int, *, trusted: bool) -> str | None:
    """Return how another user could replace the content behind one component of a path, or None.

    :param component: the directory or link.
    :param mode: its type and permissions, without group permissions if the group is private.
    :param owner: the user id of its owner.
    :param trusted: whether the owner is root or this user.
    """
    shown = f"mode {stat.S_IMODE(mode):04o}, owner {owner}"
    if not trusted:
        kind = "a symbolic link" if stat.S_ISLNK(mode) else "a directory"
        return (
            f"{component!r}, on the path to it, is {kind} of another user ({shown}), and that user "
            "could replace its content; choose a folder below directories of root or your own"
        )
    if stat.S_ISDIR(mode) and mode & 0o022 and not mode & stat.S_ISVTX:
        return (
            f"other users may write to {component!r}, on the path to it ({shown}), and so replace "
            "its content; run `chmod go-w` on it or, to share it, `chmod +t`"
        )
    return None


def writable_by_others(status: os.stat_result) -> bool:
    """Return True if users other than root and this one may replace the contents of a directory.

    The private group of this user, which many systems create, does not count as others.

    :param status: the status of the directory.
    """
    mode = status.st_mode
    if mode & stat.S_ISVTX:
        return False
    return bool(mode & stat.S_IWOTH or (mode & stat.S_IWGRP and not _is_private(status.st_gid)))


def _is_private(group: int) -> bool:
    """Return True if this is the user's private group, without any other member."""
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
    """Return True if the owner is outside of this user namespace, as root of the host is.

    In a rootless container, the kernel shows all such users as one id, which no user in it has.
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
    """Return True if the path is a directory (not a link) that only this user can change.

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
    """Return a path for data of this machine in the user's home, protected from other users.

    It does not depend on the environment, so every process of the user finds the same path.

    :param name: the name of the data.
    :return: the path, which may not exist, or None if the user has no home directory.
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
