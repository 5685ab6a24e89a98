"""Having what is sent together go out together."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncssh.connection import SSHConnection

__all__ = ["Cork"]

_CORK: int | None = getattr(socket, "TCP_CORK", None)  # Linux has it


class Cork:
    """Holds back what is sent over a connection until the loop's next turn.

    The client library sends two packets for each, of which one is empty, by two system calls, and
    either wakes the other side.

    :param raw: the connection.
    """

    def __init__(self, raw: SSHConnection) -> None:
        self._socket: socket.socket | None = raw.get_extra_info("socket")
        self._held = False

    def hold(self) -> None:
        """Hold back what is sent in this turn of the loop."""
        if not self._held and self._set(True):
            self._held = True
            asyncio.get_running_loop().call_soon(self._release)

    def _release(self) -> None:
        self._held = False
        self._set(False)

    def _set(self, on: bool) -> bool:
        if self._socket is None or _CORK is None:
            return False
        with contextlib.suppress(OSError):  # the connection has ended by itself
            self._socket.setsockopt(socket.IPPROTO_TCP, _CORK, on)
            return True
        return False
