"""Finding out on this machine what became of a run. Everything here blocks."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from .identity import parse_identity
from .run import INLINE, TAIL, Output, Report, State
from .runs import PATIENCE
from .supervisor import REVOKED, SCRIPT, STATUS, parse_status

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .identity import Identity
    from .local import LocalLinuxManager

__all__ = ["examine", "look_into", "note_stop", "read_identity", "revoke"]

_SMALL = 16384
_STOP = b"stop: "


def examine(
    place: str, manager: LocalLinuxManager, *, claim: bool = False, began: bool | None = None
) -> Report:
    """Tell the state of a run, without its outputs.

    :param place: its directory.
    :param manager: whose run it is.
    :param claim: whether to make certain that what was not started never will be.
    :param began: whether the script was started, if that is known.
    """
    found = _read(os.path.join(place, STATUS))
    if found is None:
        if not os.path.isdir(place):
            return Report(State.ABSENT, reason=f"its run directory {place!r} is gone")
        if began:
            return Report(State.LOST, reason=f"its status is gone from {place!r}, where it ran")
        if not claim:
            return Report(State.PREPARED)
        return Report(State.NOT_STARTED) if revoke(place) else examine(place, manager)
    report = _judge(place, manager, *found, began)
    report.stopped = _stop_reason(found[0])
    return report


def _judge(
    place: str, manager: LocalLinuxManager, text: bytes, since: float, began: bool | None
) -> Report:
    if text.startswith(REVOKED):
        return Report(State.NOT_STARTED)
    identity = parse_identity(text)
    if identity is None:
        if began is False or _could_not_begin(place):
            return Report(State.NOT_STARTED)
        if time.time() - since < PATIENCE:
            return Report(State.RUNNING)  # between making the file and filling it
        return Report(State.LOST, reason="it was killed when it was about to begin")
    report = _outcome(place, manager, identity, parse_status(text), since)
    report.handle = str(identity)
    return report


def _could_not_begin(place: str) -> bool:
    script = _read(os.path.join(place, SCRIPT))
    return script is not None and script[0].startswith(REVOKED.strip())


def _outcome(
    place: str, manager: LocalLinuxManager, identity: Identity, code: int | None, since: float
) -> Report:
    if code is None:
        if manager.is_alive(identity):
            return Report(State.RUNNING, started=since)
        # Only what is read after the supervisor was seen dead is its last word.
        text, since = _read(os.path.join(place, STATUS)) or (b"", since)
        code = parse_status(text)
    if code is not None:
        return Report(State.ENDED, return_code=code, ended=since)
    reason = "its supervisor was killed, so nobody knows its exit status"
    if identity.boot != manager.boot_id:
        reason = "the machine was restarted while it ran"
    return Report(State.LOST, reason=reason)


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
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        fd = os.open(os.path.join(place, STATUS), flags, 0o600)
    except (FileExistsError, FileNotFoundError):
        return False
    try:
        os.write(fd, REVOKED)
    except OSError:
        _spoil(place)  # there is no room; that the file exists is what counts
    finally:
        os.close(fd)
    return True


def _spoil(place: str) -> None:
    """Say over the script that it did not run, for which there is room; as supervisors do."""
    fd = os.open(os.path.join(place, SCRIPT), os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, REVOKED.strip())
    finally:
        os.close(fd)


def note_stop(place: str, reason: str) -> None:
    """Note why a run is told to end.

    :param place: the directory of the run.
    :param reason: one line. The first that is noted is the one that counts.
    """
    fd = os.open(os.path.join(place, STATUS), os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        os.write(fd, _STOP + reason.encode() + b"\n")
    finally:
        os.close(fd)


def _stop_reason(text: bytes) -> str | None:
    for line in text.split(b"\n")[1:]:
        if line.startswith(_STOP):
            return line[len(_STOP) :].decode(errors="replace")
    return None


def read_identity(place: str) -> Identity | None:
    """Tell which process a run is; None if that is not known yet.

    :param place: the directory of the run.
    """
    found = _read(os.path.join(place, STATUS))
    return None if found is None else parse_identity(found[0])


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
        data = os.read(fd, INLINE) if size else b""
        return Output(len(data), data, data[-TAIL:])
    finally:
        os.close(fd)
