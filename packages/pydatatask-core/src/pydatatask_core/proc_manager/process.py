"""What a task and a process manager tell each other about one job's process."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from pydatatask_core.errors import ProcessManagerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from .base import _StderrIsStdout
    from .local.pidfd import PidFd
    from .local.supervised import Supervised
    from .protocol.journal import Entry

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
"""How many bytes of an output are given whole in a report; what is longer is streamed."""

TAIL_BYTES = 4096
"""How many bytes of the end of an output are given in a report."""


class RunExistsError(ProcessManagerError):
    """The directory of a job exists already, so somebody else runs the job, or has."""


class ProcessState(Enum):
    """What is known of a job's process."""

    MISSING = "absent"
    """There is no directory."""

    CREATED = "prepared"
    """Nobody has started the script, but somebody may be about to."""

    NEVER_STARTED = "not started"
    """The script was never started, and never will be."""

    RUNNING = "running"
    """The process lives, or it is not certain yet that it does not."""

    EXITED = "ended"
    """The process has ended, and its exit status is known."""

    LOST = "lost"
    """The process does not live any more, and its exit status is not to be had."""


class Leftover(NamedTuple):
    """A run directory that is not needed any more and could not be removed."""

    path: str
    """Where it is now: under another name than that of the run, if it could be renamed."""

    reason: str
    """Why it could not be removed."""


@dataclass(slots=True, eq=False)
class ProcessRun:
    """One job's directory on a target, and what is known of its process.

    :param directory: the directory.
    :param host: the name of the target.
    :param handle: the manager's identifier of the process, if that is needed to find it again.
    :param note_path: where something is kept from one run of the job to the next, if anywhere.
    """

    directory: Path
    host: str
    handle: str | None = None
    note_path: Path | None = None
    directory_token: str | None = None
    """The name of a file by which its directory is told from the next one that has its name."""
    held: Path | None = None
    """The directory that may have its streams as well, as other names of the same files."""
    is_held: bool = False
    """Whether it is a directory of held streams, which a run directory may have as well."""
    entry: Entry | None = None
    """Its entry of the journal, if this process has made it."""
    created: bool = False
    """Whether this process has made the directory, so that it needs no mark of one."""
    supervised: Supervised | None = None
    """How far its supervisor is, if that is one of this process's."""
    pidfd: PidFd | None = None
    """Of its process, where an earlier driver started that."""
    stop_reason: str | None = None
    """Why it was told to end, where only this process knows."""
    has_started: bool | None = None
    """Whether the script was started, if that is known, and the directory may not tell."""
    release_host: Callable[[], object] | None = None
    """Gives back what it takes of its machine, where several share the jobs."""
    unconfirmed_since: float | None = None
    """Since when (monotonic) the process is gone without a status, where that takes patience."""


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """What is to be run.

    :param script: the script.
    :param environ: variables to add to the target's environment.
    :param stdin: what to feed it, or None for a null file.
    :param has_stdin: whether a file ``stdin`` is there, or will be before the start.
    :param stdout: whether to keep its stdout; else that is a null file.
    :param stderr: whether to keep its stderr, or ``STDOUT``.
    :param shell: the command line of the interpreter of a script without a first line ``#!``;
        None leaves it to the manager.
    """

    script: bytes
    environ: Mapping[str, str]
    stdin: bytes | None = None
    has_stdin: bool = False
    stdout: bool = False
    stderr: bool | _StderrIsStdout = False
    shell: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """What a process has written to one of its streams."""

    size: int
    """How many bytes there are."""

    data: bytes | None
    """All of them, if they are few."""

    tail: bytes
    """The last of them."""


@dataclass(slots=True)
class ProcessStatus:
    """What was found out about a job's process."""

    state: ProcessState
    return_code: int | None = None
    start_time: float | None = None
    """When the process began, as the target's clock has it, in seconds since the epoch."""

    age_seconds: float | None = None
    """For how many seconds a running process has run, whatever became of its machine's clock."""

    end_time: float | None = None
    """When it ended."""

    stop_reason: str | None = None
    """Why it was told to end, if it was."""

    reason: str | None = None
    """Why it is lost."""

    problem: str | None = None
    """Why the job has failed, whatever its exit status: the file that cannot be read safely."""

    handle: str | None = None
    """Which process it is."""

    note: str | None = None
    """What was to be remembered of the job from one run to the next."""

    outputs: dict[str, Output] = field(default_factory=dict)
    """The streams that were asked for, those that exist."""
