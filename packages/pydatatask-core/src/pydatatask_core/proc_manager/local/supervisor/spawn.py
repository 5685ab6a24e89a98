"""The start of processes by the supervisor program."""

from __future__ import annotations

import errno
import os
import resource
import signal
from typing import NamedTuple

__all__ = ["Program", "open_streams", "spawn"]

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_INPUT = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

Streams = tuple[bytes | None, bytes | None, bytes | None, bool]
"""The names of the files for stdin, stdout and stderr; and whether stderr is the same as stdout."""


class Program(NamedTuple):
    """A program to run, and the attributes that its process inherits from the driver."""

    args: list[bytes]
    variables: dict[bytes, bytes]
    """The environment variables to set."""
    removed: list[bytes]
    """The environment variables to remove."""
    umask: int
    limits: list[tuple[int, tuple[int, int]]]
    """The resource limits that differ from those of the supervisor."""
    ignored: list[int]
    """The signals to ignore."""


def open_streams(streams: Streams, fds: list[int]) -> None:
    """Open the standard streams of a job in the current directory.

    :param streams: their files; None for a null file. Those for output must not exist.
    :param fds: the list to which the descriptors are added.
    :raises OSError: if one of them cannot be opened.
    """
    stdin, stdout, stderr, joined = streams
    fds.append(os.open(os.devnull if stdin is None else stdin, _INPUT))
    os.set_blocking(fds[-1], True)
    fds.append(_open_output(stdout))
    fds.append(os.dup(fds[-1]) if joined else _open_output(stderr))


def _open_output(name: bytes | None) -> int:
    if name is None:
        return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    return os.open(name, _NEW_FILE, 0o600)


def spawn(program: Program, environ: dict[bytes, bytes], fds: list[int]) -> int:
    """Start a process in the current directory and in a session of its own; return its process id.

    This process is single-threaded, so it sets what ``posix_spawn`` cannot set, and resets it.

    :param program: the program.
    :param environ: the environment that its variables change.
    :param fds: its standard streams.
    :raises OSError: if it cannot be started.
    :raises ValueError: if an argument or a limit is not valid.
    """
    environ = {**environ, **program.variables}
    for name in program.removed:
        environ.pop(name, None)
    path = _find_program(program.args[0], environ)
    before = [(limit, resource.getrlimit(limit)) for limit, _ in program.limits]
    umask = os.umask(program.umask)
    try:
        for number in program.ignored:
            signal.signal(number, signal.SIG_IGN)
        for limit, values in program.limits:
            resource.setrlimit(limit, values)
        return os.posix_spawn(
            path,
            program.args,
            environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(fds)],
            setsid=True,
            setsigmask=(),
            setsigdef=_CATCHABLE.difference(program.ignored),
        )
    finally:
        for limit, values in before:
            resource.setrlimit(limit, values)
        for number in program.ignored:
            signal.signal(number, signal.SIG_DFL)
        os.umask(umask)


_CATCHABLE = frozenset(map(int, signal.valid_signals())) - {signal.SIGKILL, signal.SIGSTOP}


def _find_program(name: bytes, environ: dict[bytes, bytes]) -> bytes:
    """Return the path of a program, which is looked up in the ``PATH`` of the job."""
    if b"/" in name:
        return name
    for folder in environ.get(b"PATH", os.defpath.encode()).split(b":"):
        path = os.path.join(folder or b".", name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
