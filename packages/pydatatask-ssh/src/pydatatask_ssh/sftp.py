"""Starting SFTP, also where the start-up files of the login print something before it."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import asyncssh

__all__ = ["open_sftp"]

SERVERS = (
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/lib64/ssh/sftp-server",
    "/usr/libexec/sftp-server",
    "/usr/lib/sftp-server",
)
"""Where distributions have the SFTP server of OpenSSH."""

START_TIMEOUT_SECONDS = 60.0


async def open_sftp(raw: asyncssh.SSHClientConnection, shell: str) -> asyncssh.SFTPClient:
    """Open SFTP.

    Most servers start a program for it by the login shell, whose output is then taken for an
    answer. So if the first answer is none, the program is started after a random number.

    :param raw: the connection.
    :param shell: the POSIX shell of the machine.
    :raises asyncssh.Error: if there is no SFTP.
    """
    try:
        async with asyncio.timeout(START_TIMEOUT_SECONDS):
            return await raw.start_sftp_client()
    except (asyncssh.Error, TimeoutError) as e:
        if raw.is_closed():
            raise
        try:
            async with asyncio.timeout(START_TIMEOUT_SECONDS):
                return await _open_by_shell(raw, shell)
        except (asyncssh.Error, OSError, EOFError):
            if isinstance(e, TimeoutError):
                raise asyncssh.SFTPNoConnection("SFTP does not answer") from e
            raise e from None


async def _open_by_shell(raw: asyncssh.SSHClientConnection, shell: str) -> asyncssh.SFTPClient:
    nonce = secrets.token_hex(8)
    choice = f"for p in {' '.join(SERVERS)}; do [ -x $p ] && exec $p; done; exec sftp-server"
    command = f"exec env -u OPTIND {shell} -c 'echo {nonce}; {choice}'"
    streams: Any = await raw.open_session(command, encoding=None)
    try:
        await streams[1].readuntil(f"{nonce}\n".encode())
        connection: Any = _Started(raw, streams)
        return await asyncssh.SSHClientConnection.start_sftp_client(connection)
    except BaseException:
        streams[0].close()
        raise


class _Started:
    """A connection that has a session already, for the client library to open its next one."""

    def __init__(self, raw: asyncssh.SSHClientConnection, streams: Any) -> None:
        self._raw = raw
        self._streams = streams

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    async def open_session(self, *arguments: Any, **options: Any) -> Any:
        """Return the streams of that session."""
        return self._streams
