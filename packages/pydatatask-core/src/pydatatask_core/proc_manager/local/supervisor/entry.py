"""The entries of a journal: files of fixed size that are overwritten in place.

The driver creates an entry with all its bytes before the job starts, so that writing to it later
does not need space on the disk. A field is filled with blanks until it is written.

=======  =======================================================================================
line 1   the exit status
line 2   user and system CPU seconds, the maximum resident memory in KiB, and the number of
         processes that the job left behind and that were ended
line 3   the outer and the inner process of the supervisor, the number of the job, its grace period,
         and the time of the decision to run it, in clock ticks since the boot
line 4   the process of the job: its process id and its start time in clock ticks since the boot
line 5   the boot, the machine and the pid namespace (``Origin``)
=======  =======================================================================================
"""

from __future__ import annotations

import os

__all__ = [
    "ENTRY_FLAGS",
    "STOP_SUFFIX",
    "TICKET_SUFFIX",
    "Fields",
    "blank_entry",
    "parse_entry",
    "write_pair",
    "write_process",
    "write_status",
    "write_usage",
]

TICKET_SUFFIX = ",ready"
"""The suffix of the name of an entry whose job was not started."""

STOP_SUFFIX = ",stop"
"""The suffix of the name of the file with the reason why a driver has terminated a job."""

ENTRY_FLAGS = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC

STATUS_WIDTH = 7
_WIDTHS = (STATUS_WIDTH, 48, 96, 40)
_USAGE_OFFSET = _WIDTHS[0] + 1
_PAIR_OFFSET = _USAGE_OFFSET + _WIDTHS[1] + 1
_PROCESS_OFFSET = _PAIR_OFFSET + _WIDTHS[2] + 1


class Fields:
    """The fields of an entry, empty if they are not written.

    :param text: the content of the file.
    """

    def __init__(self, text: bytes) -> None:
        lines = [line.strip() for line in text.split(b"\n")]
        self.status, self.usage, self.pair, self.process, self.origin = (*lines, *5 * [b""])[:5]


def blank_entry(origin: str) -> bytes:
    """Return the content of an entry whose job was not started.

    :param origin: its last line.
    """
    return b"".join(b" " * width + b"\n" for width in _WIDTHS) + origin.encode() + b"\n"


def parse_entry(text: bytes) -> Fields:
    """Return the fields of an entry.

    :param text: the content of the file.
    """
    return Fields(text)


def write_status(entry: int, code: int) -> None:
    """Write the exit status.

    :param entry: a descriptor of the entry.
    :param code: the exit status.
    """
    os.pwrite(entry, b"%*d" % (STATUS_WIDTH, code), 0)


def write_usage(entry: int, usage: tuple[float, float, int], ended: int) -> None:
    """Write the resources that the job has used.

    :param entry: a descriptor of the entry.
    :param usage: user seconds, system seconds and the maximum resident memory in KiB.
    :param ended: the number of processes that it left behind and that were ended.
    """
    text = b"%.6f %.6f %d %d" % (*usage, ended)
    os.pwrite(entry, text.rjust(_WIDTHS[1]), _USAGE_OFFSET)


def write_pair(
    entry: int, pair: bytes, inner: bytes, number: int, grace: float | None, now: int
) -> None:
    """Write the supervisor of the job.

    :param entry: a descriptor of the entry.
    :param pair: the process id and the start time of its outer process.
    :param inner: those of its inner process.
    :param number: the number of the job.
    :param grace: the grace period of the processes that the job leaves behind, if it has one.
    :param now: the time in clock ticks since the boot.
    """
    text = b"%s %s %d %s %d" % (pair, inner, number, repr(grace).encode(), now)
    os.pwrite(entry, text.rjust(_WIDTHS[2]), _PAIR_OFFSET)


def write_process(entry: int, pid: int, start: int) -> None:
    """Write the identity of the process of the job.

    :param entry: a descriptor of the entry.
    :param pid: its process id.
    :param start: its start time in clock ticks since the boot.
    """
    os.pwrite(entry, (b"%d.%d" % (pid, start)).rjust(_WIDTHS[3]), _PROCESS_OFFSET)
