"""Processes as the kernel lists them in ``/proc`` (proc(5))."""

from __future__ import annotations

import contextlib
import os
import signal
import time

__all__ = [
    "find_leader",
    "list_children",
    "read_clock",
    "read_session",
    "read_start_time",
    "signal_session",
    "working_directory",
]

_TICKS_PER_SECOND = 100
_MAX_START_TICKS = 10 * _TICKS_PER_SECOND
"""The maximum time between the decision to start a process and its start."""
_EXITED_STATES = (b"Z", b"X", b"x")


def _read_stat(pid: int | str) -> list[bytes]:
    """Return the fields of a process after its id and its name; the first one is the state."""
    with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
        return file.read(4096).rpartition(b") ")[2].split()


def read_start_time(pid: int | str) -> int:
    """Return the start time of a process in clock ticks since the boot.

    :param pid: its process id, or ``self``.
    :raises OSError: if it does not exist.
    """
    return int(_read_stat(pid)[19])


def read_clock() -> int:
    """Return the time in clock ticks since the boot, as in the start times of processes."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * _TICKS_PER_SECOND)


def read_session(pid: int, *, exited: bool = False) -> int | None:
    """Return the session of a process; None if it does not exist.

    :param pid: its process id.
    :param exited: whether to return it for a process that has exited and was not reaped.
    """
    try:
        fields = _read_stat(pid)
    except OSError:
        return None
    return int(fields[3]) if exited or fields[0] not in _EXITED_STATES else None


def list_children() -> set[int]:
    """Return the process ids of all children of this process."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb", buffering=0) as file:
            return set(map(int, file.readall().split()))
    except OSError:  # a kernel without CONFIG_PROC_CHILDREN
        return {int(name) for name in os.listdir("/proc") if name.isdigit() and _is_child(name)}


def _is_child(pid: str) -> bool:
    try:
        return int(_read_stat(pid)[1]) == os.getpid()
    except OSError:
        return False


def find_leader(directory: os.stat_result, decided: int) -> int | None:
    """Return the process that a supervisor started in a directory right before it was killed.

    :param directory: the status of the directory.
    :param decided: the time of the decision to start it, in clock ticks since the boot.
    """
    for name in os.listdir("/proc"):
        pid = int(name) if name.isdigit() else 0
        if not pid or read_session(pid) != pid:
            continue
        with contextlib.suppress(OSError):
            delay = read_start_time(pid) - decided
            path = f"/proc/{pid}"
            if (
                0 <= delay <= _MAX_START_TICKS
                and os.stat(path).st_uid == os.geteuid()
                and os.path.samestat(os.stat(f"{path}/cwd"), directory)
            ):
                return pid
    return None


def working_directory(pid: int) -> int | None:
    """Return the inode of the working directory of a process, if it is known.

    :param pid: its process id.
    """
    try:
        return os.stat(f"/proc/{pid}/cwd").st_ino
    except OSError:
        return None


def signal_session(session: int, number: int) -> int:
    """Send a signal to all processes of a session; return their number.

    :param session: the process id of its leader, which was not reaped, so that no other session has
        this id.
    :param number: the signal.
    """
    count = 0
    for name in os.listdir("/proc"):
        if name.isdigit() and read_session(int(name)) == session:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(name), number)
                count += 1
                if number == signal.SIGTERM:
                    os.kill(int(name), signal.SIGCONT)  # a suspended process ignores SIGTERM
    return count
