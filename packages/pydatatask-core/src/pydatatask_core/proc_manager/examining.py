"""Finding out on this machine what became of a run. Everything here blocks."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from .folder import write_new
from .identity import boot_id, parse_journal
from .run import INLINE, TAIL, Output, Report, State
from .runs import PATIENCE
from .supervisor import JOURNAL, REVOKED, STATUS, STOP, parse_status

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .identity import Identity
    from .local import LocalLinuxManager

__all__ = ["examine", "look_into", "read_identity", "revoke"]

_SMALL = 16384

_Status = tuple[int, float]


def examine(place: str, manager: LocalLinuxManager, *, claim: bool = False) -> Report:
    """Tell the state of a run, without its outputs.

    :param place: its directory.
    :param manager: whose run it is.
    :param claim: whether to make certain that what was not started never will be.
    """
    # In this order: a status without a journal means that there will be no journal.
    status = _status(place)
    journal = _read(os.path.join(place, JOURNAL))
    if journal is None:
        return _unclaimed(place, manager, status is not None, claim)
    text, since = journal
    identity = parse_journal(text)
    if identity is None:
        return _unbegun(text, since, status is not None)
    report = _judge(place, manager, identity, status)
    report.started = since
    report.handle = str(identity)
    return report


def _unclaimed(place: str, manager: LocalLinuxManager, over: bool, claim: bool) -> Report:
    if not os.path.isdir(place):
        return Report(State.ABSENT, reason=f"its run directory {place!r} is gone")
    if over:  # the process could not even make its journal
        return Report(State.NOT_STARTED)
    if not claim:
        return Report(State.PREPARED)
    return Report(State.NOT_STARTED) if revoke(place) else examine(place, manager, claim=claim)


def _unbegun(text: bytes, since: float, over: bool) -> Report:
    """Judge a run whose journal is not complete."""
    if over or text == REVOKED.encode():
        return Report(State.NOT_STARTED)
    if time.time() - since < PATIENCE:
        return Report(State.RUNNING)
    return Report(State.LOST, reason="it was killed when it was about to begin")


def _judge(
    place: str, manager: LocalLinuxManager, identity: Identity, status: _Status | None
) -> Report:
    if status is None:
        if manager.is_alive(identity):
            return Report(State.RUNNING)
        # Only what is read after the supervisor was seen dead is its last word.
        status = _status(place)
    if status is not None:
        return Report(State.ENDED, return_code=status[0], ended=status[1])
    reason = "its supervisor was killed, so nobody knows its exit status"
    if identity.boot != boot_id(manager.boot_id):
        reason = "the machine was restarted while it ran"
    return Report(State.LOST, reason=reason)


def look_into(place: str, report: Report, outputs: Iterable[str], memo: Path | None) -> None:
    """Add to a report what else is found in the directory of a run that is over.

    :param place: the directory.
    :param report: what is known.
    :param outputs: which streams to look into.
    :param memo: where the number of failed attempts is kept.
    """
    for name in outputs:
        output = _output(os.path.join(place, name))
        if output is not None:
            report.outputs[name] = output
    stopped = _read(os.path.join(place, STOP))
    if stopped is not None:
        report.stopped = stopped[0].decode(errors="replace")
    if memo is not None:
        earlier = _read(str(memo))
        report.earlier = int(earlier[0]) if earlier is not None and earlier[0].isdigit() else 0


def revoke(place: str) -> bool:
    """Make certain that what was not started never will be; tell whether that is so.

    :param place: the directory of the run.
    """
    try:
        write_new(os.path.join(place, JOURNAL), REVOKED.encode())
    except (FileExistsError, FileNotFoundError):
        return False
    return True


def read_identity(place: str) -> Identity | None:
    """Tell which process a run is; None if that is not known yet.

    :param place: the directory of the run.
    """
    journal = _read(os.path.join(place, JOURNAL))
    return None if journal is None else parse_journal(journal[0])


def _status(place: str) -> _Status | None:
    found = _read(os.path.join(place, STATUS))
    code = None if found is None else parse_status(found[0])
    return None if found is None or code is None else (code, found[1])


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


def _output(path: str) -> Output | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        size = os.fstat(fd).st_size
        if size > INLINE:
            return Output(size, None, os.pread(fd, TAIL, size - TAIL))
        data = os.read(fd, INLINE)
        return Output(len(data), data, data[-TAIL:])
    finally:
        os.close(fd)
