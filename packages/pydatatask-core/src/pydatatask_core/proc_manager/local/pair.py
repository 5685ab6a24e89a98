"""The connection of this process to one supervisor program, which is a pair of processes."""

from __future__ import annotations

import asyncio
import itertools
import marshal
import os
import signal
import socket
import sys
import weakref
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import ProcessManagerError, describe
from pydatatask_core.utils import in_thread

from .pidfd import reap_child
from .supervised import ExitReport, SupervisedJob
from .supervisor.program import ENVIRON_FD, MAX_PACKET_BYTES, SOCKET_FD, STARTED, TAKEN_OVER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .attributes import Attributes

__all__ = ["SupervisorPair"]

_START_TIMEOUT_SECONDS = 60.0
_CODE = "import sys; sys.path.append(sys.argv[1]); from supervisor.program import main; main()"
_TITLE = "pydatatask: waits for the ends of jobs"
_BLOCK_BYTES = 1 << 16

_unreaped: set[int] = set()
"""The process ids of outer processes that had jobs left when their connection was closed."""


class SupervisorPair:
    """A supervisor program of this process.

    :param attributes: the attributes of this process, which it inherits.
    :raises ProcessManagerError: if it cannot be started; this blocks.
    """

    def __init__(self, attributes: Attributes) -> None:
        self.environ, self.limits = attributes.environ, attributes.limits
        self.fixed = attributes.fixed
        self.jobs: dict[int, SupervisedJob] = {}
        """The jobs that are not over, by number."""
        self.is_retired = False
        """True if it gets no more jobs."""
        self.inner_pid = 0
        self._is_reaped = self._may_have_jobs = False
        """True if it may have jobs that are not in `jobs` any more."""
        self._numbers = itertools.count(1)
        self._programs: dict[int, asyncio.Future[tuple[int, int]]] = {}
        self._writable: list[asyncio.Future[None]] = []
        self.connection, theirs = map(
            _Connection, socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        )
        with theirs:
            self.outer_pid = _start(theirs.fileno(), attributes)
        self._await_start()

    def _await_start(self) -> None:
        """Wait until the program is ready."""
        self.connection.settimeout(_START_TIMEOUT_SECONDS)
        try:
            packet = self.connection.recv(_BLOCK_BYTES)
        except OSError:
            packet = b""
        if not packet:
            self.close()
            raise ProcessManagerError(
                f"the supervisor of local processes did not start: `{sys.executable} -I -S` must "
                "be able to run a program of the Python standard library"
            )
        number, *details = marshal.loads(packet)
        self.is_retired = number == TAKEN_OVER  # after this request
        self.inner_pid = self.outer_pid if self.is_retired else details[0]
        self.connection.setblocking(False)

    def is_usable(self, attributes: Attributes) -> bool:
        """Return whether it can start a job with attributes of this process.

        :param attributes: the attributes.
        """
        if self.is_retired or self.fixed != attributes.fixed:
            return False
        return not self.has_ended()

    def describe_program(
        self, args: Sequence[str], environ: Mapping[str, str], attributes: Attributes
    ) -> tuple[Any, ...]:
        """Return the fields of a ``Program`` for a request.

        :param args: its command line.
        :param environ: the variables to add to those of this process.
        :param attributes: the attributes of this process.
        """
        added = {os.fsencode(name): os.fsencode(value) for name, value in environ.items()}
        variables, removed = added, list[bytes]()
        if attributes.environ != self.environ:
            changed = attributes.environ.items() - self.environ.items()
            variables = dict(changed) | added
            removed = [*(self.environ.keys() - attributes.environ.keys() - added.keys())]
        limits = [*(attributes.limits.items() - self.limits.items())]
        arguments = [os.fsencode(word) for word in args]
        return arguments, variables, removed, attributes.umask, limits, attributes.ignored

    async def start_job(self, kind: str, *details: Any) -> SupervisedJob:
        """Request the start of a job.

        :param kind: the kind of the request.
        :param details: the rest of the request after the number.
        :raises OSError: if the program was killed.
        """
        number, job = next(self._numbers), SupervisedJob()
        self.jobs[number] = job
        try:
            await self._send(marshal.dumps((kind, number, *details)), ())
        except BaseException:
            self.jobs.pop(number, None)
            raise
        return job

    async def start_program(
        self, kind: str, fds: Sequence[int], *details: Any
    ) -> tuple[int, int, SupervisedJob]:
        """Start a program outside of a run directory.

        :param kind: the kind of the request.
        :param fds: its standard streams.
        :param details: the rest of the request after the number.
        :return: its process id, its start time, and the job.
        :raises OSError: if it cannot be started.
        """
        number, job = next(self._numbers), SupervisedJob()
        self.jobs[number] = job
        started = self._programs[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send(marshal.dumps((kind, number, *details)), fds)
            pid, start = await started
        except BaseException:
            self.jobs.pop(number, None)
            raise
        finally:
            del self._programs[number]
        return pid, start, job

    async def _send(self, data: bytes, fds: Sequence[int]) -> None:
        """Send a packet; wait while the socket is full."""
        content = -1
        try:
            if len(data) > MAX_PACKET_BYTES:
                content = await in_thread(_store, data)
                data, fds = b"", (content, *fds)
            while True:
                if self.connection.fileno() < 0:
                    raise ConnectionResetError("the supervisor was killed")
                try:
                    if fds:
                        socket.send_fds(self.connection, [data], list(fds))
                    else:
                        self.connection.send(data)
                except BlockingIOError:
                    await self._wait_writable()
                else:
                    return
        finally:
            if content >= 0:
                os.close(content)

    async def _wait_writable(self) -> None:
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        if not self._writable:
            loop.add_writer(self.connection, self._notify_writable, loop)
        self._writable.append(waiter)
        await waiter

    def _notify_writable(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.remove_writer(self.connection)
        waiters, self._writable = self._writable, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def receive(self) -> bool:
        """Process the reports that have arrived; return False if the program has ended."""
        while True:
            try:
                packet = self.connection.recv(_BLOCK_BYTES)
            except BlockingIOError:
                return True
            except OSError:
                packet = b""
            if not packet:
                self._give_up(None)
                if not self._is_reaped:
                    reap_child(self.outer_pid, wait=True)  # it has closed the socket
                    self._is_reaped = True
                return False
            number, *details = marshal.loads(packet)
            if number == TAKEN_OVER:
                self._give_up(None)
            else:
                self._report(number, details)

    def _report(self, number: int, details: list[Any]) -> None:
        started = self._programs.get(number)
        if details[0] == STARTED:
            if started is not None and not started.done():
                started.set_result((details[1], details[2]))
            return
        if details[0] is not None:
            report = ExitReport(*details)._replace(supervisor=self.outer_pid)
        else:
            report = ExitReport(None, problem=details[2])
            if started is not None and not started.done():
                started.set_exception(OSError(details[1], details[2]))
        job = self.jobs.pop(number, None)
        if job is not None:
            job.end(report)

    def _give_up(self, report: ExitReport | None) -> None:
        """End the handles of all jobs, whose state only the journal shows now."""
        self.is_retired = self._may_have_jobs = True
        jobs, self.jobs = self.jobs, {}
        for job in jobs.values():
            job.end(report)
        for started in self._programs.values():
            if not started.done():
                started.set_exception(ChildProcessError("the supervisor was killed"))

    def _refuse_waiting(self) -> None:
        """Raise an error in the requests that wait until the socket is writable."""
        waiters, self._writable = self._writable, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(ConnectionResetError("the supervisor was killed"))

    def close(self) -> None:
        """Close the connection, so that the program ends when its last job has ended."""
        self.connection.close()
        self._refuse_waiting()
        if self.has_ended():
            return
        if self.jobs or self._may_have_jobs:
            _unreaped.add(self.outer_pid)
        else:
            os.kill(self.outer_pid, signal.SIGKILL)  # the inner process ends by itself
            reap_child(self.outer_pid, wait=True)
            self._is_reaped = True

    def has_ended(self) -> bool:
        """Return whether the outer process has ended; it is reaped once.

        Afterwards its process id may be that of another child of this process.
        """
        self._is_reaped = self._is_reaped or reap_child(self.outer_pid)[0]
        return self._is_reaped


def _start(connection: int, attributes: Attributes) -> int:
    """Start the program in a session of its own, and return the process id of the outer process."""
    for pid in list(_unreaped):
        if reap_child(pid)[0]:
            _unreaped.discard(pid)
    if not sys.executable:
        raise ProcessManagerError(
            "local processes need a Python interpreter to supervise them, and sys.executable is "
            "not set; set it to the path of one"
        )
    options = ["-I", "-S", *(["-B"] if sys.dont_write_bytecode else [])]
    folder = os.path.dirname(os.path.abspath(__file__))
    environ = attributes.environ
    settings = _store(marshal.dumps((environ, attributes.nice, attributes.cpus)))
    try:
        null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3)]
        # The first two may have the numbers of the last two.
        sources = [_above(connection), _above(settings)]
        try:
            copies = [
                (os.POSIX_SPAWN_DUP2, sources[0], SOCKET_FD),
                (os.POSIX_SPAWN_DUP2, sources[1], ENVIRON_FD),
            ]
            try:
                return os.posix_spawn(
                    sys.executable,
                    [sys.executable, *options, "-c", _CODE, folder, _TITLE],
                    environ,
                    file_actions=[*null, *copies],
                    setsid=True,
                    setsigmask=(),
                    setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
                )
            except OSError as e:
                raise ProcessManagerError(
                    f"the supervisor of local processes could not be started with the interpreter "
                    f"{sys.executable!r}: {describe(e)}"
                ) from e
        finally:
            for fd in sources:
                os.close(fd)
    finally:
        os.close(settings)


def _store(data: bytes) -> int:
    """Return a descriptor of a file in memory with some content."""
    fd = os.memfd_create("pydatatask")
    with open(fd, "wb", closefd=False) as file:
        file.write(data)
    return fd


def _above(fd: int) -> int:
    """Return a copy of a descriptor with a number that the program does not use."""
    import fcntl

    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, ENVIRON_FD + 1)


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
