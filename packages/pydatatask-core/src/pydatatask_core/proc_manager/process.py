"""The data that tasks and process managers exchange about the process of a job."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from pydatatask_core.errors import ProcessManagerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from .base import _StderrIsStdout
    from .local.journal import Entry
    from .local.pidfd import PidFd
    from .local.supervised import SupervisedJob

__all__ = [
    "MAX_INLINE_BYTES",
    "TAIL_BYTES",
    "LaunchSpec",
    "Leftover",
    "Output",
    "ProcessRun",
    "ProcessState",
    "ProcessStatus",
    "RunExistsError",
]

MAX_INLINE_BYTES = 64 * 1024
"""The maximum size of an output that a status holds in full; longer ones are streamed."""

TAIL_BYTES = 4096
"""The size of the tail of an output that a status holds."""


class RunExistsError(ProcessManagerError):
    """The directory of a job exists already: another driver runs the job, or has run it."""


class ProcessState(Enum):
    """The state of a job's process, as far as it is known."""

    MISSING = "absent"
    """The directory does not exist."""

    CREATED = "prepared"
    """The script has not been started, but a driver may be about to start it."""

    NEVER_STARTED = "not started"
    """The script was never started, and never will be."""

    RUNNING = "running"
    """The process is alive, or not yet known to be dead."""

    EXITED = "ended"
    """The process has ended, and its exit status is known."""

    LOST = "lost"
    """The process is dead, and its exit status cannot be determined."""


class Leftover(NamedTuple):
    """A run directory that should have been removed and could not be."""

    path: str
    """The current path: not that of the run if the directory could be renamed."""

    reason: str
    """The reason why it could not be removed."""


@dataclass(slots=True, eq=False)
class ProcessRun:
    """The directory of one job on a target, with the state that the driver has about its process.

    :param directory: the directory.
    :param host: the name of the target.
    :param handle: the manager's identifier of the process, if it is needed to find the process.
    :param note_path: the file that carries a note from one attempt of the job to the next, if any.
    """

    directory: Path
    host: str
    handle: str | None = None
    note_path: Path | None = None
    script_time: int = 0
    """The modification time of its script in nanoseconds, which distinguishes the directory from a
    later one of the same name."""
    held: Path | None = None
    """The archive directory, which may contain hard links to the streams of this run."""
    is_held: bool = False
    """True for an archive directory, whose streams may have a second link in a run directory."""
    entry: Entry | None = None
    """The journal entry of the run, if this process wrote it."""
    created: bool = False
    """True if this process created the directory, so that no token is needed to identify it."""
    supervised: SupervisedJob | None = None
    """The handle of the supervised job, if this process started it."""
    pidfd: PidFd | None = None
    """The pidfd of the process, if an earlier driver started it."""
    stop_reason: str | None = None
    """The reason why the run was terminated, if only this process knows it."""
    release_host: Callable[[], object] | None = None
    """Releases the resources reserved on the host, if several hosts share the jobs."""
    unconfirmed_since: float | None = None
    """Monotonic time at which the process was first seen dead without an exit status."""


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """The script to run, with its environment and streams.

    :param script: the script.
    :param environ: variables to add to the target's environment.
    :param stdin: the data for its stdin, or None for a null file.
    :param has_stdin: whether a file ``stdin`` exists, or will exist before the start.
    :param stdout: whether to keep its stdout; otherwise it is a null file.
    :param stderr: whether to keep its stderr, or ``STDOUT``.
    :param shell: the command line of the interpreter for a script without a ``#!`` line; None for
        the default of the manager.
    :param detach: whether the processes that the script leaves behind continue after its end.
    """

    script: bytes
    environ: Mapping[str, str]
    stdin: bytes | None = None
    has_stdin: bool = False
    stdout: bool = False
    stderr: bool | _StderrIsStdout = False
    shell: tuple[str, ...] | None = None
    detach: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """One output stream of a process."""

    size: int
    """The size in bytes."""

    data: bytes | None
    """The whole output, or None if it is longer than ``MAX_INLINE_BYTES``."""

    tail: bytes
    """The last bytes of the output."""


@dataclass(slots=True)
class ProcessStatus:
    """The result of inspecting the process of a job."""

    state: ProcessState
    return_code: int | None = None
    start_time: float | None = None
    """The start of the process by the clock of the target, in seconds since the epoch."""

    age_seconds: float | None = None
    """The age of a running process in seconds, independent of changes of the target's clock."""

    end_time: float | None = None
    """The end of the process, in seconds since the epoch."""

    stop_reason: str | None = None
    """The reason why the process was terminated, if it was."""

    reason: str | None = None
    """The reason why the process is lost."""

    problem: str | None = None
    """Why the job failed regardless of its exit status: a file that cannot be read safely."""

    handle: str | None = None
    """The manager's identifier of the process."""

    note: str | None = None
    """The note that is carried from one attempt of the job to the next."""

    usage: tuple[float, float, int] | None = None
    """The user and system CPU seconds and the maximum resident memory in KiB, if known."""

    ended_processes: int = 0
    """The number of processes that the job left behind and that were ended."""

    outputs: dict[str, Output] = field(default_factory=dict)
    """The requested streams that exist, by name."""
