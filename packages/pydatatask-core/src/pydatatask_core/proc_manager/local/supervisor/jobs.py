"""The jobs that run under the supervisor program, and their ends."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

from .entry import ENTRY_FLAGS, STOP_SUFFIX, write_status, write_usage
from .procfs import list_children, read_session, signal_session

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Job", "Jobs"]

_KILL_INTERVAL_SECONDS = 1.0
_RETRY_SECONDS = 1.0
_EXITED = os.WEXITED | os.WNOHANG | os.WNOWAIT


class Job:
    """A job that is running, or whose session is not empty yet.

    :param number: the number that the driver has given to it.
    :param path: the file for its exit status.
    :param grace: the seconds that its other processes have after its own end; None to leave them.
    :param in_journal: whether the file is an entry of a journal.
    """

    def __init__(
        self, number: int, path: bytes, grace: float | None, *, in_journal: bool = True
    ) -> None:
        self.number = number
        self.path = path
        self.grace = grace
        self.in_journal = in_journal
        self.start = 0
        """The start time of its process, in clock ticks since the boot."""
        self.code = 0
        self.end_time = 0.0
        self.deadline = 0.0
        """The monotonic time at which its other processes get the next signal."""
        self.asked = False
        """True if its other processes were asked to exit."""
        self.signalled = 0
        """The number of its other processes that got a signal."""


class Jobs:
    """The jobs of this process, by the process id of their session leaders.

    :param report: is called with the report on each job that has ended.
    """

    def __init__(self, report: Callable[..., None]) -> None:
        self.by_pid: dict[int, Job] = {}
        self._report = report
        self._draining: dict[int, Job] = {}
        """The jobs that have exited and left other processes in their sessions."""
        self._strangers: set[int] = set()
        """Children that have left the sessions of their jobs."""

    def children(self) -> set[int]:
        """Return all children."""
        return list_children()

    def timeout(self) -> float | None:
        """Return the milliseconds until the next deadline, if there is one."""
        if not self._draining:
            return None
        deadline = min(job.deadline for job in self._draining.values())
        return max(0.0, deadline - time.monotonic()) * 1000 + 1

    def reap(self) -> None:
        """Handle all children that have exited."""
        while (result := self._next_exit()) is not None:
            job = self.by_pid.get(result.si_pid)
            if job is None:
                os.waitpid(result.si_pid, 0)
                continue
            killed = result.si_code != os.CLD_EXITED
            job.code = result.si_status + (128 if killed else 0)
            job.end_time = time.time()
            if job.grace is not None and self._has_members(result.si_pid):
                job.deadline = time.monotonic() + job.grace
                # A driver that terminates a job asks all processes of its session to exit.
                job.asked = os.path.lexists(job.path + STOP_SUFFIX.encode())
                self._draining[result.si_pid] = job
            else:
                self._finish(result.si_pid, job)
        self._drain()

    def _next_exit(self) -> os.waitid_result | None:
        """Return a child that has exited, which is not reaped, unless its job is draining."""
        if not self._draining:
            with contextlib.suppress(ChildProcessError):
                return os.waitid(os.P_ALL, 0, _EXITED)
            return None
        for pid in self.children() - self._draining.keys():
            with contextlib.suppress(ChildProcessError):
                if (result := os.waitid(os.P_PID, pid, _EXITED)) is not None:
                    return result
        return None

    def _has_members(self, session: int) -> bool:
        """Return whether an exited job has left other processes in its session.

        Orphans become children of this process, so at least one of them is its child.

        :param session: the process id of the job.
        """
        others = self.children() - self.by_pid.keys()
        self._strangers &= others
        for pid in others - self._strangers:
            member_of = read_session(pid)
            if member_of == session:
                return True
            if member_of is not None and member_of not in self.by_pid:
                self._strangers.add(pid)
        return False

    def _drain(self) -> None:
        """Finish the jobs whose sessions are empty now, and end the sessions that are overdue."""
        for session, job in list(self._draining.items()):
            if not self._has_members(session):
                self._finish(session, job)
            elif time.monotonic() >= job.deadline:
                number = signal.SIGKILL if job.asked else signal.SIGTERM
                job.signalled = max(job.signalled, signal_session(session, number))
                wait = _KILL_INTERVAL_SECONDS if job.asked else job.grace or 0.0
                job.deadline, job.asked = time.monotonic() + wait, True

    def _write_status(self, job: Job) -> int:
        """Write the exit status of a job; return a descriptor of its entry, or -1 if it is gone.

        :raises OSError: if it cannot be written now.
        """
        try:
            entry = os.open(job.path, ENTRY_FLAGS)
        except FileNotFoundError:
            return -1  # the user has removed the file
        try:
            write_status(entry, job.code)
        except BaseException:
            os.close(entry)
            raise
        return entry

    def _finish(self, pid: int, job: Job) -> None:
        """Write the exit status of a job, reap its process, and report the end.

        The status is written first, so that a process that is gone has a status.
        """
        try:
            entry = self._write_status(job)
        except OSError:  # such as a full disk on a file system that does not overwrite in place
            self._draining[pid] = job
            job.deadline = time.monotonic() + _RETRY_SECONDS
            return
        _, _, used = os.wait4(pid, 0)
        self._draining.pop(pid, None)
        del self.by_pid[pid]
        usage = (used.ru_utime, used.ru_stime, used.ru_maxrss)
        if entry >= 0:
            if job.in_journal:
                with contextlib.suppress(OSError):
                    write_usage(entry, usage, job.signalled)
            os.close(entry)
        self._report(job.number, job.code, job.end_time, (pid, job.start), usage, job.signalled)
