"""A remote shell that executes one request after another over one channel."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from typing import TYPE_CHECKING, Any

import asyncssh

from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.utils import Backoff
from pydatatask_ssh.errors import AnswerError, CommandError, SSHConnectionError

from .answers import Answer
from .cork import Cork
from .shell_functions import FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Channel", "RemoteShell", "open_channel"]

LOGIN_TIMEOUT_SECONDS = 60.0
"""The maximum time in seconds until a login shell reads its input."""

_MAX_ATTEMPTS = 8
_RETRY_DELAYS_SECONDS = (0.05, 5.0)
"""The first and the maximum delay between two attempts to open a channel."""

_MAX_NOISE_BYTES = 4096


class Channel(asyncssh.SSHClientSession[bytes]):
    """A channel to a shell that discards output of the login shell's start-up files.

    :param received: called with the bytes that arrive once the shell reads its input.
    :param lost: called when the channel is closed by either side.
    """

    def __init__(self, received: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        self._received = received
        self._lost = lost
        self._nonce = secrets.token_hex(8)
        self._rest = b""
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._started = False
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._buffer: list[bytes] = []

    def command(self, shell: str) -> str:
        """Return the command line for the login shell.

        :param shell: the shell that replaces the login shell.
        """
        # Some shells do not start if OPTIND is set to anything but a number.
        return f"exec env -u OPTIND {shell} -c 'echo {self._nonce}; exec {shell} 2>&1'"

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan
        self._cork = Cork(chan.get_connection())

    def data_received(self, data: bytes, datatype: Any) -> None:
        if self._started:
            return self._received(data)
        begin, nonce, rest = (self._rest + data).partition(self._nonce.encode() + b"\n")
        if not nonce:
            self._rest = begin[-_MAX_NOISE_BYTES:]
            return None
        self._started, self._rest = True, b""
        if not self._ready.done():
            self._ready.set_result(None)
        if rest:
            self._received(rest)
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ready.done():
            said = self._said()
            self._ready.set_exception(
                ProcessManagerError(f"the login shell does not run commands: {said or exc or '?'}")
                if exc is None
                else SSHConnectionError(f"the connection broke: {exc}")
            )
            self._ready.exception()  # retrieve it, because the waiting task may have been cancelled
        self._channel = None
        self._lost()

    async def wait_ready(self) -> None:
        """Wait until the shell reads its input, which start-up files of the login may prevent.

        :raises ProcessManagerError: if it does not start reading.
        """
        try:
            async with asyncio.timeout(LOGIN_TIMEOUT_SECONDS):
                await asyncio.shield(self._ready)
        except TimeoutError as e:
            raise ProcessManagerError(
                "the login shell does not run commands; its output after "
                f"{LOGIN_TIMEOUT_SECONDS:g} s: {self._said() or 'nothing'}"
            ) from e

    def _said(self) -> str:
        return self._rest.decode(errors="replace").strip()

    def write(self, text: str) -> None:
        """Send text to the shell; text of one iteration of the event loop is sent together.

        :param text: complete lines.
        """
        if not self._buffer:
            asyncio.get_running_loop().call_soon(self._flush)
        self._buffer.append(text.encode("utf-8", "surrogateescape"))

    def _flush(self) -> None:
        data, self._buffer = b"".join(self._buffer), []
        if self._channel is not None:
            self._cork.hold()
            with contextlib.suppress(BrokenPipeError):  # connection_lost reports it
                self._channel.write(data)

    def close(self) -> None:
        """Close the channel."""
        if self._channel is not None:
            self._channel.close()


async def open_channel(
    raw: asyncssh.SSHClientConnection, make: Callable[[], Channel], shell: str
) -> Channel:
    """Open a channel with a shell, and wait until the shell reads its input.

    :param raw: the connection.
    :param make: creates the channel object.
    :param shell: the shell.
    """
    backoff = Backoff(*_RETRY_DELAYS_SECONDS)
    for attempt in range(_MAX_ATTEMPTS):
        channel = make()
        try:
            await raw.create_session(lambda: channel, channel.command(shell), encoding=None)  # noqa: B023
        except asyncssh.ChannelOpenError:
            # sshd frees the session slot slightly after the channel closes.
            if attempt == _MAX_ATTEMPTS - 1 or raw.is_closed():
                raise
            await asyncio.sleep(backoff.next_delay())
        else:
            break
    try:
        await channel.wait_ready()
    except BaseException:
        channel.close()  # nothing else refers to it, and a server allows only a few
        raise
    return channel


class RemoteShell:
    """A shell that is sent requests and answers them in order.

    :param timeout: the seconds without an answer after which the channel is closed; None for never.
    """

    def __init__(self, timeout: float | None = None) -> None:
        self._timeout = timeout
        self._watchdog: asyncio.TimerHandle | None = None
        self._channel: Channel | None = None
        self._waiting: deque[_Request] = deque()
        self.is_lost = False

    async def open(self, raw: asyncssh.SSHClientConnection, shell: str) -> None:
        """Open the channel, and define the functions.

        :param raw: the connection.
        :param shell: the shell.
        """
        channel = await open_channel(raw, lambda: Channel(self._receive, self._lose), shell)
        self._channel = channel
        channel.write(FUNCTIONS)

    async def ask(self, command: str) -> list[str]:
        """Run a command, and return the parts of its answer.

        :param command: text for the shell, without a line break at its end.
        :raises CommandError: if it fails, with the error message of the program.
        :raises AnswerError: if the answer cannot be read.
        :raises SSHConnectionError: if the connection broke; the command may have been executed.
        """
        channel = self._channel
        if channel is None or self.is_lost:
            raise SSHConnectionError("the connection broke earlier")
        request = _Request(command)
        self._waiting.append(request)
        if self._watchdog is None:
            self._watch()
        mark = f"\x1e{request.answer.nonce}"
        channel.write(
            f"pdt_mark='{mark}'; {{ {command}\n}} </dev/null; "
            'printf \'%s=%s%s\\n\' "$pdt_mark" $? "$pdt_mark"\n'
        )
        return await request.future

    def close(self) -> None:
        """Close the channel."""
        if self._channel is not None:
            self._channel.close()

    def _receive(self, data: bytes) -> None:
        rest: bytes | None = data
        while rest and self._waiting:
            request = self._waiting[0]
            try:
                rest = request.answer.feed(rest)
            except AnswerError as e:
                # The end of this answer cannot be found, so the channel is unusable.
                self._waiting.popleft().fail(e)
                self.close()
                return self._lose()
            if rest is not None:
                self._waiting.popleft().finish()
                self._watch()
        return None

    def _watch(self) -> None:
        """Start the timeout of the next request, if there is one."""
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        if self._timeout is not None and self._waiting:
            loop = asyncio.get_running_loop()
            self._watchdog = loop.call_later(self._timeout, self._give_up)

    def _give_up(self) -> None:
        """Close a channel that is stuck; the next one kills the processes that block it."""
        request = self._waiting.popleft()
        request.fail(
            SSHConnectionError(
                f"the request {request.answer.request!r} was not answered in {self._timeout:g} s"
            )
        )
        self.close()
        self._lose()

    def _lose(self) -> None:
        self.is_lost = True
        waiting, self._waiting = self._waiting, deque()
        self._watch()
        for request in waiting:
            request.fail(SSHConnectionError("the connection broke before the answer was complete"))


class _Request:
    def __init__(self, command: str) -> None:
        self.answer = Answer(command)
        self.future: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()

    def finish(self) -> None:
        if self.future.done():
            return
        if self.answer.status == 0:
            self.future.set_result(self.answer.parts)
        else:
            said = self.answer.message or f"exit status {self.answer.status}"
            self.future.set_exception(CommandError(said))

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)
