"""Finding out on this machine what became of a run. Everything here blocks."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from .identity import parse_identity, read_uptime
from .judging import STOP, Seen, judge
from .run import INLINE, TAIL, Output, State
from .supervisor import BEGUN, STATUS, parse_status

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .identity import Identity
    from .local import LocalLinuxManager
    from .run import Report

__all__ = [
    "examine",
    "has_status",
    "look_into",
    "note_stop",
    "read_identity",
    "read_tail",
    "revoke",
]

_SMALL = 16384


def examine(
    place: str, manager: LocalLinuxManager, *, claim: bool = False, began: bool | None = None
) -> Report:
    """Tell the state of a run, without its outputs.

    :param place: its directory.
    :param manager: whose run it is.
    :param claim: whether to make certain that what was not started never will be.
    :param began: whether the script was started, if that is known.
    """
    seen = _see(place, manager)
    if seen.begun is None:
        seen.begun = began
    report = judge(seen)
    if report.state is State.PREPARED and claim:
        if not revoke(place):
            return examine(place, manager)  # it has begun meanwhile
        report.state = State.NOT_STARTED
    return report


def _see(place: str, manager: LocalLinuxManager) -> Seen:
    seen = Seen(place, manager.boot_id)
    if os.path.islink(place):  # no run directory, wherever it leads
        seen.exists = False
        return seen
    seen.begun = _begun(place)  # looked up first: if it has begun, its status is whole
    seen.status, seen.written = _status(place)
    if parse_status(seen.status) is None:
        identity = parse_identity(seen.status)
        seen.lives = identity is not None and manager.is_alive(identity)
        if seen.lives:
            seen.uptime = read_uptime()
        else:
            seen.status, seen.written = _status(place)  # its last word: nobody writes any more
            seen.exists = os.path.isdir(place)
    return seen


def _begun(place: str) -> bool | None:
    """Tell whether a run has begun; None if that is not decided yet."""
    try:
        mode = os.stat(os.path.join(place, BEGUN)).st_mode
    except FileNotFoundError:
        return None
    return not stat.S_ISDIR(mode)


def look_into(place: str, report: Report, outputs: Iterable[str], memo: Path | None) -> None:
    """Add to a report what else is found in the directory of a run that is over.

    :param place: the directory.
    :param report: what is known.
    :param outputs: which streams to look into.
    :param memo: where the memo is, if anywhere.
    """
    for name in outputs:
        output = _output(os.path.join(place, name))
        if output is not None:
            report.outputs[name] = output
    if memo is not None:
        found = _read(str(memo))
        report.memo = None if found is None else found[0].decode(errors="replace")


def revoke(place: str) -> bool:
    """Make certain that what was not started never will be; tell whether that is so.

    :param place: the directory of the run.
    """
    try:
        os.mkdir(os.path.join(place, BEGUN), 0o700)
    except (FileExistsError, FileNotFoundError):
        return False
    return True


def note_stop(place: str, reason: str) -> None:
    """Note why a run is told to end.

    :param place: the directory of the run.
    :param reason: one line. The first that is noted is the one that counts.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    fd = os.open(os.path.join(place, STATUS), flags, 0o600)
    try:
        os.write(fd, b"\n" + STOP + reason.encode() + b"\n")  # never in the first line
    finally:
        os.close(fd)


def read_identity(place: str) -> Identity | None:
    """Tell which process a run is; None if that is not known yet.

    :param place: the directory of the run.
    """
    found = _read(os.path.join(place, STATUS))
    return None if found is None else parse_identity(found[0])


def has_status(place: str) -> bool:
    """Tell whether the exit status of a run is there.

    Its supervisor may live all the same, and have another job.

    :param place: the directory of the run.
    """
    return parse_status(_status(place)[0]) is not None


def _status(place: str) -> tuple[bytes, float]:
    return _read(os.path.join(place, STATUS)) or (b"", 0.0)


def _read(path: str) -> tuple[bytes, float] | None:
    """Read a small file, and when it was last written."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return os.read(fd, _SMALL), os.fstat(fd).st_mtime
    finally:
        os.close(fd)


def read_tail(path: str, length: int) -> bytes:
    """Read the end of a file.

    :param path: the file.
    :param length: how many bytes to return at most.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - length))
        return file.read(length)


def _output(path: str) -> Output | None:
    try:
        # Without waiting, because a script may have put a named pipe into its place.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as e:
        if e.errno == errno.ELOOP:
            return None
        raise
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return None
        size = status.st_size
        if size > INLINE:
            return Output(size, None, os.pread(fd, TAIL, size - TAIL))
        data = os.read(fd, INLINE) if size else b""
        return Output(len(data), data, data[-TAIL:])
    finally:
        os.close(fd)
