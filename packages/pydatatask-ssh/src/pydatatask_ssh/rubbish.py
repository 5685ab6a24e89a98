"""What is removed from another machine: for whoever looks at once, in truth when there is time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from typing import TYPE_CHECKING

import asyncssh

from pydatatask_core.errors import ProcessManagerError

from .errors import SSHConnectionError
from .script import words

if TYPE_CHECKING:
    from .target import Target

__all__ = ["Rubbish", "remove"]

log = logging.getLogger("pydatatask.proc_manager")

_SOON = 0.2
"""Seconds that what was thrown away may wait for more."""

_AT_ONCE = 50


class Rubbish:
    """What was thrown away on a machine, and is yet to be removed.

    :param target: the machine.
    """

    def __init__(self, target: Target) -> None:
        self.names: set[str] = set()
        self._target = target
        self._emptying: asyncio.Task[None] | None = None
        self._later: asyncio.TimerHandle | None = None

    async def throw_away(self, place: str, bin_: str, *, more: bool = False) -> None:
        """Move something out of the way at once, and remove it when there is time.

        Nobody uses the name that it has then, so the removal may come late without any harm.

        :param place: what to remove; it may be gone.
        :param bin_: the directory to move it to.
        :param more: whether more will soon follow, so that all can be removed together.
        """
        target, name = self._target, f"{bin_}/{secrets.token_hex(8)}"
        target.cork.hold()
        try:
            await target.sftp.posix_rename(place, name)
        except asyncssh.SFTPNoSuchFile:
            if not await target.sftp.lexists(place):
                return
            await target.ask(f"mkdir -p -m 700 -- {words(bin_)}")
            await target.sftp.posix_rename(place, name)
        self.names.add(name)
        if not more:
            self.take_out()
        elif self._later is None:
            self._later = asyncio.get_running_loop().call_later(_SOON, self.take_out)

    async def sweep(self, bin_: str) -> None:
        """Have removed what drivers before this one had no time to remove.

        :param bin_: the directory that they moved it to.
        """
        with contextlib.suppress(asyncssh.SFTPNoSuchFile):
            names = await self._target.sftp.listdir(bin_)
            self.names |= {f"{bin_}/{name}" for name in names if name not in (".", "..")}

    def take_out(self) -> None:
        """Remove, beside everything else, what was thrown away."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self.names and (self._emptying is None or self._emptying.done()):
            name = f"pydatatask rm {self._target.host}"
            self._emptying = asyncio.create_task(self._empty(), name=name)

    async def _empty(self) -> None:
        while self.names and not self._target.is_lost:
            names = list(self.names)[:_AT_ONCE]
            try:
                await remove(self._target, *names)
            except SSHConnectionError:
                return  # the next connection goes on with it
            except ProcessManagerError as e:
                log.warning("%s: something is left behind: %s", self._target.host, e)
            self.names.difference_update(names)

    def close(self) -> None:
        """Stop removing anything."""
        for pending in (self._emptying, self._later):
            if pending is not None:
                pending.cancel()


async def remove(target: Target, *places: str) -> None:
    """Remove directories with all that is in them, whatever their permissions.

    :param target: the machine.
    :param places: the directories.
    """
    them = words(*places)
    await target.ask_slowly(
        f"rm -rf -- {them} 2>/dev/null || "
        f"{{ chmod -R u+rwX -- {them} 2>/dev/null; rm -rf -- {them}; }}"
    )
