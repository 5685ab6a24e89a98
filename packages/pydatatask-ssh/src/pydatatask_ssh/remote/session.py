"""The session with a machine: a connection, and the channels that are opened over each new one."""

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
    """Runs operations on a machine, and reopens its channels when the connection is replaced.

    :param ssh: returns the connection.
    :param shell: the POSIX shell of the machine.
    :param boot_id: the file that identifies the current boot of the machine.
    :param prepare: called with each new host before any other operation on it.
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
        """The current connection of the client library."""
        connection = self.ssh()
        return connection.raw if isinstance(connection, SSHConnection) else connection

    @property
    def host(self) -> str:
        """The name of the machine with which the connection was opened."""
        connection = self.ssh()
        if isinstance(connection, SSHConnection):
            return connection.name
        host, port = connection.get_extra_info("host"), connection.get_extra_info("port")
        return str(host) if port in (None, _PORT) else f"{host}:{port}"

    @property
    def user(self) -> str:
        """The name of the remote user."""
        connection = self.ssh()
        if isinstance(connection, SSHConnection):
            return connection.username or "user"
        return str(connection.get_extra_info("username"))

    @property
    def is_up(self) -> bool:
        """True if the connection is up."""
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
                "`ssh` must return a connection of asyncssh or an SSHConnection, not "
                f"{connection!r}"
            )
        if connection.is_closed():
            raise SSHConnectionError(
                f"the connection to {self.host} broke and cannot be re-established, because the "
                "caller opened it; its jobs continue. Open the pipeline again with another "
                "connection, or use `pydatatask_ssh.ssh_connection`, which reconnects automatically"
            )
        return connection

    async def remote(self) -> RemoteHost:
        """Return the host for a connection that is up.

        :raises SSHConnectionError: if the connection is down.
        :raises ProcessManagerError: if the machine is not supported.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # objects of a closed loop cannot be used
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
        """Return the monotonic time until which an operation is retried on a broken connection."""
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
            before.close()  # first, because the server limits the number of channels
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
        """Run an operation on the machine.

        :param action: its description, as an infinitive ("create the directory '/tmp/x'").
        :param work: the operation.
        :param path: the path that is examined to explain a failure, if any.
        :param repeat: whether to retry if the connection breaks during the operation.
        """
        deadline = self._deadline()
        while True:
            remote = await self.remote()
            try:
                async with self.translate_errors(remote, action, path):
                    return await work(remote)
            except SSHConnectionError as e:
                remote.discard()  # a channel may be broken although the connection is up
                if not repeat or time.monotonic() >= deadline:
                    raise
                log.info("%s; trying again", e)

    @asynccontextmanager
    async def translate_errors(
        self, remote: RemoteHost, action: str, path: str | None
    ) -> AsyncGenerator[None, None]:
        """Convert errors of the client library to ours, with the operation and the cause.

        SFTP has no error for a full disk or a read-only file system, so the shell is asked.

        :param remote: the machine.
        :param action: the operation, as an infinitive.
        :param path: the file or directory that is examined to explain a failure.
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
    """Return the error of the shell when it writes a file beside a path, if it fails."""
    probe = shell_join(f"{path.rpartition('/')[0]}/.probe")
    try:
        await remote.ask(
            f"head -c 8192 /dev/zero >{probe}; result=$?; rm -f -- {probe}; [ $result = 0 ]"
        )
    except CommandError as e:
        return str(e)
    return None
