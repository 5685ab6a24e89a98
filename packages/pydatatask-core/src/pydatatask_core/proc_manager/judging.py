"""Telling from what was seen of a run directory what became of the run. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from .identity import parse_identity
from .run import Report, State
from .supervisor import parse_status

__all__ = ["STOP", "Seen", "judge"]

STOP = b"stop: "
"""What a line of a status file begins with that says why the process was told to end."""


@dataclass(slots=True)
class Seen:
    """What was seen of a run directory, wherever it is.

    :param place: the directory.
    :param boot_id: the boot id of its machine.
    """

    place: str
    boot_id: str
    exists: bool = True
    """Whether there is a directory."""
    begun: bool | None = None
    """Whether the process has become the script, None if that is not decided; looked up first."""
    status: bytes = b""
    """What the status file holds; what was read after the process was seen dead, if it was."""
    written: float | None = None
    """When that was last written, in seconds since the epoch, as the machine's clock has it."""
    uptime: float | None = None
    """For how many seconds the machine has been up, if the process lives."""
    lives: bool = False
    """Whether the process or its supervisor lives, if there is no exit status."""
    problem: str | None = None
    """Why the run directory, or a file that tells about the run, cannot be believed any more."""


def judge(seen: Seen) -> Report:
    """Tell the state of a run, without its outputs.

    :param seen: what was seen.
    """
    identity, code = parse_identity(seen.status), parse_status(seen.status)
    if code is not None:
        report = Report(State.ENDED, return_code=code, ended=seen.written)
    elif seen.lives:
        report = Report(State.RUNNING, started=seen.written)
        if identity is not None and seen.uptime is not None:
            report.age = identity.process.age(seen.uptime)
    elif seen.problem is not None:
        report = Report(State.LOST, reason=seen.problem)
    elif not seen.exists:
        report = Report(State.ABSENT, reason=f"its run directory {seen.place!r} is gone")
    elif seen.begun:
        reason = "its supervisor was killed, so nobody knows its exit status"
        if identity is None:
            reason = f"its status is gone from {seen.place!r}, where it ran"
        elif identity.boot != seen.boot_id:
            reason = "the machine was restarted while it ran"
        report = Report(State.LOST, reason=reason)
    else:
        report = Report(State.PREPARED if seen.begun is None else State.NOT_STARTED)
    report.handle = None if identity is None else str(identity)
    report.stopped = _stop_reason(seen.status)
    report.problem = seen.problem
    return report


def _stop_reason(text: bytes) -> str | None:
    for line in text.split(b"\n")[1:]:
        if line.startswith(STOP):
            return line[len(STOP) :].decode(errors="replace")
    return None
