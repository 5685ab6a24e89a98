"""A shell on the other side that does one thing after the other, over one channel."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from typing import TYPE_CHECKING, Any

import asyncssh

from pydatatask_core.errors import ProcessManagerError

from .corking import Cork
from .errors import CommandError, SSHConnectionError
from .script import FUNCTIONS, MARK

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Channel", "Helper", "open_channel"]

_MARK = MARK.encode()
LONGEST_LOGIN = 60.0
"""Seconds that a login shell gets until it reads."""

_TRIES = 8
_MUCH = 4096


class Channel(asyncssh.SSHClientSession[bytes]):
    """A shell on the other side, from when it is certain that it reads what we write.

    Whatever the start-up files of the login shell print or do comes before that.

    :param received: called with each line.
    :param lost: called when the channel is closed, whoever closes it.
    """

    def __init__(self, received: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        self._received = received
        self._lost = lost
        self._nonce = secrets.token_hex(8)
        self._rest = b""
        self._noise = b""
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._started = False
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._buffer: list[bytes] = []

    def command(self, shell: str) -> str:
        """Give the command line for the login shell.

        :param shell: the shell that it is to become.
        """
        return f"exec {shell} -c 'echo {self._nonce}; exec {shell} 2>&1'"

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan
        self._cork = Cork(chan.get_connection())

    def data_received(self, data: bytes, datatype: Any) -> None:
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if self._started:
                self._received(line)
            elif line.endswith(self._nonce.encode()):
                self._started = True
                if not self._ready.done():
                    self._ready.set_result(None)
            else:
                self._noise = (self._noise + line + b"\n")[-_MUCH:]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ready.done():
            said = self._said()
            self._ready.set_exception(
                ProcessManagerError(f"the login shell does not run commands: {said or exc or '?'}")
                if exc is None
                else SSHConnectionError(f"the connection broke: {exc}")
            )
            self._ready.exception()  # somebody may have stopped waiting
        self._channel = None
        self._lost()

    async def wait_ready(self) -> None:
        """Wait until the shell reads, which start-up files of the login may prevent.

        :raises ProcessManagerError: if it does not begin to.
        """
        try:
            async with asyncio.timeout(LONGEST_LOGIN):
                await asyncio.shield(self._ready)
        except TimeoutError as e:
            raise ProcessManagerError(
                "the login shell does not run commands, and has said within "
                f"{LONGEST_LOGIN:g} s: {self._said() or 'nothing'}"
            ) from e

    def _said(self) -> str:
        return (self._noise + self._rest).decode(errors="replace").strip()

    def write(self, text: str) -> None:
        """Send text to the shell; what is sent in one turn of the loop goes out together.

        :param text: whole lines.
        """
        if not self._buffer:
            asyncio.get_running_loop().call_soon(self._flush)
        self._buffer.append(text.encode("utf-8", "surrogateescape"))

    def _flush(self) -> None:
        data, self._buffer = b"".join(self._buffer), []
        if self._channel is not None:
            self._cork.hold()
            with contextlib.suppress(BrokenPipeError):  # what has been lost is told of by itself
                self._channel.write(data)

    def close(self) -> None:
        """Close the channel."""
        if self._channel is not None:
            self._channel.close()


async def open_channel(
    raw: asyncssh.SSHClientConnection, make: Callable[[], Channel], shell: str
) -> Channel:
    """Open a channel with a shell, and wait until it reads.

    :param raw: the connection.
    :param make: makes what is to receive.
    :param shell: the shell.
    """
    for attempt in range(_TRIES):
        channel = make()
        try:
            await raw.create_session(lambda: channel, channel.command(shell), encoding=None)  # noqa: B023
        except asyncssh.ChannelOpenError:
            # A server gives a slot free somewhat later than it says so.
            if attempt == _TRIES - 1 or raw.is_closed():
                raise
            await asyncio.sleep(0.05 * 2**attempt)
        else:
            break
    try:
        await channel.wait_ready()
    except BaseException:
        channel.close()  # nobody else knows it, and a server gives only a few
        raise
    return channel


class Helper:
    """Asks a shell to do things, and gets its answers in the order of the questions."""

    def __init__(self) -> None:
        self._channel: Channel | None = None
        self._waiting: deque[_Request] = deque()
        self._count = 0
        self.is_lost = False

    async def open(self, raw: asyncssh.SSHClientConnection, shell: str) -> None:
        """Begin.

        :param raw: the connection.
        :param shell: the shell.
        """
        found = await open_channel(raw, lambda: Channel(self._receive, self._lose), shell)
        self._channel = found
        found.write(FUNCTIONS)

    async def ask(self, command: str) -> list[str]:
        """Have a command done, and give the lines that it tells.

        :param command: text for the shell, without a line break at its end.
        :raises CommandError: if it fails; what it said is in there.
        :raises SSHConnectionError: if the connection broke, so that it may have been done or not.
        """
        channel = self._channel
        if channel is None or self.is_lost:
            raise SSHConnectionError("the connection broke before")
        self._count += 1
        request = _Request(self._count)
        self._waiting.append(request)
        channel.write(f"{{ {command}\n}} </dev/null; printf '{MARK}=%s %s\\n' {self._count} $?\n")
        return await request.future

    def close(self) -> None:
        """Close the channel."""
        if self._channel is not None:
            self._channel.close()

    def _receive(self, line: bytes) -> None:
        if not self._waiting:
            return
        request = self._waiting[0]
        mark, found, rest = line.rpartition(_MARK)
        if not found:
            request.said.append(line.decode(errors="replace"))
            return
        if mark:  # something was said without a line break
            request.said.append(mark.decode(errors="replace"))
        text = rest.decode("utf-8", "surrogateescape")
        if not text.startswith("="):
            request.lines.append(text)
            return
        number, _, status = text[1:].partition(" ")
        if int(number) == request.number:
            self._waiting.popleft()
            request.answer(int(status))

    def _lose(self) -> None:
        self.is_lost = True
        waiting, self._waiting = self._waiting, deque()
        for request in waiting:
            request.fail(SSHConnectionError("the connection broke meanwhile"))


class _Request:
    def __init__(self, number: int) -> None:
        self.number = number
        self.future: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self.lines: list[str] = []
        self.said: list[str] = []

    def answer(self, status: int) -> None:
        if self.future.done():
            return
        if status == 0:
            self.future.set_result(self.lines)
        else:
            said = "; ".join(line for line in self.said if line) or f"exit status {status}"
            self.future.set_exception(CommandError(said))

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)
