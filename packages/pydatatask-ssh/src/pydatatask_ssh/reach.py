"""How one gets at a machine: a connection, and what is set up over it whenever it is new."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import asyncssh

from pydatatask_core.errors import ProcessManagerError, describe

from .connection import SSHConnection
from .errors import CommandError, SSHConnectionError, ssh_errors
from .script import words
from .target import Target

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

__all__ = ["Reach"]

log = logging.getLogger("pydatatask.proc_manager")
T = TypeVar("T")

_PORT = 22
_PAUSE = 0.05


class Reach:
    """Does things on a machine, and sets up anew what it takes when the connection is another one.

    :param ssh: gives the connection.
    :param shell: the POSIX shell of the machine.
    :param boot_id: the file that tells one boot of it from the next.
    :param prepare: called with each new target before anything else is done there.
    """

    def __init__(
        self,
        ssh: Callable[[], asyncssh.SSHClientConnection | SSHConnection],
        shell: str,
        boot_id: str,
        prepare: Callable[[Target], Awaitable[None]],
    ) -> None:
        self.ssh = ssh
        self._shell = shell
        self._boot_id = boot_id
        self._prepare = prepare
        self._target: Target | None = None
        self._opening = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def raw(self) -> asyncssh.SSHClientConnection:
        """The connection of the client library that there is now."""
        found = self.ssh()
        return found.raw if isinstance(found, SSHConnection) else found

    @property
    def host(self) -> str:
        """The name of the machine, as it was called when the connection was made."""
        found = self.ssh()
        if isinstance(found, SSHConnection):
            return found.name
        host, port = found.get_extra_info("host"), found.get_extra_info("port")
        return str(host) if port in (None, _PORT) else f"{host}:{port}"

    @property
    def user(self) -> str:
        """Who is logged in."""
        found = self.ssh()
        if isinstance(found, SSHConnection):
            return found.username or "user"
        return str(found.get_extra_info("username"))

    @property
    def is_up(self) -> bool:
        """Whether there is a connection now."""
        found = self.ssh()
        return found.is_up if isinstance(found, SSHConnection) else not found.is_closed()

    async def _connection(self) -> asyncssh.SSHClientConnection:
        found = self.ssh()
        if isinstance(found, SSHConnection):
            return await found.get()
        if not isinstance(found, asyncssh.SSHClientConnection):
            raise ProcessManagerError(
                f"`ssh` has to give a connection of asyncssh or an SSHConnection, not {found!r}"
            )
        if found.is_closed():
            raise SSHConnectionError(
                f"the connection to {self.host} broke, and it is not ours to make it again; "
                "its jobs go on. Open the pipeline anew with another connection, or let "
                "`pydatatask_ssh.ssh_connection` make it, which makes it again by itself"
            )
        return found

    async def target(self) -> Target:
        """Give the machine behind a connection that holds.

        :raises SSHConnectionError: if there is no connection.
        :raises ProcessManagerError: if the machine will not do.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # what belonged to a loop that is over went with it
            self._loop, self._opening, self._target = loop, asyncio.Lock(), None
        deadline = self._deadline()
        while True:
            raw = await self._connection()
            try:
                return self._current(raw) or await self._renewed(raw)
            except SSHConnectionError:
                if time.monotonic() >= deadline:
                    raise
                await asyncio.sleep(_PAUSE)

    def _deadline(self) -> float:
        """Tell until when it is worth trying again, after a connection broke."""
        found = self.ssh()
        patience = found.patience if isinstance(found, SSHConnection) else 0.0
        return time.monotonic() + patience

    def _current(self, raw: asyncssh.SSHClientConnection) -> Target | None:
        found = self._target
        return found if found is not None and found.raw is raw and not found.is_lost else None

    async def _renewed(self, raw: asyncssh.SSHClientConnection) -> Target:
        async with self._opening:
            found = self._current(raw)
            if found is None:
                found = self._target = await self._open(raw, self._target)
            return found

    async def _open(self, raw: asyncssh.SSHClientConnection, before: Target | None) -> Target:
        host = self.host
        target = Target(raw, host, self._shell, self._boot_id)
        if before is not None:
            before.close()  # first, so that no more channels are open than one machine may have
        with ssh_errors("begin", host):
            try:
                await target.open()
                if before is not None:
                    await target.succeed(before)
                await self._prepare(target)
            except BaseException:
                target.close()
                raise
        target.rubbish.take_out()
        return target

    async def perform(
        self,
        action: str,
        work: Callable[[Target], Awaitable[T]],
        *,
        path: str | None = None,
        repeat: bool = True,
    ) -> T:
        """Do something on the machine.

        :param action: what, as an infinitive ("make the directory '/tmp/x'").
        :param work: does it.
        :param path: in which place, where a failure has to be explained.
        :param repeat: whether to do it again if the connection breaks meanwhile.
        """
        deadline = self._deadline()
        while True:
            target = await self.target()
            try:
                async with self.explaining(target, action, path):
                    return await work(target)
            except SSHConnectionError as e:
                target.give_up()  # even where the connection holds, a channel may have ended alone
                if not repeat or time.monotonic() >= deadline:
                    raise
                log.info("%s; it is tried again", e)

    @asynccontextmanager
    async def explaining(
        self, target: Target, action: str, path: str | None
    ) -> AsyncGenerator[None, None]:
        """Raise an error of the client library as one that says what was attempted and why.

        SFTP has no words for a full disk, or for one that can only be read; the shell has.

        :param target: the machine.
        :param action: what is attempted, as an infinitive.
        :param path: the file or directory in question.
        """
        with ssh_errors(action, target.host):
            try:
                yield
            except asyncssh.SFTPFailure as e:
                if path is None:
                    raise
                said = await _explanation(target, path)
                raise ProcessManagerError(
                    f"could not {action} on {target.host}: {said or describe(e)}"
                ) from e
            except CommandError as e:
                raise ProcessManagerError(f"could not {action} on {target.host}: {e}") from e


async def _explanation(target: Target, path: str) -> str | None:
    """Ask the shell why nothing can be written beside a path."""
    probe = words(f"{path.rpartition('/')[0]}/.probe")
    try:
        await target.ask(
            f"head -c 8192 /dev/zero >{probe}; result=$?; rm -f -- {probe}; [ $result = 0 ]"
        )
    except CommandError as e:
        return str(e)
    return None
