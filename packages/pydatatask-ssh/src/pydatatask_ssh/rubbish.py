"""What is removed from another machine: for whoever looks at once, in truth when there is time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
from typing import TYPE_CHECKING

import asyncssh

from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.proc_manager.run import Leftover
from pydatatask_core.proc_manager.supervisor import leftover_name
from pydatatask_core.utils.files import escape_mount_point, unescape_mount_point

from .errors import CommandError, SSHConnectionError, ssh_errors
from .script import words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .target import Target

__all__ = ["Rubbish", "remove_leftovers", "remove_tree"]

log = logging.getLogger("pydatatask.proc_manager")

_SOON = 0.2
"""Seconds that what was thrown away may wait for more."""

_AT_ONCE = 50

_REFUSED = (asyncssh.SFTPFailure, asyncssh.SFTPPermissionDenied)
"""How a server says that something cannot be renamed."""


class Rubbish:
    """What was thrown away on a machine, and is yet to be removed.

    :param target: the machine.
    """

    def __init__(self, target: Target) -> None:
        self.names: set[str] = set()
        self._target = target
        self._emptying: asyncio.Task[None] | None = None
        self._later: asyncio.TimerHandle | None = None
        self._left: set[str] = set()
        """What cannot be removed, and was reported."""

    async def throw_away(
        self, place: str, bin_: str, *, more: bool = False, journal: str | None = None
    ) -> Leftover | None:
        """Move something out of the way at once, and remove it when there is time.

        Nobody uses the name that it has then, so the removal may come late without any harm.

        :param place: what to remove; it may be gone.
        :param bin_: the directory to move it to.
        :param more: whether more will soon follow, so that all can be removed together.
        :param journal: the status of a run, which goes first, so that it is never taken for that of
            the next run directory of this name.
        :return: where it is and why, if it cannot be moved there; None else.
        """
        name = f"{bin_}/{secrets.token_hex(8)}"
        # Sent first, and nothing waits for the answer.
        noting = asyncio.ensure_future(self._move_journal(journal, f"{name}+"))
        await asyncio.sleep(0)
        self._target.cork.hold()
        try:
            moved = await self._moved(place, name, bin_)
        except _REFUSED as e:
            left = await self._leave(place, e)
            if await noting and journal is not None and left.place == place:
                await self._target.sftp.posix_rename(f"{name}+", journal)
            return left
        finally:
            if await noting:
                self.names.add(f"{name}+")
        if not moved:
            return None
        self.names.add(name)
        if not more:
            self.take_out()
        elif self._later is None:
            self._later = asyncio.get_running_loop().call_later(_SOON, self.take_out)
        return None

    async def _move_journal(self, journal: str | None, name: str) -> bool:
        """Move the status of a run to the bin; return whether it is there now."""
        if journal is None:
            return False
        self._target.cork.hold()
        try:
            await self._target.sftp.posix_rename(journal, name)
        except (asyncssh.SFTPNoSuchFile, *_REFUSED):  # there may be no bin any more
            with contextlib.suppress(asyncssh.SFTPNoSuchFile):
                await self._target.sftp.remove(journal)
            return False
        return True

    async def _moved(self, place: str, name: str, bin_: str) -> bool:
        """Move something to the bin, which is made if need be; return whether it was there."""
        target = self._target
        try:
            await target.sftp.posix_rename(place, name)
        except asyncssh.SFTPNoSuchFile:
            if not await target.sftp.lexists(place):
                return False
            await target.ask(f"mkdir -p -m 700 -- {words(bin_)}")
            await target.sftp.posix_rename(place, name)
        return True

    async def _leave(self, place: str, error: asyncssh.SFTPError) -> Leftover:
        """Rename in its own folder what cannot be moved to another one, if that is possible."""
        point = await _mount_below(self._target, place)
        reason = error.reason if point is None else _mounted(point)
        aside = leftover_name(place)
        try:
            await self._target.sftp.posix_rename(place, aside)
        except _REFUSED:
            return Leftover(place, reason)
        return Leftover(aside, reason)

    async def sweep(self, bin_: str) -> None:
        """Have removed what drivers before this one had no time to remove.

        :param bin_: the directory that they moved it to.
        """
        with contextlib.suppress(asyncssh.SFTPNoSuchFile):
            names = await self._target.sftp.listdir(bin_)
            self.names |= {f"{bin_}/{name}" for name in names if _is_plain(name)}

    def take_over(self, before: Rubbish) -> None:
        """Go on with what was thrown away before the connection broke.

        :param before: what was thrown away.
        """
        self.names |= before.names
        self._left |= before._left

    def take_out(self) -> None:
        """Remove, beside everything else, what was thrown away."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self.names and (self._emptying is None or self._emptying.done()):
            name = f"pydatatask rm {self._target.host}"
            self._emptying = asyncio.create_task(self._empty(), name=name)

    async def _empty(self) -> None:
        left: list[Leftover] = []
        while self.names and not self._target.is_lost:
            names = list(self.names)[:_AT_ONCE]
            folder = names[0].rpartition("/")[0]
            names = [name for name in names if name.rpartition("/")[0] == folder]
            try:
                with ssh_errors(f"empty {folder!r}", self._target.host):
                    left += await remove_leftovers(
                        self._target, folder, [name.rpartition("/")[2] for name in names]
                    )
            except SSHConnectionError:
                return  # the next connection goes on with it
            except ProcessManagerError as e:
                left += [Leftover(name, str(e)) for name in names]
            self.names.difference_update(names)
        self._report([it for it in left if it.place not in self._left])

    def _report(self, left: list[Leftover]) -> None:
        """Warn of the first directories that cannot be removed.

        The next connection finds all of them, and warns of them together.
        """
        if not left:
            return
        log.log(
            logging.INFO if self._left else logging.WARNING,
            "%s: %d directories of jobs that are over cannot be removed, %s for one: %s. The next "
            "connection tries again",
            *(self._target.host, len(left), *min(left)),
        )
        self._left.update(it.place for it in left)

    def close(self) -> None:
        """Stop removing anything."""
        for pending in (self._emptying, self._later):
            if pending is not None:
                pending.cancel()


async def remove_leftovers(target: Target, folder: str, names: Iterable[str]) -> list[Leftover]:
    """Remove directories of a folder with all in them, whatever their permissions.

    :param target: the machine.
    :param folder: the folder.
    :param names: the names of the directories, none of which needs to be escaped among mounts.
    :return: those that cannot be removed, because something is mounted in them for instance.
    """
    point = await _as_mount_point(target, folder)
    if point is None or not names:
        return []
    lines = await target.ask_slowly(f"clear {words(folder, point, *names)}")
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


async def remove_tree(target: Target, path: str) -> None:
    """Remove a directory with all in it, whatever its permissions; succeed if it is gone.

    :param target: the machine.
    :param path: the directory. A link is removed itself.
    :raises CommandError: if something is mounted in it, or it cannot be removed.
    """
    point = await _mount_below(target, path)
    if point is not None:
        raise CommandError(_mounted(point))
    lines = await target.ask_slowly(f"scrub {words(path)}")
    problems = [line[1:] for line in lines if line.startswith("W")]
    if problems:
        raise CommandError(problems[0])


async def _mount_below(target: Target, path: str) -> str | None:
    """Return, as it is listed, something that is mounted at or below a path; None if nothing is."""
    folder, _, name = path.rpartition("/")
    parent = await _as_mount_point(target, folder or "/")
    if parent is None:
        return None
    point = f"{parent.rstrip('/')}/{_escaped(name)}"
    lines = await target.ask(f'points {words(point)} && tell "M$pdt_points"')
    found = lines[0][1:].split()
    return found[0].rstrip("/") if found else None


async def _as_mount_point(target: Target, folder: str) -> str | None:
    """Return a folder as it would be listed if it were a mount point; None if it is not there."""
    try:
        return _escaped(str(await target.sftp.realpath(folder)))
    except asyncssh.SFTPNoSuchFile:
        return None


def _escaped(path: str) -> str:
    return os.fsdecode(escape_mount_point(path))


def _is_plain(name: str) -> bool:
    return name not in (".", "..") and _escaped(name) == name


def _mounted(point: str) -> str:
    where = unescape_mount_point(os.fsencode(point))
    return f"a file system is mounted there, and is left as it is: {where!r}"
