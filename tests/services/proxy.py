"""A TCP proxy that simulates network faults on request."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Proxy"]

_BLOCK = 65536
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """A proxy that forwards connections to a server, in the event loop of the test.

    Swallowed data is lost: a connection that lost data never recovers, as if the network were down
    for longer than the timeouts of both sides. Connections made after :meth:`heal` work.

    :param host: the host of the server.
    :param port: the port of the server.
    """

    host = "127.0.0.1"

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._links: dict[_Link, asyncio.Task[None] | None] = {}
        self._swallows: tuple[bool, bool] = (False, False)

    @property
    def port(self) -> int:
        """The port on which the proxy listens."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def swallow(self, *, questions: bool = True) -> None:
        """Discard all data sent from now on, and keep the connections open.

        :param questions: whether to discard requests as well as responses.
        """
        self._swallows = (questions, True)
        for link in self._links:
            link.swallows = self._swallows

    def heal(self) -> None:
        """Forward the data of all connections that are made from now on."""
        self._swallows = (False, False)

    def reset(self) -> None:
        """Abort all connections with a TCP reset to both sides."""
        for link in self._links:
            link.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer, self._swallows)
        self._links[link] = asyncio.current_task()
        try:
            await link.carry_on(reader, self._target)
        except OSError:
            link.reset()
        finally:
            del self._links[link]
            link.close()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self.host, 0)
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        ending = [task for task in self._links.values() if task is not None]
        for link in self._links:
            link.close()
        if ending:
            await asyncio.wait(ending)
        await self._server.wait_closed()


class _Link:
    """One forwarded connection.

    :param client: the writer to the client.
    :param swallows: whether data sent to the server is discarded, and data received from it.
    """

    def __init__(self, client: asyncio.StreamWriter, swallows: tuple[bool, bool]) -> None:
        self.swallows = swallows
        self._writers = [client]

    async def carry_on(self, reader: asyncio.StreamReader, target: tuple[str, int]) -> None:
        """Forward data in both directions until both sides have ended."""
        if self.swallows[0]:
            while await reader.read(_BLOCK):
                pass
            return
        answers, server = await asyncio.open_connection(*target)
        self._writers.append(server)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._carry(reader, 0))
            group.create_task(self._carry(answers, 1))

    async def _carry(self, reader: asyncio.StreamReader, way: int) -> None:
        writer = self._writers[1 - way]
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(_BLOCK):
                if not self.swallows[way]:
                    writer.write(data)
                    await writer.drain()
        if not self.swallows[way]:
            writer.close()

    def reset(self) -> None:
        """Abort the connection with a TCP reset to both sides."""
        for writer in self._writers:
            found: socket.socket = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):  # the connection has already ended
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()

    def close(self) -> None:
        """Close both sides."""
        for writer in self._writers:
            writer.close()
