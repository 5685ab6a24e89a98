"""Start of SFTP, even if start-up files of the login shell print text before it."""

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
"""The paths of the SFTP server of OpenSSH in common distributions."""

START_TIMEOUT_SECONDS = 60.0


async def open_sftp(raw: asyncssh.SSHClientConnection, shell: str) -> asyncssh.SFTPClient:
    """Open SFTP.

    Most servers start SFTP as a program through the login shell, whose output is then mistaken for
    an answer. So if the first answer is not valid, the program is started after a random marker.

    :param raw: the connection.
    :param shell: the POSIX shell of the machine.
    :raises asyncssh.Error: if SFTP is not available.
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
    """A connection with an open session, which the client library gets instead of a new one."""

    def __init__(self, raw: asyncssh.SSHClientConnection, streams: Any) -> None:
        self._raw = raw
        self._streams = streams

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    async def open_session(self, *arguments: Any, **options: Any) -> Any:
        """Return the streams of the open session."""
        return self._streams
