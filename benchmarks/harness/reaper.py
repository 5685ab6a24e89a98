"""Run a command, and report the time used by all its descendants, even by detached ones.

Usage: python -I -S reaper.py DESCRIPTOR COMMAND..., which writes a JSON object to the descriptor.

This process is a child subreaper (prctl(2)): a descendant whose parent has exited becomes its
child, even if it has a session of its own. So the processor time of all descendants is known when
they have exited. The seconds end with the command itself.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

__all__ = ["become_subreaper"]

PR_SET_CHILD_SUBREAPER = 36
EXIT_TIMEOUT_SECONDS = 10
"""Time for the remaining descendants to exit after the command."""


class _StillRunningError(Exception):
    """Some descendants have not exited in time."""


def become_subreaper() -> None:
    """Make this process the new parent of descendants whose parent exits.

    :raises OSError: if the kernel does not support it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"prctl(PR_SET_CHILD_SUBREAPER): {os.strerror(number)}")


def run(command: list[str]) -> dict[str, Any]:
    """Run a command, wait for all its descendants, and return the figures."""
    began = time.perf_counter()
    # Python ignores these signals; the command must not inherit that.
    defaults = [signal.SIGPIPE, signal.SIGXFSZ]
    process = os.posix_spawnp(command[0], command, os.environ, setsigdef=defaults)
    pid = code = -1
    while pid != process:
        pid, status = os.wait()
        code = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    remaining = _wait_for_descendants()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "code": code,
        "seconds": seconds,
        "cpu": used.ru_utime + used.ru_stime,
        "peak": used.ru_maxrss * 1024.0,
        "remaining": remaining,
    }


def _wait_for_descendants() -> list[str]:
    """Wait until all descendants have exited; kill those that remain, and return their commands."""
    signal.signal(signal.SIGALRM, _raise)
    signal.alarm(EXIT_TIMEOUT_SECONDS)
    try:
        while True:
            os.wait()
    except ChildProcessError:
        return []
    except _StillRunningError:
        return _kill_descendants()
    finally:
        signal.alarm(0)


def _raise(_number: int, _frame: object) -> None:
    raise _StillRunningError


def _kill_descendants() -> list[str]:
    killed = []
    while children := _children():
        for pid in children:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            killed.append(b" ".join(words).decode(errors="replace").strip())
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return killed


def _children() -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = path.read_text(errors="replace").rpartition(")")[2].split()[1]
        except OSError:
            continue  # it has exited
        if int(parent) == os.getpid():
            found.append(int(path.parent.name))
    return found


def main() -> None:
    """Run the command of the command line, and write its figures to the descriptor."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    become_subreaper()
    os.write(descriptor, json.dumps(run(sys.argv[2:])).encode())


if __name__ == "__main__":
    main()
