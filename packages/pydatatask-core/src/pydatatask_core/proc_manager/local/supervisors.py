"""The supervisors of one driver, each of which looks after one job after the other.

To start a program costs more than all else that is done for a small job, so a supervisor that is
through with a job is given the next one instead of being started anew. It has one job at a time:
whoever kills it takes the exit status of that one along and nothing else. One that could not write
a status ends, so that one that lives, and whose job has no status, has a job that goes on. They end
with the driver, those that have a job after that.
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
"""How many supervisors without a job are kept."""

_BLOCK = 4096

_LONGEST = 65536
"""How many bytes of an order a socket in which nothing waits takes for certain."""


def most_heard() -> int:
    """Give how many supervisors are heard at once.

    Each takes a file descriptor, and half of them are for what else a driver does.
    """
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2


class _Supervisor:
    """A supervisor of this process.

    :param environ: all its variables, and its jobs'.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.place = ""
        """The directory of the job that it has."""
        self.job: Supervised | None = None
        self.pid: int | None = None

    def begin(self) -> None:
        """Start it, which blocks.

        :raises OSError: if that cannot be done.
        """
        self.connection, theirs = map(_Connection, socket.socketpair())
        with theirs:
            self.pid = spawn_kept_supervisor(self.environ, theirs.fileno())
        self.connection.sendall(KEPT_SUPERVISOR.encode())
        self.connection.setblocking(False)

    def give(self, order: bytes) -> bool:
        """Give it, which has no job, one; tell whether it may have taken that.

        :param order: what to do.
        """
        try:
            self.connection.sendall(order)
        except (BrokenPipeError, ConnectionResetError):
            return False  # somebody has killed it
        return True

    def hear(self) -> str | None:
        """Give what it tells: a status a line; None if it has ended."""
        try:
            return self.connection.recv(_BLOCK).decode() or None
        except BlockingIOError:
            return ""
        except OSError:
            return None

    def reap(self) -> int | None:
        """Wait for it, which is about to end, and give its exit status, if that is to be had."""
        return None if self.pid is None else reap_child(self.pid, wait=True)[1]

    def end(self) -> None:
        """End it, which has no job, and have the kernel forget it."""
        if self.pid is None:
            return
        self.connection.close()
        if not reap_child(self.pid)[0]:  # else its number may be another one's
            os.kill(self.pid, signal.SIGKILL)
            self.reap()


class _Connection(socket.socket):
    """A socket that is closed when nobody has it any more, as is meant here, and in any fork.

    :param made: the socket, which this takes over.
    """

    def __init__(self, made: socket.socket) -> None:
        super().__init__(fileno=made.detach())
        _connections.add(self)

    def __del__(self) -> None:
        self.close()


_connections: weakref.WeakSet[_Connection] = weakref.WeakSet()


def _close_all() -> None:
    """Keep nothing of them: whoever waits for their end would wait for that of this process."""
    for connection in list(_connections):
        connection.close()


os.register_at_fork(after_in_child=_close_all)


class Supervisors:
    """The supervisors of the running loop of this process.

    What the process has of limits, umask and priority when one is started is what its jobs get.
    """

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._loop = asyncio.get_running_loop()
        self._idle: list[_Supervisor] = []
        self._busy: dict[str, _Supervisor] = {}

    @property
    def is_usable(self) -> bool:
        """Whether this is the process that has started them, and not a fork of it."""
        return self._owner == os.getpid()

    def find(self, place: str) -> Supervised | None:
        """Give the job that is in a directory, if one of them has it.

        :param place: the directory.
        """
        supervisor = self._busy.get(place)
        return None if supervisor is None else supervisor.job

    async def run(self, place: str, environ: Mapping[str, str], order: str) -> Supervised:
        """Have a job run.

        :param place: its directory.
        :param environ: all its variables.
        :param order: what a supervisor is told, see ``protocol.run_directory``.
        :raises OSError: if no supervisor can be started.
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
        # It is not for the loop to keep what nobody else does.
        self._loop.add_reader(supervisor.connection, _attend, weakref.ref(self), supervisor)
        return supervisor

    def attend(self, supervisor: _Supervisor) -> None:
        """Take what a supervisor tells.

        :param supervisor: one of these.
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
        """Do without a supervisor, which has ended or has no job."""
        self._loop.remove_reader(supervisor.connection)
        if supervisor in self._idle:
            self._idle.remove(supervisor)
            supervisor.end()
        else:
            supervisor.connection.close()
            self._end(supervisor, supervisor.reap())

    def _let_go(self, supervisor: _Supervisor) -> None:
        """Have a supervisor end after the job that it has, and hear no more of it."""
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
        """Have all of them end; those that have jobs do so after that."""
        loop, all_ = self._loop, [*self._idle, *self._busy.values()]
        self._idle, self._busy = [], {}
        if not self.is_usable:
            for supervisor in all_:
                supervisor.connection.close()  # and nothing else: a fork shares what a loop has
        elif loop.is_closed() or _is_running(loop):
            _close(loop, all_)
        else:
            try:
                loop.call_soon_threadsafe(_close, loop, all_)
            except RuntimeError:  # it was closed meanwhile
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
