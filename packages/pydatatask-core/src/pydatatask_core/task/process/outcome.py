"""The ``done`` records of processes, as pure functions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydatatask_core.proc_manager.process import ProcessState
from pydatatask_core.task.detached.recorder import time_fields
from pydatatask_core.utils import signal_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydatatask_core.proc_manager.process import ProcessStatus

    from .job import ProcessJob

__all__ = ["describe_outcome", "describe_timeout"]

_TIMED_OUT = "timed out"

_KIB = 1024

COMMAND_NOT_FOUND = 127
"""The exit status of a shell for a command that it does not find."""

_BROKEN_PIPE = (
    "a command wrote to a pipe that its reader had closed, as in `zcat x | head -1`; if that is "
    "not a failure, read to the end (`sed -n 1p`) or append `|| [ $? = 141 ]`"
)
_NO_MATCH = (
    "any command that fails ends the script, also inside a pipe, such as `grep` without a match; "
    "append `|| true` to allow it"
)

_NO_COMMAND = "a command was not found; the end of stderr names it"


def describe_timeout(seconds: float) -> str:
    """Return the reason for terminating a job at its timeout."""
    return f"{_TIMED_OUT} after {seconds:g} s"


def describe_outcome(
    tracked: ProcessJob,
    status: ProcessStatus,
    expected: Iterable[str],
    now: datetime,
    *,
    strict: bool = False,
) -> dict[str, Any]:
    """Return the ``done`` record of a job.

    :param tracked: the job.
    :param status: the status of its process, which has ended.
    :param expected: the streams that have to exist.
    :param now: the time of the end, if the process has no known one.
    :param strict: whether the script ran in the default interpreter, where any command that fails
        ends it.
    """
    code = status.return_code
    signalled = None if code is None else signal_name(code)
    start = tracked.start_time if status.start_time is None else _time(status.start_time)
    end = now if status.end_time is None else _time(status.end_time)
    end = _clamp_end(start, end, tracked.run_seconds)
    record: dict[str, Any] = {
        "success": False,
        "return_code": code,
        **time_fields(start, end),
        "attempt": tracked.total_attempts,
        "host": tracked.run.host,
        "handle": status.handle or str(tracked.run.directory),
    }
    record |= _usage_fields(status)
    if signalled:
        record["signal"] = signalled
    lost = _find_loss(status, expected)
    if status.stop_reason is not None:
        record["timed_out" if status.stop_reason.startswith(_TIMED_OUT) else "killed"] = True
        record["reason"] = status.stop_reason
    elif status.problem is not None and status.state is ProcessState.EXITED:
        record["reason"] = status.problem if lost is None else f"{status.problem}, so {lost}"
    elif lost is not None:
        record["lost"] = True
        record["reason"] = f"lost: {lost}"
    elif code != 0:
        record["reason"] = _describe_failure(code, signalled, strict)
    else:
        record["success"] = True
    return record


def _describe_failure(code: int | None, signalled: str | None, strict: bool) -> str:
    """Return the reason of a failure that the exit status shows."""
    if signalled:
        reason = f"killed by {signalled} (exit status {code})"
        return f"{reason}: {_BROKEN_PIPE}" if signalled == "SIGPIPE" else reason
    hint = {1: _NO_MATCH, COMMAND_NOT_FOUND: _NO_COMMAND}.get(code or 0) if strict else None
    return f"exit status {code} ({hint})" if hint else f"exit status {code}"


def _usage_fields(status: ProcessStatus) -> dict[str, Any]:
    """Return the resources that a process has used, and the number of processes it left behind."""
    fields: dict[str, Any] = {}
    if status.usage is not None:
        user, system, peak = status.usage
        fields = {"user_time": user, "system_time": system, "peak_memory": peak * _KIB}
    if status.ended_processes:
        fields["ended_processes"] = status.ended_processes
    return fields


def _clamp_end(start: datetime, end: datetime, run_seconds: float | None) -> datetime:
    """Return an end time consistent with the start, which another clock may have stamped.

    :param start: the start, by the driver's clock.
    :param end: the end, by the target's clock.
    :param run_seconds: the duration of the process or slightly more, if known.
    """
    if run_seconds is None:
        return max(start, end)
    latest = start + timedelta(seconds=max(0.0, run_seconds))
    return end if start <= end <= latest else latest


def _find_loss(status: ProcessStatus, expected: Iterable[str]) -> str | None:
    if status.state is not ProcessState.EXITED:
        return status.reason or "its outcome is unknown"
    missing = [name.removeprefix(".") for name in expected if name not in status.outputs]
    return f"its run directory has lost its {' and '.join(missing)}" if missing else None


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
