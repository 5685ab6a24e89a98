"""The status of a run, derived from observations of its run directory. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydatatask_core.proc_manager.process import ProcessState, ProcessStatus

from .identity import parse_identity
from .run_directory import parse_status

if TYPE_CHECKING:
    from .identity import Identity

__all__ = ["STOP_PREFIX", "Observation", "classify"]

STOP_PREFIX = b"stop: "
"""The prefix of the line of a status file that holds the reason of a termination."""


@dataclass(slots=True)
class Observation:
    """The observed state of a run directory on any machine.

    :param path: the directory.
    :param boot_id: the boot id of its machine.
    """

    path: str
    boot_id: str
    exists: bool = True
    """True if the directory exists."""
    started: bool | None = None
    """True if the job was started, or is about to be; None if that is not decided."""
    return_code: int | None = None
    """The exit status; if the process is dead, read after that was observed."""
    identity: Identity | None = None
    """The process of the job, if it is known."""
    stop_reason: str | None = None
    """The reason why the process was terminated, if it was."""
    status_mtime: float | None = None
    """The time of the exit status, or of the start, by the machine's clock, since the epoch."""
    uptime_seconds: float | None = None
    """The uptime of the machine, if the process is alive."""
    is_alive: bool = False
    """True if the process or its supervisor is alive, without an exit status."""
    problem: str | None = None
    """The reason why the run directory, or a file that describes the run, cannot be trusted."""
    usage: tuple[float, float, int] | None = None
    """The user and system CPU seconds and the maximum resident memory in KiB, if known."""
    ended_processes: int = 0
    """The number of processes that the job left behind and that were ended."""

    def parse_status(self, text: bytes) -> None:
        """Set the fields that a status file holds.

        :param text: the content of the file.
        """
        self.return_code, self.identity = parse_status(text), parse_identity(text)
        self.stop_reason = _parse_stop_reason(text)


def classify(observation: Observation) -> ProcessStatus:
    """Return the status of a run, without its outputs.

    :param observation: the observed state of its directory.
    """
    identity = observation.identity
    if observation.return_code is not None:
        status = ProcessStatus(
            ProcessState.EXITED,
            return_code=observation.return_code,
            end_time=observation.status_mtime,
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
        reason = "its supervisor was killed, so its exit status is unknown"
        if identity is None and observation.status_mtime is None:
            reason = f"its status file is missing from its run directory {observation.path!r}"
        elif identity is not None and identity.boot != observation.boot_id:
            reason = "the machine was restarted while it ran"
        status = ProcessStatus(ProcessState.LOST, reason=reason)
    else:
        status = ProcessStatus(
            ProcessState.CREATED if observation.started is None else ProcessState.NEVER_STARTED
        )
    status.handle = None if identity is None else str(identity)
    status.stop_reason = observation.stop_reason
    status.problem = observation.problem
    status.usage = observation.usage
    status.ended_processes = observation.ended_processes
    return status


def _parse_stop_reason(text: bytes) -> str | None:
    for line in text.split(b"\n")[1:]:
        if line.startswith(STOP_PREFIX):
            return line[len(STOP_PREFIX) :].decode(errors="replace")
    return None
