"""Signals to a process of the supervisor at a chosen point of its work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from processes.lab import until

from pydatatask_core.proc_manager.local import pair

if TYPE_CHECKING:
    import pytest

__all__ = ["Sabotage", "is_gone", "kill", "state_of", "supervisors_of"]

_CODE = """
import os, signal, socket, sys
sys.path.append(sys.argv[1])

real_open, real_write, outer = os.open, os.write, os.getpid()
count = 0

def reach_point():
    global count
    if os.getpid() == outer:
        return
    count += 1
    if count == AT:
        try:
            fd = real_open(FLAG, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return  # an earlier supervisor of the same test
        real_write(fd, b"%d %d" % (outer, os.getpid()))
        os.close(fd)
        os.kill(os.getpid() if VICTIM == "inner" else outer, SIGNAL)

def counted(function):
    def method(*args, **options):
        reach_point()
        return function(*args, **options)
    return method

class Counted(socket.socket):
    pass

for name in NAMES:
    owner = Counted if name in ("recvmsg", "send") else os
    setattr(owner, name, counted(getattr(owner, name)))
socket.socket = Counted

from supervisor.program import main
main()
"""

_NAMES = (
    *("open", "rename", "pwrite", "unlink", "fchdir", "dup", "write"),
    *("posix_spawn", "waitid", "wait4", "waitpid", "read", "recvmsg", "send"),
)


class Sabotage:
    """A signal to one of the two processes of the first supervisor that gets to a point.

    A point is the instant before the inner process calls one of the functions that matter.

    :param monkeypatch: replaces the program.
    :param folder: where to write a file when the point is reached.
    :param at: the number of the point, counted from 1.
    :param victim: ``inner`` or ``outer``.
    :param signal: the signal.
    :param names: the functions.
    """

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        folder: Path,
        at: int,
        victim: str,
        signal: int,
        names: tuple[str, ...] = _NAMES,
    ) -> None:
        self._flag = folder / "reached"
        settings = {
            "AT": at,
            "FLAG": str(self._flag),
            "VICTIM": victim,
            "SIGNAL": int(signal),
            "NAMES": names,
        }
        code = "".join(f"{name} = {value!r}\n" for name, value in settings.items()) + _CODE
        monkeypatch.setattr(pair, "_CODE", code)

    @property
    def is_reached(self) -> bool:
        """True once the signal was sent, or is about to be."""
        return self._flag.exists() and self._flag.stat().st_size > 0

    @property
    def pids(self) -> tuple[int, int]:
        """The process ids of the outer and of the inner process."""
        outer, inner = self._flag.read_text().split()
        return int(outer), int(inner)

    async def suspended(self) -> None:
        """Wait until the inner process is suspended."""

        async def is_suspended() -> bool:
            return state_of(self.pids[1]) == "T"

        await until(is_suspended)


def state_of(pid: int) -> str | None:
    """Return the state of a process, as in ``/proc``; None if it does not exist."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return None


def is_gone(pid: int) -> bool:
    """Return whether a process has ended."""
    return state_of(pid) in (None, "Z", "X")


def supervisors_of(pid: int) -> tuple[int, int]:
    """Return the outer and the inner supervisor of the process of a job."""
    inner = _parent(pid)
    return _parent(inner), inner


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])


def kill(pid: int, number: int) -> None:
    """Send a signal to a process that may have ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        assert is_gone(pid)
