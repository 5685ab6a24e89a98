"""The journal of run directories: which process a job is, and its exit status.

A job can write whatever it likes into its run directory, and in a container with that directory it
reaches nothing else. So the supervisor writes the identity and the exit status of the process
beside the run directories, in the manager's private folder: for ``runs/JOB`` in
``runs/+journal/JOB/MARK-DEVICE-INODE/``, where the last part names one run directory only. No job
has a directory of the name ``+journal``, because ``safe_name`` never gives a plus sign.

``status``
    what ``supervisor`` describes.
``stop``
    why the process was told to end, if it was.

The driver makes this folder right after the run directory, and removes it right before. A
supervisor that comes late, when its run directory is gone, therefore finds no folder to write in.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NamedTuple

from pydatatask_core.utils.trees import remove_tree

from .judging import STOP
from .run_files import RunDirectory, RunFileError
from .supervisor import MADE

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "JOURNAL",
    "Entry",
    "choose_entry",
    "discard_entries",
    "find_entries",
    "find_orphans",
    "make_entry",
    "name_entry",
]

JOURNAL = "+journal"
"""The name of the folder, among the run directories."""

_STATUS = "status"
_STOP = "stop"

_LINES = 3
"""The lines of a status that is whole."""


class Entry(NamedTuple):
    """The journal of one run directory.

    :param path: the folder.
    :param mark: the name of the mark of the run directory.
    :param device: the device on which the run directory was made.
    :param inode: the inode of the run directory.
    """

    path: str
    mark: str
    device: int
    inode: int

    @property
    def status_path(self) -> str:
        """The file into which the supervisor writes."""
        return f"{self.path}/{_STATUS}"

    def is_of(self, directory: RunDirectory) -> bool:
        """Determine whether a directory is the one that was made with this entry.

        Some file systems change the number of an inode; then the mark tells.

        :param directory: the directory.
        """
        status = directory.status
        if (status.st_dev, status.st_ino) == (self.device, self.inode):
            return True
        return status.st_uid == os.geteuid() and directory.mode(self.mark) is not None

    def read(self) -> tuple[bytes, float]:
        """Read the status, with the reason of a stop, and when the status was last written.

        :raises RunFileError: if a file of it is not a regular file any more.
        """
        try:
            with RunDirectory(self.path) as folder:
                status, written = folder.read(_STATUS) or (b"", 0.0)
                stop = folder.read(_STOP)
        except FileNotFoundError:
            return b"", 0.0
        if stop is None:
            return status, written
        whole = status if status.count(b"\n") >= _LINES else b""
        return whole + b"\n" + STOP + stop[0], written

    def note_stop(self, reason: str) -> None:
        """Note why the process is told to end; the first note counts.

        :param reason: one line.
        :raises FileNotFoundError: if the run directory is being removed.
        """
        with contextlib.suppress(FileExistsError), RunDirectory(self.path) as folder:
            folder.create(_STOP, reason.encode() + b"\n")


def name_entry(place: str, mark: str, status: os.stat_result) -> Entry:
    """Return the entry of a run directory, which need not exist.

    :param place: the run directory.
    :param mark: the name of its mark.
    :param status: the status of the directory.
    """
    name = f"{mark.removeprefix(MADE)}-{status.st_dev:x}-{status.st_ino:x}"
    return Entry(f"{_folder(place)}/{name}", mark, status.st_dev, status.st_ino)


def make_entry(place: str, mark: str, status: os.stat_result) -> Entry:
    """Make the entry of a run directory that was just made.

    :param place: the run directory.
    :param mark: the name of its mark.
    :param status: the status of the directory.
    """
    entry, folder = name_entry(place, mark, status), _folder(place)
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        remove_tree(folder)  # its run directory was removed by hand
        os.mkdir(folder, 0o700)
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):
            os.mkdir(os.path.dirname(folder), 0o700)
        os.mkdir(folder, 0o700)
    os.mkdir(entry.path, 0o700)
    return entry


def find_entries(place: str) -> list[Entry]:
    """Return the entries of a run directory, whatever became of that.

    :param place: the run directory.
    :raises RunFileError: if the journal is not a directory any more.
    """
    try:
        with RunDirectory(_folder(place)) as folder:
            names = folder.names()
    except FileNotFoundError:
        return []
    return [entry for name in sorted(names) if (entry := _parse(place, name)) is not None]


def choose_entry(entries: list[Entry], directory: RunDirectory | None) -> Entry | None:
    """Return the entry of a run directory, or of the one that it has replaced.

    :param entries: all entries of the job.
    :param directory: the run directory; None if there is none.
    """
    if directory is not None:
        for entry in entries:
            if entry.is_of(directory):
                return entry
    return entries[0] if entries else None


def discard_entries(place: str) -> None:
    """Remove the entries of a run directory; succeed if they are gone.

    :param place: the run directory.
    """
    path = _folder(place)
    try:
        with RunDirectory(path) as folder:
            for name in folder.names():
                remove_tree(f"/proc/self/fd/{folder.fd}/{name}")
        os.rmdir(path)
    except FileNotFoundError:
        return
    except RunFileError:
        remove_tree(path)


def find_orphans(runs: str) -> Iterator[str]:
    """Yield the paths of run directories that are gone and have entries.

    :param runs: the folder of run directories.
    """
    try:
        names = os.listdir(os.path.join(runs, JOURNAL))
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        place = os.path.join(runs, name)
        if not os.path.lexists(place):
            yield place


def _folder(place: str) -> str:
    runs, name = os.path.split(place)
    return f"{runs}/{JOURNAL}/{name}"


def _parse(place: str, name: str) -> Entry | None:
    try:
        mark, device, inode = name.split("-")
        return Entry(f"{_folder(place)}/{name}", MADE + mark, int(device, 16), int(inode, 16))
    except ValueError:
        return None
