"""How one gets at a machine: a connection, and what is set up over it whenever it is new."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import asyncssh

from pydatatask_core.errors import ProcessManagerError, describe
from pydatatask_ssh.connection import SSHConnection
from pydatatask_ssh.errors import CommandError, SSHConnectionError, ssh_errors

from .host import RemoteHost
from .shell_functions import shell_join

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

__all__ = ["RemoteSession"]

log = logging.getLogger("pydatatask.proc_manager")
T = TypeVar("T")

_PORT = 22
_RECONNECT_PAUSE_SECONDS = 0.05


class RemoteSession:
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
        prepare: Callable[[RemoteHost], Awaitable[None]],
    ) -> None:
        self.ssh = ssh
        self._shell = shell
        self._boot_id = boot_id
        self._prepare = prepare
        self._remote: RemoteHost | None = None
        self._opening = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def raw(self) -> asyncssh.SSHClientConnection:
        """The connection of the client library that there is now."""
        connection = self.ssh()
        return connection.raw if isinstance(connection, SSHConnection) else connection

    @property
    def host(self) -> str:
        """The name of the machine, as it was called when the connection was made."""
        connection = self.ssh()
        if isinstance(connection, SSHConnection):
            return connection.name
        host, port = connection.get_extra_info("host"), connection.get_extra_info("port")
        return str(host) if port in (None, _PORT) else f"{host}:{port}"

    @property
    def user(self) -> str:
        """Who is logged in."""
        connection = self.ssh()
        if isinstance(connection, SSHConnection):
            return connection.username or "user"
        return str(connection.get_extra_info("username"))

    @property
    def is_up(self) -> bool:
        """Whether there is a connection now."""
        connection = self.ssh()
        return (
            connection.is_up
            if isinstance(connection, SSHConnection)
            else not connection.is_closed()
        )

    async def _connection(self) -> asyncssh.SSHClientConnection:
        connection = self.ssh()
        if isinstance(connection, SSHConnection):
            return await connection.get()
        if not isinstance(connection, asyncssh.SSHClientConnection):
            raise ProcessManagerError(
                "`ssh` has to give a connection of asyncssh or an SSHConnection, not "
                f"{connection!r}"
            )
        if connection.is_closed():
            raise SSHConnectionError(
                f"the connection to {self.host} broke, and it is not ours to make it again; "
                "its jobs go on. Open the pipeline anew with another connection, or let "
                "`pydatatask_ssh.ssh_connection` make it, which makes it again by itself"
            )
        return connection

    async def remote(self) -> RemoteHost:
        """Give the machine behind a connection that holds.

        :raises SSHConnectionError: if there is no connection.
        :raises ProcessManagerError: if the machine will not do.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # what belonged to a loop that is over went with it
            self._loop, self._opening, self._remote = loop, asyncio.Lock(), None
        deadline = self._deadline()
        while True:
            raw = await self._connection()
            try:
                return self._current(raw) or await self._renewed(raw)
            except SSHConnectionError:
                if time.monotonic() >= deadline:
                    raise
                await asyncio.sleep(_RECONNECT_PAUSE_SECONDS)

    def _deadline(self) -> float:
        """Tell until when it is worth trying again, after a connection broke."""
        connection = self.ssh()
        patience = connection.patience if isinstance(connection, SSHConnection) else 0.0
        return time.monotonic() + patience

    def _current(self, raw: asyncssh.SSHClientConnection) -> RemoteHost | None:
        current = self._remote
        return (
            current if current is not None and current.raw is raw and not current.is_lost else None
        )

    async def _renewed(self, raw: asyncssh.SSHClientConnection) -> RemoteHost:
        async with self._opening:
            current = self._current(raw)
            if current is None:
                current = self._remote = await self._open(raw, self._remote)
            return current

    async def _open(
        self, raw: asyncssh.SSHClientConnection, before: RemoteHost | None
    ) -> RemoteHost:
        host = self.host
        remote = RemoteHost(raw, host, self._shell, self._boot_id)
        if before is not None:
            before.close()  # first, so that no more channels are open than one machine may have
        with ssh_errors("begin", host):
            try:
                await remote.open()
                if before is not None:
                    await remote.take_over(before)
                await self._prepare(remote)
            except BaseException:
                remote.close()
                raise
        remote.trash.empty()
        return remote

    async def run(
        self,
        action: str,
        work: Callable[[RemoteHost], Awaitable[T]],
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
            remote = await self.remote()
            try:
                async with self.translate_errors(remote, action, path):
                    return await work(remote)
            except SSHConnectionError as e:
                remote.discard()  # even where the connection holds, a channel may have ended alone
                if not repeat or time.monotonic() >= deadline:
                    raise
                log.info("%s; it is tried again", e)

    @asynccontextmanager
    async def translate_errors(
        self, remote: RemoteHost, action: str, path: str | None
    ) -> AsyncGenerator[None, None]:
        """Raise an error of the client library as one that says what was attempted and why.

        SFTP has no words for a full disk, or for one that can only be read; the shell has.

        :param remote: the machine.
        :param action: what is attempted, as an infinitive.
        :param path: the file or directory in question.
        """
        with ssh_errors(action, remote.host):
            try:
                yield
            except asyncssh.SFTPFailure as e:
                if path is None:
                    raise
                said = await _explain(remote, path)
                raise ProcessManagerError(
                    f"could not {action} on {remote.host}: {said or describe(e)}"
                ) from e
            except CommandError as e:
                raise ProcessManagerError(f"could not {action} on {remote.host}: {e}") from e


async def _explain(remote: RemoteHost, path: str) -> str | None:
    """Ask the shell why nothing can be written beside a path."""
    probe = shell_join(f"{path.rpartition('/')[0]}/.probe")
    try:
        await remote.ask(
            f"head -c 8192 /dev/zero >{probe}; result=$?; rm -f -- {probe}; [ $result = 0 ]"
        )
    except CommandError as e:
        return str(e)
    return None
