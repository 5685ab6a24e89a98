"""Removal of files on another machine: a fast rename first, the actual removal later."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
from typing import TYPE_CHECKING

import asyncssh

from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.proc_manager.process import Leftover
from pydatatask_core.proc_manager.protocol.run_directory import leftover_name
from pydatatask_core.utils.files import escape_mount_point, unescape_mount_point
from pydatatask_ssh.errors import CommandError, SSHConnectionError, ssh_errors

from .shell_functions import shell_join

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .host import RemoteHost

__all__ = ["Trash", "remove_leftovers", "remove_tree"]

log = logging.getLogger("pydatatask.proc_manager")

_EMPTY_DELAY_SECONDS = 0.2
"""The delay before the trash is emptied, so that several directories are removed together."""

_MAX_REMOVALS = 50

_RENAME_REFUSED = (asyncssh.SFTPFailure, asyncssh.SFTPPermissionDenied)
"""The errors of SFTP servers that refuse a rename."""


class Trash:
    """The directories on a machine that wait for their removal.

    :param remote: the machine.
    """

    def __init__(self, remote: RemoteHost) -> None:
        self.names: set[str] = set()
        self._remote = remote
        self._emptying: asyncio.Task[None] | None = None
        self._later: asyncio.TimerHandle | None = None
        self._reported: set[str] = set()
        """The directories that could not be removed and have been reported."""

    async def move_to_trash(
        self, path: str, bin_: str, *, more: bool = False, journal: str | None = None
    ) -> Leftover | None:
        """Rename a directory immediately, and remove it later in the background.

        The new name is never used by other code, so the removal may be late without harm.

        :param path: the directory to remove; it may not exist.
        :param bin_: the directory to move it to.
        :param more: whether more will follow soon, so that all can be removed together.
        :param journal: the status file of a run, which is moved first, so that it is never mistaken
            for that of the next run directory of this name.
        :return: the current path and the reason if it cannot be moved there; otherwise None.
        """
        name = f"{bin_}/{secrets.token_hex(8)}"
        # Sent first, without waiting for the answer.
        noting = asyncio.ensure_future(self._move_journal(journal, f"{name}+"))
        await asyncio.sleep(0)
        self._remote.cork.hold()
        try:
            moved = await self._moved(path, name, bin_)
        except _RENAME_REFUSED as e:
            left = await self._leave(path, e)
            if await noting and journal is not None and left.path == path:
                await self._remote.sftp.posix_rename(f"{name}+", journal)
            return left
        finally:
            if await noting:
                self.names.add(f"{name}+")
        if not moved:
            return None
        self.names.add(name)
        if not more:
            self.empty()
        elif self._later is None:
            self._later = asyncio.get_running_loop().call_later(_EMPTY_DELAY_SECONDS, self.empty)
        return None

    async def _move_journal(self, journal: str | None, name: str) -> bool:
        """Move the status file of a run to the trash; return whether it is there now."""
        if journal is None:
            return False
        self._remote.cork.hold()
        try:
            await self._remote.sftp.posix_rename(journal, name)
        except (asyncssh.SFTPNoSuchFile, *_RENAME_REFUSED):  # the trash may have been removed
            with contextlib.suppress(asyncssh.SFTPNoSuchFile):
                await self._remote.sftp.remove(journal)
            return False
        return True

    async def _moved(self, path: str, name: str, bin_: str) -> bool:
        """Move a directory to the trash, creating that if necessary; return whether it existed."""
        remote = self._remote
        try:
            await remote.sftp.posix_rename(path, name)
        except asyncssh.SFTPNoSuchFile:
            if not await remote.sftp.lexists(path):
                return False
            await remote.ask(f"mkdir -p -m 700 -- {shell_join(bin_)}")
            await remote.sftp.posix_rename(path, name)
        return True

    async def _leave(self, path: str, error: asyncssh.SFTPError) -> Leftover:
        """Rename a directory that cannot be moved within its own folder, if possible."""
        point = await _mount_below(self._remote, path)
        reason = error.reason if point is None else _mounted(point)
        aside = leftover_name(path)
        try:
            await self._remote.sftp.posix_rename(path, aside)
        except _RENAME_REFUSED:
            return Leftover(path, reason)
        return Leftover(aside, reason)

    async def sweep(self, bin_: str) -> None:
        """Schedule the removal of directories that earlier drivers left in the trash.

        :param bin_: the directory that they were moved to.
        """
        with contextlib.suppress(asyncssh.SFTPNoSuchFile):
            names = await self._remote.sftp.listdir(bin_)
            self.names |= {f"{bin_}/{name}" for name in names if _is_plain(name)}

    def take_over(self, before: Trash) -> None:
        """Add the directories that were waiting for their removal when the connection broke.

        :param before: the trash of that connection.
        """
        self.names |= before.names
        self._reported |= before._reported

    def empty(self) -> None:
        """Remove the waiting directories in the background."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self.names and (self._emptying is None or self._emptying.done()):
            name = f"pydatatask rm {self._remote.host}"
            self._emptying = asyncio.create_task(self._empty(), name=name)

    async def _empty(self) -> None:
        left: list[Leftover] = []
        while self.names and not self._remote.is_lost:
            names = list(self.names)[:_MAX_REMOVALS]
            folder = names[0].rpartition("/")[0]
            names = [name for name in names if name.rpartition("/")[0] == folder]
            try:
                with ssh_errors(f"empty {folder!r}", self._remote.host):
                    left += await remove_leftovers(
                        self._remote, folder, [name.rpartition("/")[2] for name in names]
                    )
            except SSHConnectionError:
                return  # the next connection continues
            except ProcessManagerError as e:
                left += [Leftover(name, str(e)) for name in names]
            self.names.difference_update(names)
        self._report([leftover for leftover in left if leftover.path not in self._reported])

    def _report(self, left: list[Leftover]) -> None:
        """Log a warning about the first directories that cannot be removed.

        The next connection finds all of them, and reports them together.
        """
        if not left:
            return
        log.log(
            logging.INFO if self._reported else logging.WARNING,
            "%s: %d directories of jobs that are over cannot be removed, for example %s: %s. The "
            "next connection will retry",
            *(self._remote.host, len(left), *min(left)),
        )
        self._reported.update(leftover.path for leftover in left)

    def close(self) -> None:
        """Stop removing anything."""
        for pending in (self._emptying, self._later):
            if pending is not None:
                pending.cancel()


async def remove_leftovers(remote: RemoteHost, folder: str, names: Iterable[str]) -> list[Leftover]:
    """Remove directories in a folder with their contents, regardless of permissions.

    :param remote: the machine.
    :param folder: the folder.
    :param names: the names of the directories; none may need escaping in the list of mounts.
    :return: those that cannot be removed, for instance because something is mounted in them.
    """
    point = await _as_mount_point(remote, folder)
    if point is None or not names:
        return []
    lines = await remote.ask_slowly(f"clear {shell_join(folder, point, *names)}")
    left: list[Leftover] = []
    for line in lines:
        kind, rest = line[:1], line[1:]
        if kind == "E":
            left.append(Leftover(rest, ""))
        elif kind == "M":
            left[-1] = left[-1]._replace(reason=_mounted(rest.rstrip("/")))
        elif kind == "W":
            left[-1] = left[-1]._replace(reason=rest)
    return left


async def remove_tree(remote: RemoteHost, path: str) -> None:
    """Remove a directory with its contents, regardless of permissions; succeed if it is missing.

    :param remote: the machine.
    :param path: the directory. If it is a link, the link is removed.
    :raises CommandError: if something is mounted in it, or it cannot be removed.
    """
    point = await _mount_below(remote, path)
    if point is not None:
        raise CommandError(_mounted(point))
    lines = await remote.ask_slowly(f"scrub {shell_join(path)}")
    problems = [line[1:] for line in lines if line.startswith("W")]
    if problems:
        raise CommandError(problems[0])


async def _mount_below(remote: RemoteHost, path: str) -> str | None:
    """Return a mount point at or below a path, in escaped form, or None."""
    folder, _, name = path.rpartition("/")
    parent = await _as_mount_point(remote, folder or "/")
    if parent is None:
        return None
    point = f"{parent.rstrip('/')}/{_escaped(name)}"
    lines = await remote.ask(f'points {shell_join(point)} && emit "M$pdt_points"')
    mounts = lines[0][1:].split()
    return mounts[0].rstrip("/") if mounts else None


async def _as_mount_point(remote: RemoteHost, folder: str) -> str | None:
    """Return a path in the escaped form of the list of mounts; None if it does not exist."""
    try:
        return _escaped(str(await remote.sftp.realpath(folder)))
    except asyncssh.SFTPNoSuchFile:
        return None


def _escaped(path: str) -> str:
    return os.fsdecode(escape_mount_point(path))


def _is_plain(name: str) -> bool:
    return name not in (".", "..") and _escaped(name) == name


def _mounted(point: str) -> str:
    where = unescape_mount_point(os.fsencode(point))
    return f"a file system is mounted there, and is left as it is: {where!r}"
