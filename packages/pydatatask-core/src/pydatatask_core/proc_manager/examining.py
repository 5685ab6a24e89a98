"""The state of a run on this machine. Everything here blocks.

The journal says which process a run is and how it ended. Of the run directory, only the decision
``.begun`` and the streams are looked at, and nothing that a job can put there is followed, waited
for, or taken for an identity. A run directory of an earlier release has no journal; its status file
counts if the kernel says that the process was started in that directory.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, NamedTuple, Self

from .identity import parse_identity, read_uptime
from .journal import find_entry
from .judging import STOP, Seen, judge
from .run import INLINE, TAIL, Output, State
from .run_files import RunDirectory, RunFileError, kind_error
from .supervisor import BEGUN, STATUS, parse_status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from .identity import Identity
    from .journal import Entry
    from .local import LocalLinuxManager
    from .run import Report

__all__ = ["Place", "examine", "look_into", "read_identity", "read_tail"]

_RESERVED = b"\n"


class Place(NamedTuple):
    """A run directory as it is now, and the journal of the one that was made.

    :param path: the path of the run directory.
    :param directory: the run directory, if it is the one that was made.
    :param entry: the journal of that, unless it is of an earlier release or was not made yet.
    :param problem: why the run directory cannot be used, if it is there.
    """

    path: str
    directory: RunDirectory | None
    entry: Entry | None
    problem: str | None

    @classmethod
    @contextlib.contextmanager
    def opened(cls, path: str, known: Entry | None = None) -> Iterator[Self]:
        """Open a run directory, if there is one that can be used.

        :param path: its path.
        :param known: its journal, if this process has made both.
        """
        directory, problem = None, None
        try:
            directory = RunDirectory(path)
        except FileNotFoundError:
            pass
        except RunFileError as e:
            problem = str(e)
        try:
            if known is None or directory is None or not known.was_made_with(directory.status):
                known, is_own = find_entry(path, directory)
                if directory is not None and not is_own:
                    directory.close()
                    name = os.path.basename(path)
                    directory, problem = None, f"`{name}` is not its run directory any more"
            yield cls(path, directory, known, problem)
        finally:
            if directory is not None:
                directory.close()

    def require(self) -> RunDirectory:
        """Return the run directory.

        :raises FileNotFoundError: if it is gone.
        :raises RunFileError: if something else is in its place.
        """
        if self.directory is not None:
            return self.directory
        if self.problem is not None:
            raise RunFileError(self.problem)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.path)

    def read_status(self) -> tuple[bytes, float]:
        """Read the status, and when it was last written.

        :raises RunFileError: if it is in a file that is not a regular file any more.
        """
        if self.entry is not None:
            return self.entry.read()
        found = None if self.directory is None else self.directory.read(STATUS)
        return found or (b"", 0.0)

    def has_begun(self) -> bool | None:
        """Return whether the process has become the script; None if that is not decided yet.

        :raises RunFileError: if the file that says so is not a regular file any more.
        """
        mode = None if self.directory is None else self.directory.mode(BEGUN)
        if mode is None:
            return None
        if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
            raise kind_error(BEGUN, mode)
        return not stat.S_ISDIR(mode)

    def lives(self, identity: Identity, manager: LocalLinuxManager) -> bool:
        """Return whether the process of the run lives, or its supervisor.

        :param identity: the process that the status names.
        :param manager: the manager of the run.
        """
        apart = manager.origin.is_apart(identity.origin)
        if apart and self.directory is None and self.problem is None:
            return False  # its directory was removed, which says that it is gone for good
        if not manager.is_alive(identity):
            return False
        if self.entry is not None or apart:
            return True
        return self.directory is not None and identity.is_tied_to(self.directory.status)

    def revoke(self) -> bool:
        """Make certain that a run that was not started never will be; return whether that is so."""
        if self.directory is None:
            return False
        try:
            self.directory.make_directory(BEGUN)
        except (FileExistsError, FileNotFoundError):
            return False
        return True

    def note_stop(self, reason: str) -> None:
        """Note why the run is told to end. The first note counts.

        :param reason: one line.
        """
        if self.entry is not None:
            self.entry.note_stop(reason)
        elif self.directory is not None:  # of an earlier release; never in the first line
            self.directory.append(STATUS, b"\n" + STOP + reason.encode() + b"\n")


def examine(
    place: Place, manager: LocalLinuxManager, *, claim: bool = False, began: bool | None = None
) -> Report:
    """Return the state of a run, without its outputs.

    :param place: its directory.
    :param manager: the manager of the run.
    :param claim: whether to make certain that a run that was not started never will be.
    :param began: whether the script was started, if that is known.
    """
    seen = _see(place, manager)
    if seen.begun is None:
        seen.begun = began
    report = judge(seen)
    if report.state is not State.PREPARED or not claim:
        return report
    if place.revoke():
        report.state = State.NOT_STARTED
        return report
    with Place.opened(place.path) as again:
        return examine(again, manager)  # it has begun meanwhile, or is gone


def _see(place: Place, manager: LocalLinuxManager) -> Seen:
    seen = Seen(place.path, manager.boot_id, problem=place.problem)
    seen.exists = place.directory is not None
    try:
        seen.begun = place.has_begun()  # looked up first: if it has begun, its status is whole
    except RunFileError as e:
        seen.begun, seen.problem = True, str(e)
    try:
        seen.status, seen.written = place.read_status()
        identity = parse_identity(seen.status)
        if identity is not None and parse_status(seen.status) is not None:
            # The supervisor writes the status of no process that lives.
            seen.lives = identity.process.lives() and place.lives(identity, manager)
            if seen.lives:
                seen.status = _RESERVED + seen.status.partition(b"\n")[2]
        elif identity is not None:
            seen.lives = place.lives(identity, manager)
        if seen.lives:
            seen.uptime = read_uptime()
        elif parse_status(seen.status) is None:
            seen.status, seen.written = place.read_status()  # its last word
    except RunFileError as e:
        seen.problem = str(e)
    if not seen.exists and seen.problem is None:
        if seen.lives:
            seen.problem = f"its run directory {place.path!r} is gone"
        else:
            seen.status = b""
    return seen


def look_into(
    place: Place, report: Report, outputs: Iterable[str], memo: Path | None, held: Path | None
) -> None:
    """Add to a report the content of the directory of a run that is over.

    A stream that is not a regular file any more is left out, and is the problem of the report.

    :param place: the directory.
    :param report: the report.
    :param outputs: which streams to look into.
    :param memo: the file of the memo, if there may be one.
    :param held: the directory that may have the streams as well.
    """
    for name in outputs:
        try:
            output = None if place.directory is None else _output(place.directory, name, held)
        except RunFileError as e:
            report.problem = report.problem or str(e)
            continue
        if output is not None:
            report.outputs[name] = output
    if memo is not None:
        report.memo = _read_memo(memo)


def _read_memo(memo: Path) -> str | None:
    try:
        with RunDirectory(str(memo.parent)) as folder:
            found = folder.read(memo.name)
    except (FileNotFoundError, RunFileError):
        return None
    return None if found is None else found[0].decode(errors="replace")


def read_identity(path: str) -> Identity | None:
    """Return which process a run is; None if that is not known.

    :param path: the directory of the run.
    """
    with Place.opened(path) as place:
        return parse_identity(place.read_status()[0])


def read_tail(fd: int, length: int) -> bytes:
    """Read the end of a file.

    :param fd: its descriptor.
    :param length: how many bytes to return at most.
    """
    size = os.fstat(fd).st_size
    return os.pread(fd, length, max(0, size - length))


def _output(directory: RunDirectory, name: str, held: Path | None) -> Output | None:
    try:
        fd = directory.open(name, other_link=None if held is None else str(held / name))
    except FileNotFoundError:
        return None
    try:
        size = os.fstat(fd).st_size
        if size > INLINE:
            return Output(size, None, read_tail(fd, TAIL))
        data = os.read(fd, INLINE) if size else b""
        return Output(len(data), data, data[-TAIL:])
    finally:
        os.close(fd)
