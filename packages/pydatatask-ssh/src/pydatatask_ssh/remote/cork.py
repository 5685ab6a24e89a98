"""Coalescing of data that is sent in the same iteration of the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncssh.connection import SSHConnection

__all__ = ["Cork"]

_CORK: int | None = getattr(socket, "TCP_CORK", None)  # available on Linux


class Cork:
    """Delays the data sent over a connection until the next iteration of the event loop.

    The client library sends two packets per message, one of them empty, with two system calls, and
    each wakes the peer.

    :param raw: the connection.
    """

    def __init__(self, raw: SSHConnection) -> None:
        self._socket: socket.socket | None = raw.get_extra_info("socket")
        self._held = False

    def hold(self) -> None:
        """Delay the data that is sent in this iteration of the event loop."""
        if not self._held and self._set(True):
            self._held = True
            asyncio.get_running_loop().call_soon(self._release)

    def _release(self) -> None:
        self._held = False
        self._set(False)

    def _set(self, on: bool) -> bool:
        if self._socket is None or _CORK is None:
            return False
        with contextlib.suppress(OSError):  # the connection has been closed already
            self._socket.setsockopt(socket.IPPROTO_TCP, _CORK, on)
            return True
        return False
