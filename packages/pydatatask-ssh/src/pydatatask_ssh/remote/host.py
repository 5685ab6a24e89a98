"""One machine while one connection to it is up: four channels, and the machine's properties."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncssh

from pydatatask_core.errors import ProcessManagerError
from pydatatask_ssh.sftp import open_sftp

from .answers import parsing
from .cork import Cork
from .replies import parse_clock
from .shell import Channel, RemoteShell, open_channel
from .shell_functions import REPORTER, shell_join
from .trash import Trash

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RemoteHost"]

_MAX_EVENT_FILE_BYTES = 1 << 20

REQUEST_TIMEOUT_SECONDS = 120.0
"""The maximum time for a short request before its channel is replaced."""

MAX_LINE_BYTES = 64 * 1024
"""The maximum length of a line about an exit; a path has at most 4096 bytes."""


class Lines:
    """Splits bytes into lines, and drops lines that are too long.

    :param received: called with each line.
    """

    def __init__(self, received: Callable[[bytes], None]) -> None:
        self._received = received
        self._rest = b""
        self._is_too_long = False

    def feed(self, data: bytes) -> None:
        """Process received bytes.

        :param data: the bytes.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not self._is_too_long:
                self._received(line)
            self._is_too_long = False
        if len(self._rest) > MAX_LINE_BYTES:
            self._rest, self._is_too_long = b"", True


class RemoteHost:
    """The four channels to a machine: shells for short and for long requests, SFTP, exit events.

    :param raw: the connection.
    :param host: the name of the machine.
    :param shell: its POSIX shell.
    :param boot_id: the file that identifies the current boot of the machine.
    """

    sftp: asyncssh.SFTPClient
    """The SFTP client, once it is open."""

    def __init__(
        self, raw: asyncssh.SSHClientConnection, host: str, shell: str, boot_id: str
    ) -> None:
        self.raw = raw
        self.host = host
        self.boot = ""
        self.user = -1
        self.machine = ""
        """An identifier of the machine, different from that of another one at the same address."""
        self.detach = ""
        self.bash: str | None = None
        """The path of bash on the machine, if it is installed."""
        self.pins = ""
        """The folder for temporary links to files that are being opened."""
        self._shell = shell
        self._boot_id = boot_id
        self._shell_for_short = RemoteShell(timeout=REQUEST_TIMEOUT_SECONDS)
        self._shell_for_long = RemoteShell()
        self._reporter: Channel | None = None
        self._shell_processes: list[str] = []
        self._given_up = False
        self.cork = Cork(raw)
        self.trash = Trash(self)

    @property
    def is_lost(self) -> bool:
        """True if this object cannot be used any more."""
        channels = self._shell_for_short.is_lost or self._shell_for_long.is_lost
        return channels or self._given_up or self.raw.is_closed()

    def discard(self) -> None:
        """Mark this object as lost, so that all channels are reopened when one is broken."""
        self._given_up = True

    async def open(self) -> None:
        """Open the channels, and check that the machine is supported.

        :raises ProcessManagerError: if it is not.
        """
        await self._shell_for_short.open(self.raw, self._shell)
        await self._check_machine(self._shell_for_short)
        await self._shell_for_long.open(self.raw, self._shell)
        await self._check_machine(self._shell_for_long)
        try:
            self.sftp = await open_sftp(self.raw, self._shell)
        except asyncssh.Error as e:
            if self.raw.is_closed():
                raise
            raise ProcessManagerError(
                f"{self.host} does not offer SFTP, which is needed for files ({e}); add the line "
                "`Subsystem sftp internal-sftp` to the configuration of its sshd"
            ) from e

    async def _check_machine(self, remote_shell: RemoteShell) -> None:
        missing = []
        lines = await remote_shell.ask(shell_join("begin", self._boot_id))
        for line in lines:
            kind, rest = line[:1], line[1:]
            if kind == "X":
                missing.append(rest)
            elif kind == "B":
                self.boot = rest.strip()
            elif kind == "I":
                with parsing("begin", lines):
                    self.user = int(rest or -1)
            elif kind == "F":
                self.detach = rest
            elif kind == "H":
                self.bash = rest
            elif kind == "G":
                self.machine = rest
            elif kind == "P":
                self._shell_processes.append(rest)
        if missing:
            raise ProcessManagerError(
                f"{self.host} cannot run processes, because it lacks {', '.join(missing)}; it "
                "needs Linux with /proc, a POSIX shell, coreutils and setsid (of util-linux)"
            )

    async def take_over(self, before: RemoteHost) -> None:
        """Replace a host whose connection broke; none of its pending requests is executed later.

        :param before: the previous host.
        """
        if before.machine != self.machine:
            raise ProcessManagerError(
                f"another machine answers as {self.host} now, so the state of the jobs is "
                "unknown; a process manager needs a name that always leads to the same machine"
            )
        if before.boot == self.boot:
            for remote_shell in before._shell_processes:
                await self._shell_for_short.ask(f"fence {remote_shell}")
        self.trash.take_over(before.trash)

    async def ask(self, command: str) -> list[str]:
        """Run a short command; see :meth:`RemoteShell.ask`.

        :param command: text for the shell.
        """
        return await self._shell_for_short.ask(command)

    async def ask_slowly(self, command: str) -> list[str]:
        """Run a command that may take long.

        :param command: text for the shell.
        """
        return await self._shell_for_long.ask(command)

    async def report_ends(
        self, path: str, on_line: Callable[[str, float | None], None], clock: str
    ) -> None:
        """Call a function for each line that is appended to a file from now on.

        :param path: the file, which is created if necessary, and truncated if it is long.
        :param on_line: called with each line, and the time of the boot in seconds since the epoch,
            if known.
        :param clock: a file that is written to determine that time.
        """
        file = shell_join(path)
        up_since = parse_clock(await self.ask(f"clock {shell_join(clock)}"))
        size = await self.ask(f"[ -e {file} ] || true >{file} && sizes {file}")
        with parsing("sizes", size):
            start = int(size[0][1:]) + 1
        if start > _MAX_EVENT_FILE_BYTES:
            await self.ask(f"true >{file}")
            start = 1

        def receive(line: bytes) -> None:
            on_line(line.decode("utf-8", "surrogateescape"), up_since)

        self._reporter = await open_channel(
            self.raw, lambda: Channel(Lines(receive).feed, lambda: None), self._shell
        )
        self._reporter.write(REPORTER.format(start=start, ends=file))

    def close(self) -> None:
        """Close the channels."""
        self.trash.close()
        for remote_shell in (self._shell_for_short, self._shell_for_long):
            remote_shell.close()
        if hasattr(self, "sftp"):
            self.sftp.exit()
        if self._reporter is not None:
            self._reporter.close()
