"""Telling from what was seen of a run directory what became of the run. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pydatatask_core.proc_manager.process import ProcessState, ProcessStatus

from .identity import parse_identity
from .run_directory import parse_status

__all__ = ["STOP_PREFIX", "Observation", "classify"]

STOP_PREFIX = b"stop: "
"""What a line of a status file begins with that says why the process was told to end."""


@dataclass(slots=True)
class Observation:
    """What was seen of a run directory, wherever it is.

    :param path: the directory.
    :param boot_id: the boot id of its machine.
    """

    path: str
    boot_id: str
    exists: bool = True
    """Whether there is a directory."""
    started: bool | None = None
    """Whether the process has become the script, None if that is not decided; looked up first."""
    status: bytes = b""
    """What the status file holds; what was read after the process was seen dead, if it was."""
    status_mtime: float | None = None
    """When that was last written, in seconds since the epoch, as the machine's clock has it."""
    uptime_seconds: float | None = None
    """For how many seconds the machine has been up, if the process lives."""
    is_alive: bool = False
    """Whether the process or its supervisor lives, if there is no exit status."""
    problem: str | None = None
    """Why the run directory, or a file that tells about the run, cannot be believed any more."""


def classify(observation: Observation) -> ProcessStatus:
    """Tell the state of a run, without its outputs.

    :param observation: what was seen.
    """
    identity, code = parse_identity(observation.status), parse_status(observation.status)
    if code is not None:
        status = ProcessStatus(
            ProcessState.EXITED, return_code=code, end_time=observation.status_mtime
        )
    elif observation.is_alive:
        status = ProcessStatus(ProcessState.RUNNING, start_time=observation.status_mtime)
        if identity is not None and observation.uptime_seconds is not None:
            status.age_seconds = identity.process.age(observation.uptime_seconds)
    elif observation.problem is not None:
        status = ProcessStatus(ProcessState.LOST, reason=observation.problem)
    elif not observation.exists:
        status = ProcessStatus(
            ProcessState.MISSING, reason=f"its run directory {observation.path!r} is gone"
        )
    elif observation.started:
        reason = "its supervisor was killed, so nobody knows its exit status"
        if identity is None:
            reason = f"its status is gone from {observation.path!r}, where it ran"
        elif identity.boot != observation.boot_id:
            reason = "the machine was restarted while it ran"
        status = ProcessStatus(ProcessState.LOST, reason=reason)
    else:
        status = ProcessStatus(
            ProcessState.CREATED if observation.started is None else ProcessState.NEVER_STARTED
        )
    status.handle = None if identity is None else str(identity)
    status.stop_reason = _stop_reason(observation.status)
    status.problem = observation.problem
    return status


def _stop_reason(text: bytes) -> str | None:
    for line in text.split(b"\n")[1:]:
        if line.startswith(STOP_PREFIX):
            return line[len(STOP_PREFIX) :].decode(errors="replace")
    return None
