"""The journal of run directories: the identity of each job's process, and its exit status.

A job can write anything to its run directory, and a container with that directory mounted can write
nowhere else. So the supervisor writes the identity and the exit status of the process beside the
run directories, in the manager's private folder: for ``runs/JOB`` to
``runs/+journal/JOB@DEVICE-INODE``, whose last part identifies one run directory. No job has a
directory named ``+journal``, because ``safe_name`` never returns a plus sign or an at sign.

The file holds the lines that ``run_directory`` describes. ``JOB@DEVICE-INODE,stop`` beside it holds
the reason why the process was terminated, if it was. The driver removes both right before the run
directory. The working directory of a late supervisor is a removed run directory, whose inode number
is not reused meanwhile, so it never writes to the file of another run directory.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NamedTuple

from pydatatask_core.proc_manager.local.run_files import RunDirectory

from .run_directory import TOKEN_PREFIX
from .status import STOP_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["JOURNAL", "Entry", "find_entry", "find_orphans", "make_entry"]

JOURNAL = "+journal"
"""The name of the folder, among the run directories."""

_STOP_SUFFIX = ",stop"

_LINES = 3
"""The number of lines of a complete status."""


class Entry(NamedTuple):
    """The journal entry of one run directory.

    :param folder: the folder of the journal.
    :param job: the name of the run directory.
    :param device: the device of the run directory when it was created, in hexadecimal.
    :param inode: the inode of the run directory, in hexadecimal.
    """

    folder: str
    job: str
    device: str
    inode: str

    @property
    def name(self) -> str:
        """The name of the file that the supervisor writes."""
        return f"{self.job}@{self.device}-{self.inode}"

    @property
    def path(self) -> str:
        """The path of that file."""
        return f"{self.folder}/{self.name}"

    @property
    def mark(self) -> str:
        """The suffix of the token with which the run directory was created."""
        return f"-{self.device}-{self.inode}"

    def was_made_with(self, status: os.stat_result) -> bool:
        """Return whether a status is that of the directory that this entry was created for.

        :param status: the status of a directory.
        """
        return (f"{status.st_dev:x}", f"{status.st_ino:x}") == (self.device, self.inode)

    def read(self) -> tuple[bytes, float]:
        """Read the status with the reason of a termination, and its modification time.

        :raises RunFileError: if one of the files is not a regular file any more.
        """
        try:
            with RunDirectory(self.folder) as folder:
                status, written = folder.read(self.name) or (b"", 0.0)
                stop = folder.read(self.name + _STOP_SUFFIX)
        except FileNotFoundError:
            return b"", 0.0
        if stop is None:
            return status, written
        whole = status if status.count(b"\n") >= _LINES else b""
        return whole + b"\n" + STOP_PREFIX + stop[0], written

    def save_stop_reason(self, reason: str) -> None:
        """Save the reason why the process is terminated. The first reason is kept.

        :param reason: one line.
        """
        with contextlib.suppress(FileExistsError), RunDirectory(self.folder) as folder:
            folder.create(self.name + _STOP_SUFFIX, reason.encode() + b"\n")

    def discard(self) -> None:
        """Remove the entry; succeed if it does not exist."""
        with contextlib.suppress(FileNotFoundError), RunDirectory(self.folder) as folder:
            folder.remove(self.name)
            folder.remove(self.name + _STOP_SUFFIX)


def make_entry(place: str, status: os.stat_result) -> Entry:
    """Return the entry of a run directory that was just created; nothing is written to it yet.

    :param place: the run directory.
    :param status: its status.
    """
    entry = _entry_of(place, status)
    with contextlib.suppress(FileExistsError):
        os.mkdir(entry.folder, 0o700)
    entry.discard()  # of a directory with the same inode that was removed by hand
    return entry


def find_entry(place: str, directory: RunDirectory | None) -> tuple[Entry | None, bool]:
    """Return the entry of a run directory, and whether the entry was created with it.

    If it was not, the entry is that of an earlier directory of the same path. The entry is None for
    a directory of an earlier release.

    :param place: the path of the run directory.
    :param directory: the run directory; None if it does not exist.
    :raises RunFileError: if the journal is not a directory any more.
    """
    names: list[str] = []
    if directory is not None:
        entry = _entry_of(place, directory.status)
        if os.path.lexists(entry.path):
            return entry, True
        names = [name for name in directory.names() if name.startswith(TOKEN_PREFIX)]
        if any(name.endswith(entry.mark) for name in names):
            return entry, True  # it has not been started, or is being started
    candidates = _list_entries(place)
    for candidate in candidates:  # some file systems change inode numbers
        if any(name.endswith(candidate.mark) for name in names):
            return candidate, True
    first = candidates[0] if candidates else None
    return first, directory is None or first is None


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
        entry = _parse(folder, name.removesuffix(_STOP_SUFFIX))
        if entry is not None and not os.path.lexists(os.path.join(backend, entry.job)):
            yield entry


def _entry_of(place: str, status: os.stat_result) -> Entry:
    backend, job = os.path.split(place)
    return Entry(f"{backend}/{JOURNAL}", job, f"{status.st_dev:x}", f"{status.st_ino:x}")


def _list_entries(place: str) -> list[Entry]:
    backend, job = os.path.split(place)
    folder = f"{backend}/{JOURNAL}"
    try:
        with RunDirectory(folder) as journal:
            names = [name for name in journal.names() if name.startswith(f"{job}@")]
    except FileNotFoundError:
        return []
    found = {_parse(folder, name.removesuffix(_STOP_SUFFIX)) for name in names}
    return sorted(entry for entry in found if entry is not None)


def _parse(folder: str, name: str) -> Entry | None:
    job, at, numbers = name.partition("@")
    device, dash, inode = numbers.partition("-")
    return Entry(folder, job, device, inode) if at and dash else None
