"""Files of another machine as streams."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import asyncssh

from pydatatask_core.errors import StreamClosedError
from pydatatask_core.utils import AtomicWriter, ReadStream
from pydatatask_ssh.errors import ssh_errors

if TYPE_CHECKING:
    from .host import RemoteHost
    from .session import RemoteSession

__all__ = ["SSHReadStream", "SSHWriteStream", "write_new_file"]

_BLOCK = 256 * 1024


class SSHReadStream(ReadStream):
    """A stream that reads a remote file, returned by :meth:`SSHLinuxManager.open`.

    :param file: the file, which the stream will close.
    :param path: its path.
    :param host: the name of the machine.
    """

    def __init__(self, file: asyncssh.SFTPClientFile, path: str, host: str) -> None:
        self._file: Any = file
        self._path = path
        self._host = host

    async def read(self, n: int | None = None) -> bytes:
        """Read up to n bytes from the file, or the rest of it.

        :raises StreamClosedError: if the stream is closed.
        """
        if self._file is None:
            raise StreamClosedError(f"{self!r} is closed; open it again to read")
        with ssh_errors(f"read {self._path!r}", self._host):
            if n is not None and n >= 0:
                data: bytes = await self._file.read(n)
                return data
            parts = []
            while part := await self._file.read(_BLOCK):
                parts.append(part)
            return b"".join(parts)

    async def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(asyncssh.Error, OSError):  # does not affect the data that was read
                await file.close()

    def __repr__(self) -> str:
        return f"<{self._path!r} of {self._host} for reading>"


class SSHWriteStream(AtomicWriter[bytes]):
    """A stream that overwrites a remote file, returned by :meth:`SSHLinuxManager.open`.

    :param session: the session with the machine.
    :param remote: the machine.
    :param file: the file, which the stream will close.
    :param path: its path.
    """

    def __init__(
        self,
        session: RemoteSession,
        remote: RemoteHost,
        file: asyncssh.SFTPClientFile,
        path: str,
    ) -> None:
        self._session = session
        self._remote = remote
        self._file = file
        self._path = path

    async def _write(self, data: bytes) -> None:
        view = memoryview(data).cast("B")
        async with self._session.translate_errors(
            self._remote, f"write {self._path!r}", self._path
        ):
            for at in range(0, len(view), _BLOCK):
                await self._file.write(bytes(view[at : at + _BLOCK]))

    async def _publish(self) -> None:
        async with self._session.translate_errors(
            self._remote, f"write {self._path!r}", self._path
        ):
            await self._file.close()

    async def _discard(self) -> None:
        with ssh_errors(f"remove {self._path!r}", self._remote.host):
            with suppress(asyncssh.Error):
                await self._file.close()
            with suppress(asyncssh.SFTPNoSuchFile):
                await self._remote.sftp.remove(self._path)

    def __repr__(self) -> str:
        return f"<{self._path!r} of {self._remote.host} for writing>"


async def write_new_file(sftp: Any, path: str, data: bytes, mode: int = 0o600) -> None:
    """Write a file that does not exist yet.

    :param sftp: the client.
    :param path: the file.
    :param data: its content.
    :param mode: its permissions.
    """
    flags = asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_EXCL
    attributes = asyncssh.SFTPAttrs(permissions=mode)
    file = await sftp.open(path, flags, attributes, encoding=None)
    try:
        for at in range(0, len(data), _BLOCK):
            await file.write(data[at : at + _BLOCK])
    finally:
        await file.close()
