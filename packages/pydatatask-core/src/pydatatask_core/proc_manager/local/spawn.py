"""Launching a supervisor on this machine. Everything here blocks; it is called in a thread."""

from __future__ import annotations

import os
import shutil
import signal
from functools import cache
from typing import TYPE_CHECKING

from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.proc_manager.base import STDOUT
from pydatatask_core.proc_manager.protocol.run_directory import (
    DEFAULT_SHELL,
    RESERVED_STATUS,
    SUPERVISOR,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydatatask_core.proc_manager.base import _StderrIsStdout

__all__ = ["reserve_status", "setsid_path", "spawn_kept_supervisor", "spawn_supervisor"]

_Action = tuple[int, ...] | tuple[int, int, str, int, int]

_READ = os.O_RDONLY
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND
_PRIVATE = 0o600


def reserve_status(path: str) -> None:
    """Make a status file that holds no status yet, and has the room for one.

    :param path: the file, which must not exist.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
    try:
        os.write(fd, RESERVED_STATUS)
    finally:
        os.close(fd)


def spawn_supervisor(
    args: Sequence[str],
    environ: Mapping[str, str],
    cwd: str,
    status: str,
    stdin: str | None,
    stdout: str | None,
    stderr: str | _StderrIsStdout | None,
    *,
    journal: str,
    begun: str,
    boot_id: str,
    journal_fd: int | None = None,
) -> int:
    """Start a supervisor for a command, and give its process id.

    :param args: the command line.
    :param environ: variables to add to those that are inherited.
    :param cwd: the directory to run in; what the other three are relative to.
    :param status: where to put the status.
    :param stdin: where to read stdin from, or None for a null file.
    :param stdout: where to append stdout to, or None for a null file.
    :param stderr: the same for stderr, or ``STDOUT``.
    :param journal: where to put the identity of the process.
    :param begun: what to make, if it is not there, as the process becomes the command.
    :param boot_id: the boot id.
    :param journal_fd: a descriptor to give to the supervisor as 3.
    :raises OSError: if it could not be started.
    """
    file = os.POSIX_SPAWN_OPEN
    actions: list[_Action] = [
        (file, 0, stdin or os.devnull, _READ, 0),
        (file, 1, stdout or os.devnull, _APPEND, _PRIVATE),
    ]
    if stderr is STDOUT:
        actions.append((os.POSIX_SPAWN_DUP2, 1, 2))
    else:
        path = stderr if isinstance(stderr, str) else os.devnull
        actions.append((file, 2, path, _APPEND, _PRIVATE))
    if journal_fd is not None:
        actions.append((os.POSIX_SPAWN_DUP2, journal_fd, 3))
    # The directory as it is now: should another one take its name before the supervisor looks, it
    # would run in that.
    actions.append((file, 5, cwd, _READ | os.O_DIRECTORY, 0))
    where = ["/proc/self/fd/5", journal, begun, status, boot_id]
    return _spawn(
        [DEFAULT_SHELL, "-c", SUPERVISOR, "sh", *where, setsid_path(), *args],
        {**os.environ, **environ},
        actions,
        journal_fd,
    )


def spawn_kept_supervisor(environ: Mapping[str, str], connection: int) -> int:
    """Start a supervisor that takes orders, and give its process id.

    :param environ: its variables.
    :param connection: a descriptor by which it is to be told and to tell.
    :raises OSError: if it could not be started.
    """
    return _spawn(
        [DEFAULT_SHELL, "-s", "pydatatask: waits for the ends of jobs, one after the other"],
        environ,
        [
            (os.POSIX_SPAWN_DUP2, connection, 3),
            (os.POSIX_SPAWN_DUP2, 3, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, _APPEND, 0),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, _APPEND, 0),
        ],
        connection,
    )


def _spawn(
    command: list[str],
    environ: Mapping[str, str],
    actions: Sequence[_Action],
    kept: int | None = None,
) -> int:
    """Start a process that has nothing of this one's but what it is given.

    :param command: its command line, with the path of the program.
    :param environ: its environment.
    :param actions: what to do with its file descriptors, as for ``os.posix_spawn``.
    :param kept: one that it may need for that.
    :raises OSError: if it could not be started.
    """
    inherited = [fd for fd in _inherited(os.getpid()) if fd != kept]
    return os.posix_spawn(
        command[0],
        command,
        environ,
        file_actions=[*((os.POSIX_SPAWN_CLOSE, fd) for fd in inherited), *actions],
        setsid=True,
        # What this process ignores (SIGPIPE, as all of Python does, or what nohup made it ignore)
        # is none of the job's business.
        setsigmask=(),
        setsigdef=_signals(),
    )


@cache
def setsid_path() -> str:
    """Find the program ``setsid``.

    :raises ProcessManagerError: if there is none.
    """
    path = shutil.which("setsid") or shutil.which("setsid", path="/usr/bin:/bin")
    if path is None:
        raise ProcessManagerError(
            "there is no program `setsid` on this machine; local processes need it (on most "
            "systems the package util-linux has it)"
        )
    return path


@cache
def _signals() -> frozenset[signal.Signals | int]:
    return frozenset(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


@cache
def _inherited(pid: int) -> tuple[int, ...]:
    """List what this process got from its own parent and would hand on to a job.

    Whoever waits for the end of a pipe, or for a lock, would wait for the job as well. Looked up
    once: Python opens nothing that is handed on.

    :param pid: the process id of this process, so that a fork of it looks again.
    """
    found = []
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        try:
            if fd > 2 and os.get_inheritable(fd):  # noqa: PLR2004 - the standard streams
                found.append(fd)
        except OSError:
            continue  # the descriptor of the listing itself
    return tuple(found)
