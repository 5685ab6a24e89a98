"""The pool of supervisors of one driver, each of which runs one job after another.

Starting a program costs more than everything else that is done for a small job, so a supervisor
that finishes a job is assigned the next one instead of being replaced. It runs one job at a time:
killing it loses the exit status of that job and nothing else. A supervisor that could not write a
status exits; therefore, if a supervisor is alive and its job has no status, the job is running. The
supervisors exit with the driver; busy ones finish their job first.
"""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import socket
import weakref
from typing import TYPE_CHECKING

from pydatatask_core.proc_manager.protocol.run_directory import KEPT_SUPERVISOR
from pydatatask_core.utils import in_thread

from .pidfd import reap_child
from .spawn import spawn_kept_supervisor
from .supervised import Supervised

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Supervisors"]

MOST_IDLE = 32
"""The maximum number of idle supervisors."""

_BLOCK = 4096

_LONGEST = 65536
"""The maximum size of an order in bytes, which fits into the buffer of an empty socket."""


def most_heard() -> int:
    """Return the maximum number of supervisors whose messages are read.

    Each takes a file descriptor; the other half of the limit is for the rest of the driver.
    """
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2


class _Supervisor:
    """A supervisor of this process.

    :param environ: all environment variables of it and of its jobs.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.place = ""
        """The directory of its current job."""
        self.job: Supervised | None = None
        self.pid: int | None = None

    def begin(self) -> None:
        """Start the supervisor; this blocks.

        :raises OSError: if it cannot be started.
        """
        self.connection, theirs = map(_Connection, socket.socketpair())
        with theirs:
            self.pid = spawn_kept_supervisor(self.environ, theirs.fileno())
        self.connection.sendall(KEPT_SUPERVISOR.encode())
        self.connection.setblocking(False)

    def give(self, order: bytes) -> bool:
        """Assign a job to an idle supervisor; return whether it may have accepted it.

        :param order: the job command.
        """
        try:
            self.connection.sendall(order)
        except (BrokenPipeError, ConnectionResetError):
            return False  # it was killed
        return True

    def hear(self) -> str | None:
        """Read its messages, one status per line; None if it has exited."""
        try:
            return self.connection.recv(_BLOCK).decode() or None
        except BlockingIOError:
            return ""
        except OSError:
            return None

    def reap(self) -> int | None:
        """Wait for a supervisor that is about to exit, and return its exit status, if known."""
        return None if self.pid is None else reap_child(self.pid, wait=True)[1]

    def end(self) -> None:
        """Stop an idle supervisor and reap it."""
        if self.pid is None:
            return
        self.connection.close()
        if not reap_child(self.pid)[0]:  # otherwise its process id may have been reused
            os.kill(self.pid, signal.SIGKILL)
            self.reap()


class _Connection(socket.socket):
    """A socket that is closed when it is garbage collected, and in every fork of this process.

    :param made: the socket to take over.
    """

    def __init__(self, made: socket.socket) -> None:
        super().__init__(fileno=made.detach())
        _connections.add(self)

    def __del__(self) -> None:
        self.close()


_connections: weakref.WeakSet[_Connection] = weakref.WeakSet()


def _close_all() -> None:
    """Close all connections in a fork, where they would delay the end-of-file of the parent's."""
    for connection in list(_connections):
        connection.close()


os.register_at_fork(after_in_child=_close_all)


class Supervisors:
    """The supervisors of this process for the running loop.

    Jobs inherit the limits, umask and priority that this process has when a supervisor is started.
    """

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._loop = asyncio.get_running_loop()
        self._idle: list[_Supervisor] = []
        self._busy: dict[str, _Supervisor] = {}

    @property
    def is_usable(self) -> bool:
        """True in the process that started the supervisors, false in a fork of it."""
        return self._owner == os.getpid()

    def find(self, place: str) -> Supervised | None:
        """Return the job in a directory, if one of the supervisors runs it.

        :param place: the directory.
        """
        supervisor = self._busy.get(place)
        return None if supervisor is None else supervisor.job

    async def run(self, place: str, environ: Mapping[str, str], order: str) -> Supervised:
        """Run a job on an idle supervisor, or on a new one.

        :param place: the directory of the job.
        :param environ: all its environment variables.
        :param order: the job command, see ``protocol.run_directory``.
        :raises OSError: if no supervisor can be started, or the command is too long.
        """
        words = os.fsencode(order)
        if len(words) > _LONGEST:
            raise OSError(errno.E2BIG, os.strerror(errno.E2BIG), place)
        while True:
            supervisor = self._take(environ) or await self._begin(environ)
            job = supervisor.job = Supervised()
            supervisor.place = place
            self._busy[place] = supervisor
            if supervisor.give(words):
                if len(self._busy) > most_heard():
                    self._let_go(supervisor)
                return job
            self._lose(supervisor)

    def _take(self, environ: Mapping[str, str]) -> _Supervisor | None:
        for number in reversed(range(len(self._idle))):
            if self._idle[number].environ == environ:
                return self._idle.pop(number)
        return None

    async def _begin(self, environ: Mapping[str, str]) -> _Supervisor:
        supervisor = _Supervisor(environ)
        try:
            await in_thread(supervisor.begin)
        except BaseException:
            supervisor.end()
            raise
        # The reader must not keep this object alive.
        self._loop.add_reader(supervisor.connection, _attend, weakref.ref(self), supervisor)
        return supervisor

    def attend(self, supervisor: _Supervisor) -> None:
        """Process the messages of a supervisor.

        :param supervisor: one of these supervisors.
        """
        told = supervisor.hear()
        if told is None:
            self._lose(supervisor)
        elif told.endswith("\n") and supervisor.job is not None:
            self._idle.append(supervisor)
            self._end(supervisor, int(told))
            if len(self._idle) > MOST_IDLE:
                self._lose(self._idle[0])

    def _lose(self, supervisor: _Supervisor) -> None:
        """Drop a supervisor that has exited or is idle."""
        self._loop.remove_reader(supervisor.connection)
        if supervisor in self._idle:
            self._idle.remove(supervisor)
            supervisor.end()
        else:
            supervisor.connection.close()
            self._end(supervisor, supervisor.reap())

    def _let_go(self, supervisor: _Supervisor) -> None:
        """Stop monitoring a busy supervisor, which exits after its current job."""
        self._loop.remove_reader(supervisor.connection)
        supervisor.connection.close()
        del self._busy[supervisor.place]
        if supervisor.job is not None:
            supervisor.job.unheard = supervisor.pid

    def _end(self, supervisor: _Supervisor, status: int | None) -> None:
        job, supervisor.job = supervisor.job, None
        if self._busy.get(supervisor.place) is supervisor:
            del self._busy[supervisor.place]
        if job is not None:
            job.end(status)

    def close(self) -> None:
        """Stop all supervisors; busy ones exit after their current job."""
        loop, all_ = self._loop, [*self._idle, *self._busy.values()]
        self._idle, self._busy = [], {}
        if not self.is_usable:
            for supervisor in all_:
                supervisor.connection.close()  # nothing else: a fork shares the loop's selector
        elif loop.is_closed() or _is_running(loop):
            _close(loop, all_)
        else:
            try:
                loop.call_soon_threadsafe(_close, loop, all_)
            except RuntimeError:  # the loop was closed in the meantime
                _close(loop, all_)

    def __del__(self) -> None:
        self.close()


def _is_running(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def _close(loop: asyncio.AbstractEventLoop, supervisors: list[_Supervisor]) -> None:
    for supervisor in supervisors:
        if not loop.is_closed():
            loop.remove_reader(supervisor.connection)
        if supervisor.job is None:
            supervisor.end()
        else:
            supervisor.connection.close()


def _attend(supervisors: weakref.ref[Supervisors], supervisor: _Supervisor) -> None:
    found = supervisors()
    if found is not None:
        found.attend(supervisor)
