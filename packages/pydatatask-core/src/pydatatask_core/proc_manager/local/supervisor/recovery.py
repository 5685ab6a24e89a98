"""The takeover of jobs by the outer process after the inner one was killed."""

from __future__ import annotations

import contextlib
import errno
import marshal
import os
import time
from typing import TYPE_CHECKING

from .entry import ENTRY_FLAGS, parse_entry, write_process
from .jobs import Job
from .procfs import read_session, read_start_time, working_directory

if TYPE_CHECKING:
    from collections.abc import Callable

    from .jobs import Jobs

__all__ = ["Notes", "take_over"]

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ENTRY_BYTES = 4096
_POLL_INTERVAL_SECONDS = 0.001
_MAX_WAIT_SECONDS = 5.0


class Notes:
    """The notes of the inner process for the outer one, in a file that both have open."""

    def __init__(self) -> None:
        self._fd = os.memfd_create("notes")

    def add(self, note: bytes | tuple[int, int, int, bytes]) -> None:
        """Add a note.

        :param note: the path of the folder of a journal; or the process id, the start time, the
            number and the status file of a program that runs outside of a run directory.
        """
        os.write(self._fd, marshal.dumps(note))

    def read(self) -> tuple[list[bytes], list[tuple[int, int, int, bytes]]]:
        """Return the folders of journals, and the programs."""
        folders: list[bytes] = []
        programs: list[tuple[int, int, int, bytes]] = []
        os.lseek(self._fd, 0, os.SEEK_SET)
        with open(os.dup(self._fd), "rb") as file, contextlib.suppress(EOFError):
            while True:
                note = marshal.load(file)
                if isinstance(note, bytes):
                    folders.append(note)
                else:
                    programs.append(note)
        return folders, programs


def take_over(
    jobs: Jobs, notes: Notes, pair: bytes, report: Callable[..., None], *, adopts: bool
) -> None:
    """Find the jobs of an inner process that was killed, which are children of this process now.

    :param jobs: receives the jobs.
    :param notes: the notes of the inner process.
    :param pair: the process id and the start time of this process.
    :param report: is called with the report on a job that was not started.
    :param adopts: whether orphans are sure to become children of this process.
    """
    children = jobs.children()
    folders, programs = notes.read()
    for pid, start, number, path in programs:
        if pid in children and read_start_time(pid) == start:
            job = jobs.by_pid[pid] = Job(number, path, None, in_journal=False)
            job.start = start
    starting = []
    for path in _list_entries(folders):
        process, unfinished = _read_entry(path, pair)
        if unfinished is not None and process is None:
            starting.append(unfinished)
        elif unfinished is not None and process in children:
            jobs.by_pid[process] = unfinished
    for job in starting:
        found = _find_process(job, children - jobs.by_pid.keys())
        if len(found) == 1:
            job.start = read_start_time(found[0])
            with contextlib.suppress(OSError):
                entry = os.open(job.path, ENTRY_FLAGS)
                write_process(entry, found[0], job.start)
                os.close(entry)
            jobs.by_pid[found[0]] = job
        elif not found and adopts:
            with contextlib.suppress(OSError):
                os.unlink(job.path)
            report(job.number, None, errno.ECHILD, "its supervisor was killed")


def _list_entries(folders: list[bytes]) -> list[bytes]:
    """Return the paths of the entries of journals whose jobs were started."""
    paths: list[bytes] = []
    for folder in set(folders):
        with contextlib.suppress(OSError):
            paths += [folder + b"/" + name for name in os.listdir(folder) if b"," not in name]
    return paths


def _read_entry(path: bytes, pair: bytes) -> tuple[int | None, Job | None]:
    """Return the process id, if it was written, and the job of an entry.

    :param path: a file of a journal.
    :param pair: the process id and the start time of this process.
    :return: None for the job if it has finished, or belongs to another supervisor.
    """
    try:
        fd = os.open(path, _READ)
    except OSError:
        return None, None
    try:
        return _parse_job(path, os.read(fd, _ENTRY_BYTES), pair)
    except (OSError, ValueError):
        return None, None  # a job has put something else into the folder
    finally:
        os.close(fd)


def _parse_job(path: bytes, text: bytes, pair: bytes) -> tuple[int | None, Job | None]:
    fields = parse_entry(text)
    supervisor = fields.pair.split()
    if supervisor[:1] != [pair] or fields.status:
        return None, None
    number, grace, decided = supervisor[2:]
    job = Job(int(number), path, None if grace == b"None" else float(grace))
    job.start = int(decided)
    pid, _, start = fields.process.partition(b".")
    if not start:
        return None, job
    job.start = int(start)
    return int(pid), job


def _find_process(job: Job, children: set[int]) -> list[int]:
    """Return the process of the job that the inner process was starting when it was killed.

    :param job: the job, with the time of its decision as its start; the path of its entry ends with
        the inode of its directory.
    :param children: the children that are not known to belong to other jobs.
    :return: several processes if it cannot be decided.
    """
    inode = int(job.path.rpartition(b"@")[2])
    own = os.getsid(0)
    deadline = time.monotonic() + _MAX_WAIT_SECONDS
    while any(read_session(pid) == own for pid in children) and time.monotonic() < deadline:
        time.sleep(_POLL_INTERVAL_SECONDS)  # the process is between its fork and setsid(2)
    # Older ones are programs that have left the sessions of earlier jobs.
    recent = [pid for pid in children if read_start_time(pid) >= job.start]
    leaders = [pid for pid in recent if read_session(pid, exited=True) == pid]
    return [pid for pid in leaders if working_directory(pid) == inode] or leaders
