"""Which process it is, beyond its number, and whether it lives. For Linux."""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

__all__ = ["BOOT_ID", "Identity", "Process", "boot_id", "parse_journal", "process_of"]

BOOT_ID = "/proc/sys/kernel/random/boot_id"
"""Where Linux tells one boot of the machine from the next."""

_DEAD = (b"", b"Z", b"X", b"x")
"""The states of a process that has ended, whether or not its parent has noticed."""


class Process(NamedTuple):
    """A process: its number alone may be another one's tomorrow.

    :param pid: the process id.
    :param start: when it began, in clock ticks since the boot.
    """

    pid: int
    start: int

    def lives(self) -> bool:
        """Determine whether the process lives; one that is a zombie does not."""
        return self._state() not in _DEAD

    def is_zombie(self) -> bool:
        """Determine whether the process has ended, and its parent has not noticed yet."""
        return self._state() == b"Z"

    def _state(self) -> bytes:
        try:
            with open(f"/proc/{self.pid}/stat", "rb", buffering=0) as file:
                line = file.read(4096)
        except OSError as e:
            if e.errno in (errno.ENOENT, errno.ESRCH):
                return b""
            raise
        if process_of(line) != self:
            return b""
        return line.rpartition(b") ")[2][:1]


class Identity(NamedTuple):
    """A job's process and its supervisor, on one boot of one machine.

    :param process: the process; it leads a process group, unless it has only just begun.
    :param supervisor: its parent.
    :param boot: the boot id.
    """

    process: Process
    supervisor: Process
    boot: str

    def __str__(self) -> str:
        """Give the handle by which the process manager's users know it."""
        (pid, start), (parent, parent_start), boot = self
        return f"{pid}.{start}-{parent}.{parent_start}-{boot}"

    @classmethod
    def parse(cls, handle: str) -> Identity | None:
        """Read a handle; None if it is none."""
        parts = handle.split("-", 2)
        numbers = [number for part in parts[:2] for number in part.split(".")]
        if len(parts) != 3 or len(numbers) != 4 or not all(n.isdecimal() for n in numbers):  # noqa: PLR2004
            return None
        pid, start, parent, parent_start = map(int, numbers)
        return cls(Process(pid, start), Process(parent, parent_start), parts[2])


def process_of(stat: bytes) -> Process | None:
    """Read a line of ``/proc/<pid>/stat`` (proc(5)); None if it is not a whole one."""
    # The second field is the name in parentheses, in which anything may stand.
    pid, _, rest = stat.partition(b" (")
    fields = rest.rpartition(b") ")[2].split()
    if len(fields) < 20 or not pid.isdigit() or not fields[19].isdigit():  # noqa: PLR2004
        return None
    return Process(int(pid), int(fields[19]))


def parse_journal(text: bytes) -> Identity | None:
    """Read a journal; None if it is not complete (yet)."""
    lines = text.split(b"\n")
    if len(lines) < 4:  # noqa: PLR2004 - three lines, each of them terminated
        return None
    supervisor, process = process_of(lines[1]), process_of(lines[2])
    if supervisor is None or process is None:
        return None
    return Identity(process, supervisor, lines[0].decode(errors="replace").strip())


def boot_id(path: str = BOOT_ID) -> str:
    """Tell which boot of the machine this is; empty where that is not to be known.

    :param path: the file that says so.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        return os.read(fd, 128).decode(errors="replace").strip()
    finally:
        os.close(fd)
