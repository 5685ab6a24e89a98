"""The main loop of the supervisor program, and its connection to the driver.

The requests of the driver and the reports to it are marshalled tuples, one per packet. An empty
packet has its content in the file that comes with it. A request is

    (JOB_REQUEST, number, *arguments of Supervisor.start_job), or
    (SPAWN_REQUEST, number, *arguments of Supervisor.start_program),

and a report is one of

    (STARTED, process id of the inner process): the program is ready;
    (TAKEN_OVER,): the inner process was killed, and requests that it received may be lost;
    (number, STARTED, process id, start time): a program has started;
    (number, None, error number, message): a job or a program was not started;
    (number, exit status, end time, (process id, start time), (user seconds, system seconds, maximum
    resident KiB), number of other processes that were ended): a job or a program has ended.
"""

from __future__ import annotations

import contextlib
import errno
import marshal
import os
import select
import signal
import socket
import time
from typing import Any

from .entry import ENTRY_FLAGS, TICKET_SUFFIX, write_pair, write_process, write_status
from .jobs import Job, Jobs
from .procfs import read_clock, read_start_time
from .recovery import Notes, take_over
from .spawn import Program, Streams, open_streams, spawn

__all__ = [
    "ENVIRON_FD",
    "JOB_REQUEST",
    "MAX_PACKET_BYTES",
    "SOCKET_FD",
    "SPAWN_REQUEST",
    "STARTED",
    "TAKEN_OVER",
    "main",
]

SOCKET_FD = 3
"""The descriptor of the socket on which the program receives requests and sends reports."""

ENVIRON_FD = 4
"""The descriptor of the file with the environment, nice value and CPUs of the driver."""

MAX_PACKET_BYTES = 1 << 15
"""The maximum size of a packet; longer contents are sent as a file."""

JOB_REQUEST = "job"
SPAWN_REQUEST = "spawn"
STARTED = "started"
TAKEN_OVER = "taken over"

_SET_CHILD_SUBREAPER = 36
"""The number of an operation of prctl(2)."""

_MAX_FDS = 4
_PAUSE_SECONDS = 0.05
_BLOCK_BYTES = 1 << 16
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_COMMAND_NOT_FOUND = 127
_NOT_EXECUTABLE = 126
_TEMPORARY_ERRORS = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)


class Supervisor:
    """The state of the inner process, and of the outer one once it takes over.

    :param pair: the process id and the start time of the outer process.
    """

    def __init__(self, pair: bytes) -> None:
        self.pair = self.me = pair
        self.jobs = Jobs(self.report)
        self.notes = Notes()
        self._connection = socket.socket(fileno=SOCKET_FD)
        self._connection.set_inheritable(False)
        self._connection.setblocking(False)
        self._is_connected = True
        self._unsent: list[bytes] = []
        self._environ: dict[bytes, bytes]
        self._environ, nice, cpus = marshal.loads(_read_all(ENVIRON_FD))
        os.close(ENVIRON_FD)
        # Those that this process has inherited belong to the thread that started it.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, nice)
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, cpus)
        self._folders: set[bytes] = set()

    def serve(self) -> None:
        """Serve the driver until it is gone and no job is left."""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals() - {signal.SIGCHLD})
        poller = select.poll()
        poller.register(reading, select.POLLIN)
        poller.register(self._connection, select.POLLIN)
        self.jobs.reap()  # those that exited before the signal was handled
        while self._is_connected or self.jobs.by_pid:
            for fd, _ in poller.poll(self.jobs.timeout()):
                if fd == reading:
                    os.read(reading, _BLOCK_BYTES)
                else:
                    self._send()
                    self._receive()
            self.jobs.reap()
            events = (select.POLLIN | select.POLLOUT) if self._unsent else select.POLLIN
            if self._is_connected:
                poller.modify(self._connection, events)
            else:
                with contextlib.suppress(KeyError):
                    poller.unregister(self._connection)

    # -- the connection --------------------------------------------------------------------------

    def _receive(self) -> None:
        """Receive and execute all requests that have arrived."""
        size = socket.CMSG_SPACE(_MAX_FDS * 4)
        while self._is_connected:
            try:
                data, ancillary, _, _ = self._connection.recvmsg(
                    _BLOCK_BYTES, size, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return
            except ConnectionResetError:
                data, ancillary = b"", []
            except OSError:  # out of memory or descriptors, for example
                return time.sleep(_PAUSE_SECONDS)
            fds = [fd for _, _, content in ancillary for fd in memoryview(content).cast("i")]
            try:
                if fds and not data:
                    data = _read_all(fds[0])
                    os.close(fds.pop(0))
                if data:
                    self._execute(marshal.loads(data), fds)
                else:
                    self._is_connected = False
            finally:
                for fd in fds:
                    os.close(fd)

    def report(self, *report: Any) -> None:
        """Send a report to the driver, or keep it while the socket is full."""
        self._unsent.append(marshal.dumps(report))
        self._send()

    def _send(self) -> None:
        try:
            while self._unsent and self._is_connected:
                self._connection.send(self._unsent[0])
                del self._unsent[0]
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            self._is_connected = False
        except OSError:  # out of memory, for example: the report is sent later
            time.sleep(_PAUSE_SECONDS)

    # -- start -----------------------------------------------------------------------------------

    def _execute(self, request: tuple[Any, ...], fds: list[int]) -> None:
        """Execute a request, or report that the job was not started.

        :param request: the request.
        :param fds: the descriptors that came with it.
        """
        kind, number, *details = request
        try:
            if kind == JOB_REQUEST:
                self.start_job(number, *details)
            else:
                self.start_program(number, fds, *details)
        except (OSError, ValueError) as e:
            self.report(number, None, getattr(e, "errno", None) or errno.EINVAL, str(e))
        finally:
            os.chdir("/")

    def start_job(
        self,
        number: int,
        place: tuple[bytes, int, int],
        journal: tuple[bytes, bytes],
        program: tuple[Any, ...],
        streams: Streams,
        grace: float | None,
    ) -> None:
        """Start the job of a run directory, unless it was revoked.

        :param number: the number of the job.
        :param place: the path and the inode of the directory, and the time of its script.
        :param journal: the folder and the name of its entry in the journal.
        :param program: the fields of the program.
        :param streams: its standard streams.
        :param grace: the seconds that its other processes have after its own end; None to leave
            them.
        :raises OSError: if it was not started.
        """
        fds = [folder := self._open_folder(journal[0])]
        try:
            _enter(*place, fds)
            open_streams(streams, fds)
            entry = self._take_ticket(folder, journal[1], number, grace)
            fds.append(entry)
            try:
                pid = self._spawn(Program(*program), fds[2:5], entry, number)
            except BaseException:
                os.unlink(journal[1], dir_fd=folder)
                raise
            if pid is not None:
                job = Job(number, b"/".join(journal), grace)
                self.jobs.by_pid[pid] = job
                with contextlib.suppress(OSError):  # the job runs nevertheless
                    job.start = read_start_time(pid)
                    write_process(entry, pid, job.start)
        finally:
            for fd in fds:
                os.close(fd)

    def _open_folder(self, path: bytes) -> int:
        """Return a descriptor of the folder of a journal."""
        fd = os.open(path, _DIRECTORY)
        if path not in self._folders:
            self._folders.add(path)
            self.notes.add(path)
        return fd

    def _take_ticket(self, folder: int, name: bytes, number: int, grace: float | None) -> int:
        """Decide that a job runs, and return a descriptor of its entry.

        :raises FileNotFoundError: if another process has revoked it.
        """
        ticket = name + TICKET_SUFFIX.encode()
        entry = os.open(ticket, ENTRY_FLAGS, dir_fd=folder)
        try:
            write_pair(entry, self.pair, self.me, number, grace, read_clock())
            os.rename(ticket, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.close(entry)
            raise
        return entry

    def _spawn(self, program: Program, fds: list[int], entry: int, number: int) -> int | None:
        """Start the process of a job; return None if the job has failed because it cannot start.

        :raises OSError: if the process cannot be started now.
        """
        try:
            return spawn(program, self._environ, fds)
        except OSError as e:
            if e.errno in _TEMPORARY_ERRORS:
                raise
            # As in a shell: the job has an exit status, and its stderr has the reason.
            missing = e.errno in (errno.ENOENT, errno.ENOTDIR)
            code = _COMMAND_NOT_FOUND if missing else _NOT_EXECUTABLE
            with contextlib.suppress(OSError):
                os.write(fds[2], f"{os.fsdecode(program.args[0])}: {e.strerror}\n".encode())
            write_status(entry, code)
            self.report(number, code, time.time(), None, None, 0)
            return None

    def start_program(
        self, number: int, fds: list[int], cwd: bytes, path: bytes, program: tuple[Any, ...]
    ) -> None:
        """Start a program outside of a run directory, and report its identity.

        :param number: its number.
        :param fds: its standard streams.
        :param cwd: the path of its working directory.
        :param path: the file for its exit status.
        :param program: the fields of the program.
        :raises OSError: if it cannot be started.
        """
        os.chdir(cwd)
        pid = spawn(Program(*program), self._environ, fds)
        job = self.jobs.by_pid[pid] = Job(number, path, None, in_journal=False)
        job.start = read_start_time(pid)
        self.notes.add((pid, job.start, number, path))
        self.report(number, STARTED, pid, job.start)


def _enter(path: bytes, inode: int, written: int, fds: list[int]) -> None:
    """Change to a run directory.

    :param path: its path.
    :param inode: its inode.
    :param written: the modification time of its script in nanoseconds.
    :param fds: the list to which a descriptor of it is added.
    :raises FileNotFoundError: if another directory has this path now.
    """
    fds.append(os.open(path, _DIRECTORY))
    script = os.stat(".script", dir_fd=fds[-1], follow_symlinks=False)
    if os.fstat(fds[-1]).st_ino != inode or script.st_mtime_ns != written:
        raise FileNotFoundError(errno.ENOENT, "another directory has its name", path)
    os.fchdir(fds[-1])


def _read_all(fd: int) -> bytes:
    return os.pread(fd, os.fstat(fd).st_size, 0)


def _become_subreaper() -> bool:
    """Become the parent of orphaned descendants; return False if Python cannot call prctl(2)."""
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        result: int = ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        return result == 0
    return False


def _close_inherited() -> None:
    """Close the descriptors that this process has inherited by accident."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > ENVIRON_FD:
            with contextlib.suppress(OSError):
                os.close(int(name))


def main() -> None:
    """Run the outer process, and the inner one as its child."""
    signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
    _close_inherited()
    os.chdir("/")
    adopts = _become_subreaper()
    supervisor = Supervisor(b"%d.%d" % (os.getpid(), read_start_time("self")))
    inner = os.fork()
    if not inner:
        _become_subreaper()
        supervisor.me = b"%d.%d" % (os.getpid(), read_start_time("self"))
        supervisor.report(STARTED, os.getpid())
        supervisor.serve()
        return
    pid, status = os.waitpid(-1, 0)
    while pid != inner:
        pid, status = os.waitpid(-1, 0)
    if status:
        supervisor.report(TAKEN_OVER)
        take_over(
            *(supervisor.jobs, supervisor.notes, supervisor.pair, supervisor.report), adopts=adopts
        )
        supervisor.serve()
