"""The journal of run directories: the process of each job, and its exit status.

A job can write anything to its run directory, and a container with that directory mounted can write
nowhere else. So the files that decide anything are beside the run directories, in the manager's
private folder: for ``runs/JOB`` they are ``runs/+journal/JOB@INODE``, with the inode number of the
run directory. No job has a directory named ``+journal``, because ``safe_name`` never returns a plus
sign or an at sign. ``protocol.run_directory`` specifies the files.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NamedTuple

from pydatatask_core.proc_manager.protocol.identity import Identity, Origin, Process

from .run_files import RunDirectory
from .supervisor.entry import (
    ENTRY_FLAGS,
    STOP_SUFFIX,
    TICKET_SUFFIX,
    Fields,
    blank_entry,
    parse_entry,
    write_process,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["JOURNAL", "Entry", "EntryContent", "create_entry", "find_entry", "find_orphans"]

JOURNAL = "+journal"
"""The name of the folder, among the run directories."""


class EntryContent(NamedTuple):
    """The content of the entry of a run directory."""

    is_ready: bool = False
    """True if the job can still be started: it has a ticket and no entry."""

    is_started: bool = False
    """True if a supervisor has decided to run the job."""

    return_code: int | None = None
    identity: Identity | None = None
    """The process of the job, once it has one."""

    supervisors: tuple[Process, ...] = ()
    """The processes of the supervisor that runs the job, the outer one first."""

    origin: Origin | None = None
    """The boot, the machine and the pid namespace of the driver that created the entry."""

    decided: int = 0
    """The time of the decision to run the job, in clock ticks since the boot."""

    usage: tuple[float, float, int] | None = None
    """The user and system CPU seconds and the maximum resident memory in KiB, once it has ended."""

    ended_processes: int = 0
    """The number of processes that the job left behind and that were ended."""

    modified: float | None = None
    """The modification time of the entry, in seconds since the epoch."""

    stop_reason: str | None = None
    """The reason why the process was terminated, if it was."""


class Entry(NamedTuple):
    """The names of the files of one run directory in the journal.

    :param folder: the folder of the journal.
    :param job: the name of the run directory.
    :param inode: the inode number of the run directory.
    """

    folder: str
    job: str
    inode: int

    @property
    def name(self) -> str:
        """The name of the entry of a job that was started."""
        return f"{self.job}@{self.inode}"

    @property
    def ticket(self) -> str:
        """The name of the entry of a job that was not started."""
        return self.name + TICKET_SUFFIX

    @property
    def exists(self) -> bool:
        """True if the job has a ticket, or an entry, which a ticket may become in between."""
        return any(os.path.lexists(f"{self.folder}/{name}") for name in (self.ticket, self.name))

    def read(self) -> EntryContent:
        """Read the entry.

        :raises RunFileError: if one of the files is not a regular file any more.
        """
        try:
            with RunDirectory(self.folder) as folder:
                # The ticket becomes the entry: in this order, at least one of them is found.
                is_ready = folder.mode(self.ticket) is not None
                content = folder.read(self.name)
                if content is None:
                    return EntryContent(is_ready=is_ready)
        except FileNotFoundError:
            return EntryContent()
        reason = self.read_stop_reason()
        return _parse_content(parse_entry(content[0]), content[1], reason)

    def read_stop_reason(self) -> str | None:
        """Read the reason why the process was terminated, if it was.

        :raises RunFileError: if the file is not a regular file any more.
        """
        if not os.path.lexists(f"{self.folder}/{self.name}{STOP_SUFFIX}"):
            return None
        with RunDirectory(self.folder) as folder:
            stop = folder.read(self.name + STOP_SUFFIX)
        return None if stop is None else stop[0].decode(errors="replace").strip()

    def save_process(self, pid: int, start: int) -> None:
        """Write the process of the job, whose supervisor was killed before it could.

        :param pid: its process id.
        :param start: its start time in clock ticks since the boot.
        """
        fd = os.open(f"{self.folder}/{self.name}", ENTRY_FLAGS)
        try:
            write_process(fd, pid, start)
        finally:
            os.close(fd)

    def revoke(self) -> bool:
        """Ensure that a job that was not started never will be; return whether that succeeded."""
        try:
            os.unlink(f"{self.folder}/{self.ticket}")
        except FileNotFoundError:
            return False
        return True

    def save_stop_reason(self, reason: str) -> None:
        """Save the reason why the process is terminated. The first reason is kept.

        :param reason: one line.
        """
        with contextlib.suppress(FileExistsError), RunDirectory(self.folder) as folder:
            folder.create(self.name + STOP_SUFFIX, reason.encode() + b"\n")

    def discard(self) -> None:
        """Remove the entry; succeed if it does not exist."""
        for name in (self.ticket, self.name, self.name + STOP_SUFFIX):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self.folder}/{name}")


def _parse_content(fields: Fields, modified: float, stop_reason: str | None) -> EntryContent:
    """Return the content of an entry; a field that is not valid counts as not written."""
    process = _parse_process(fields.process)
    pair = [_parse_process(part) for part in fields.pair.split()[:2]]
    supervisors = tuple(process for process in pair if process is not None)
    origin = Origin.parse(fields.origin.decode(errors="replace"))
    usage = fields.usage.split()
    with contextlib.suppress(ValueError, IndexError):
        return EntryContent(
            is_started=True,
            return_code=int(fields.status) if fields.status else None,
            identity=Identity(process, supervisors[0].pid, origin)
            if process is not None and supervisors
            else None,
            supervisors=supervisors,
            origin=origin,
            decided=int(fields.pair.split()[4]) if supervisors else 0,
            usage=(float(usage[0]), float(usage[1]), int(usage[2])) if usage else None,
            ended_processes=int(usage[3]) if usage else 0,
            modified=modified,
            stop_reason=stop_reason,
        )
    return EntryContent(is_started=True, modified=modified, stop_reason=stop_reason)


def _parse_process(text: bytes) -> Process | None:
    pid, _, start = text.partition(b".")
    return Process(int(pid), int(start)) if pid.isdigit() and start.isdigit() else None


def create_entry(path: str, inode: int, origin: str) -> Entry:
    """Create the ticket of a run directory, with which its job can be started.

    :param path: the run directory.
    :param inode: its inode number.
    :param origin: the origin of the driver.
    """
    entry = _entry_of(path, inode)
    for again in (True, False):
        try:
            with RunDirectory(entry.folder) as folder:
                # Of an earlier directory with the same inode number, which was removed by hand.
                folder.remove(entry.name)
                folder.remove(entry.name + STOP_SUFFIX)
                folder.remove(entry.ticket)
                folder.create(entry.ticket, blank_entry(origin))
            break
        except FileNotFoundError:
            if not again:
                raise
            with contextlib.suppress(FileExistsError):
                os.mkdir(entry.folder, 0o700)
    return entry


def find_entry(path: str, directory: RunDirectory | None) -> tuple[Entry | None, bool]:
    """Return the entry of a run directory, and whether the entry is that of this directory.

    If it is not, the entry is that of another directory that had the same path.

    :param path: the path of the run directory.
    :param directory: the run directory; None if it does not exist.
    :raises RunFileError: if the journal is not a directory any more.
    """
    if directory is not None:
        entry = _entry_of(path, directory.status.st_ino)
        if entry.exists:
            return entry, True
    others = _list_entries(path)
    return (others[0] if others else None), directory is None or not others


def find_orphans(backend: str) -> Iterator[Entry]:
    """Yield the entries of run directories that no longer exist.

    :param backend: the folder of run directories.
    """
    folder = os.path.join(backend, JOURNAL)
    try:
        with RunDirectory(folder) as journal:
            names = journal.names()
    except FileNotFoundError:
        return
    for name in names:
        entry = _parse_name(folder, name)
        if entry is not None and not os.path.lexists(os.path.join(backend, entry.job)):
            yield entry


def _entry_of(path: str, inode: int) -> Entry:
    backend, job = os.path.split(path)
    return Entry(f"{backend}/{JOURNAL}", job, inode)


def _list_entries(path: str) -> list[Entry]:
    backend, job = os.path.split(path)
    folder = f"{backend}/{JOURNAL}"
    try:
        with RunDirectory(folder) as journal:
            names = [name for name in journal.names() if name.startswith(f"{job}@")]
    except FileNotFoundError:
        return []
    entries = {_parse_name(folder, name) for name in names}
    return sorted(entry for entry in entries if entry is not None)


def _parse_name(folder: str, name: str) -> Entry | None:
    job, at, inode = name.partition(",")[0].rpartition("@")
    return Entry(folder, job, int(inode)) if at and inode.isdigit() else None
