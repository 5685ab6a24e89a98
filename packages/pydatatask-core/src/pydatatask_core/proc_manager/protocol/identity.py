"""The identity of a process beyond its process id, and whether it is alive. For Linux."""

from __future__ import annotations

import errno
import os
import socket
import time
from typing import NamedTuple

__all__ = [
    "BOOT_ID",
    "Identity",
    "Origin",
    "Process",
    "parse_identity",
    "read_boot_id",
    "read_uptime",
]

MACHINE_ID = "/etc/machine-id"
"""The file in which systemd stores the id of the machine."""

PID_NAMESPACE = "/proc/self/ns/pid"

BOOT_ID = "/proc/sys/kernel/random/boot_id"
"""The file in which Linux publishes the id of the current boot."""

TICKS_PER_SECOND = 100
"""The unit of times in ``/proc``: USER_HZ, the same on all current architectures of Linux."""

_EXITED_STATES = (b"", b"Z", b"X", b"x")
"""The states of a process that has exited, whether or not its parent has reaped it."""


_MAX_PID = 2**22
"""The maximum process id on Linux."""

_MAX_DIGITS = 20
"""The number of digits of the largest start time."""


class _Stat(NamedTuple):
    pid: int
    state: bytes
    parent: int
    session: int
    start: int


class Process(NamedTuple):
    """A process. Its id alone is not enough, because ids are reused.

    :param pid: the process id.
    :param start: its start time, in clock ticks since the boot.
    """

    pid: int
    start: int

    def age(self, uptime: float) -> float:
        """Return the age of the process in seconds.

        :param uptime: the uptime of its machine in seconds.
        """
        return max(0.0, uptime - self.start / TICKS_PER_SECOND)

    def exists(self) -> bool:
        """Return whether the process is alive, or has exited and its parent has not reaped it."""
        result = _read_stat(self.pid)
        return result is not None and result.start == self.start

    def is_alive(self) -> bool:
        """Return whether the process is alive; a zombie is not."""
        result = _read_stat(self.pid)
        return (
            result is not None and result.start == self.start and result.state not in _EXITED_STATES
        )


class Origin(NamedTuple):
    """One boot of one machine, and one pid namespace of it.

    :param boot: the boot id.
    :param machine: the machine id, or its host name; empty in records of earlier releases.
    :param namespace: the number of the pid namespace; empty in records of earlier releases.
    """

    boot: str
    machine: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        """Return the text for status files and handles."""
        return "/".join(self).rstrip("/")

    @classmethod
    def parse(cls, text: str) -> Origin:
        """Parse the text that ``str`` returns."""
        boot, _, rest = text.partition("/")
        machine, _, namespace = rest.partition("/")
        return cls(boot, machine, namespace)

    @classmethod
    def current(cls, boot: str) -> Origin:
        """Return the origin of this process.

        :param boot: the boot id.
        """
        try:
            namespace = "".join(filter(str.isdigit, os.readlink(PID_NAMESPACE)))
        except OSError:
            namespace = ""
        return cls(boot, read_machine_id(), namespace)

    def is_elsewhere(self, other: Origin) -> bool:
        """Return whether processes of another origin may be alive but invisible from here.

        :param other: the other origin.
        """
        if not (self.machine and other.machine):
            return False
        if self.machine != other.machine:
            return True
        if self.boot != other.boot:
            return False  # processes do not survive a reboot
        return bool(other.namespace) and self.namespace != other.namespace


class Identity(NamedTuple):
    """The process of a job and its supervisor, on one boot of one machine.

    :param process: the process; it leads a process group, unless it has only just started.
    :param supervisor: the process id of its parent.
    :param origin: where it was started; in records of earlier releases the boot id alone.
    """

    process: Process
    supervisor: int
    origin: Origin

    @property
    def boot(self) -> str:
        """The id of the boot during which it was started."""
        return self.origin.boot

    def __str__(self) -> str:
        """Return the handle, the process identifier of the manager's interface."""
        return f"{self.process.pid}.{self.process.start}-{self.supervisor}-{self.origin}"

    @classmethod
    def parse(cls, handle: str) -> Identity | None:
        """Parse a handle; return None if it is not valid."""
        process, _, rest = handle.partition("-")
        supervisor, _, boot = rest.partition("-")
        pid, _, start = process.partition(".")
        numbers = [_number(text) for text in (pid, start, supervisor)]
        if None in numbers:
            return None
        pid_, start_, supervisor_ = (number or 0 for number in numbers)
        return cls(Process(pid_, start_), supervisor_, Origin.parse(boot))

    def may_be_signalled(self) -> bool:
        """Return whether the process id still refers to the process of the job.

        The process may be a zombie, because its id is not reused until the supervisor reaps it. It
        leads a session, whose id is not reused either.
        """
        result = _read_stat(self.process.pid)
        if result is None or result.pid <= 1 or result.start != self.process.start:
            return False
        return result.pid == result.session


def _read_stat(pid: int) -> _Stat | None:
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            return _parse_stat(file.read(4096))
    except OSError as e:
        if e.errno in (errno.ENOENT, errno.ESRCH):
            return None
        raise


def _parse_stat(line: bytes) -> _Stat | None:
    # The second field is the name in parentheses, which may contain any characters.
    pid, _, rest = line.partition(b" (")
    fields = rest.rpartition(b") ")[2].split()
    if len(fields) < 20:  # noqa: PLR2004
        return None
    numbers = [_number(text) for text in (pid, fields[1], fields[3], fields[19])]
    if None in numbers:
        return None
    pid_, parent, session, start = (number or 0 for number in numbers)
    if max(pid_, parent, session) > _MAX_PID:
        return None
    return _Stat(pid_, fields[0], parent, session, start)


def _number(text: bytes | str) -> int | None:
    """Parse a number from ``/proc``; return None if it is not valid."""
    valid = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    return int(text) if valid else None


def parse_identity(text: bytes) -> Identity | None:
    """Parse the identity of the process from a status file; None if it is not complete (yet).

    :param text: the content of the file.
    """
    lines = text.split(b"\n")
    if len(lines) < 4:  # noqa: PLR2004 - three lines, each of them terminated
        return None
    result = _parse_stat(lines[2])
    if result is None:
        return None
    boot = lines[1].decode(errors="replace").strip()
    return Identity(Process(result.pid, result.start), result.parent, Origin.parse(boot))


def read_machine_id() -> str:
    """Return an identifier of this machine: its machine id, or else its host name."""
    try:
        with open(MACHINE_ID, "rb", buffering=0) as file:
            result = file.read(128).decode(errors="replace").strip()
    except OSError:
        result = ""
    return (result if result.isalnum() else "") or socket.gethostname().replace("/", "-")


def read_uptime() -> float:
    """Return the uptime of this machine in seconds, including suspended time."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def read_boot_id(path: str = BOOT_ID) -> str:
    """Read the id of the current boot; return an empty string if the system does not have one.

    :param path: the file to read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        return os.read(fd, 128).decode(errors="replace").strip()
    finally:
        os.close(fd)
