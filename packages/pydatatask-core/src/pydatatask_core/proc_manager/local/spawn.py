"""Launch of supervisors on this machine. Everything here blocks; it is called in a thread."""

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
    """Create a status file without a status, with room for one.

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
    """Start a supervisor for a command, and return its process id.

    :param args: the command line.
    :param environ: variables to add to the inherited ones.
    :param cwd: the working directory, to which the other paths are relative.
    :param status: the file to write the status to.
    :param stdin: the file to read stdin from, or None for a null file.
    :param stdout: the file to append stdout to, or None for a null file.
    :param stderr: the same for stderr, or ``STDOUT``.
    :param journal: the file to write the identity of the process to.
    :param begun: the file to create, if it does not exist, when the process becomes the command.
    :param boot_id: the boot id.
    :param journal_fd: a descriptor that the supervisor gets as 3.
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
    # Pass a descriptor: if another directory took this path before the supervisor opens it, the
    # supervisor would run there.
    actions.append((file, 5, cwd, _READ | os.O_DIRECTORY, 0))
    where = ["/proc/self/fd/5", journal, begun, status, boot_id]
    return _spawn(
        [DEFAULT_SHELL, "-c", SUPERVISOR, "sh", *where, setsid_path(), *args],
        {**os.environ, **environ},
        actions,
        journal_fd,
    )


def spawn_kept_supervisor(environ: Mapping[str, str], connection: int) -> int:
    """Start a supervisor that accepts job commands, and return its process id.

    :param environ: its variables.
    :param connection: a descriptor of the socket on which it reads commands and reports statuses.
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
    """Start a process that inherits nothing from this one except its arguments.

    :param command: its command line, with the path of the program.
    :param environ: its environment.
    :param actions: actions on its file descriptors, as for ``os.posix_spawn``.
    :param kept: a descriptor that the actions use.
    :raises OSError: if it could not be started.
    """
    inherited = [fd for fd in _inherited(os.getpid()) if fd != kept]
    return os.posix_spawn(
        command[0],
        command,
        environ,
        file_actions=[*((os.POSIX_SPAWN_CLOSE, fd) for fd in inherited), *actions],
        setsid=True,
        # The job must not inherit ignored signals (Python ignores SIGPIPE, nohup ignores SIGHUP).
        setsigmask=(),
        setsigdef=_signals(),
    )


@cache
def setsid_path() -> str:
    """Return the path of the program ``setsid``.

    :raises ProcessManagerError: if it is not installed.
    """
    path = shutil.which("setsid") or shutil.which("setsid", path="/usr/bin:/bin")
    if path is None:
        raise ProcessManagerError(
            "the program `setsid` was not found on this machine; local processes need it (install "
            "util-linux, which contains it on most systems)"
        )
    return path


@cache
def _signals() -> frozenset[signal.Signals | int]:
    return frozenset(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


@cache
def _inherited(pid: int) -> tuple[int, ...]:
    """List the descriptors that this process inherited and that its children would inherit.

    A job that holds one would block readers that wait for the end of a pipe, or keep a lock. The
    result is cached, because descriptors that Python opens are not inheritable.

    :param pid: the process id of this process, so that a fork of it computes its own list.
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
