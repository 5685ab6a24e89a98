"""The ``done`` record of a pod. Without I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydatatask_core.task.required_outputs import MISSING_OUTPUTS
from pydatatask_core.utils import signal_name

from .names import name_of, uid_of
from .state import Container, containers_of, created_at, first_start, last_finish, parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .outcome import Ending

__all__ = ["describe_ending"]


def describe_ending(
    pod: Mapping[str, Any], ending: Ending, attempt: int, now: datetime
) -> dict[str, Any]:
    """Return the record of the outcome of a job.

    :param pod: the last known state of its pod.
    :param ending: the outcome of the pod.
    :param attempt: the number of the attempt.
    :param now: the current time, used as the end time if the pod does not contain it.
    """
    containers = containers_of(pod)
    main = next((c for c in containers if not c.init), None)
    taken_on = parse_time(pod.get("status", {}).get("startTime"))
    start = first_start(pod) or taken_on or created_at(pod, now)
    end = now if ending.stays else last_finish(pod) or now
    ended_well = ending.success or ending.missing_outputs
    code = 0 if ended_well else ending.container.code if ending.container else None
    record: dict[str, Any] = {
        "success": ending.success,
        "return_code": code,
        "start_time": start,
        "end_time": max(start, end),
        "duration": max(0.0, (end - start).total_seconds()),
        "attempt": attempt,
        "pod": name_of(pod),
        "uid": uid_of(pod),
        "node": pod.get("spec", {}).get("nodeName"),
        "image": main.image if main else None,
        "restarts": sum(c.restarts for c in containers),
    }
    if len(containers) > 1:
        record["containers"] = [_describe(c) for c in containers]
    if not ending.success:
        record["reason"] = ending.reason
        if ending.missing_outputs:
            record[MISSING_OUTPUTS] = list(ending.missing_outputs)
        if ending.kind is not None:
            record[ending.kind] = True
        name = signal_name(code) if code else None
        if name:
            record["signal"] = name
    return record


def _describe(container: Container) -> dict[str, Any]:
    return {
        "name": container.name,
        "image": container.image,
        "return_code": container.code,
        "reason": container.reason or container.waits_for,
        "start_time": container.start,
        "end_time": container.end,
        "restarts": container.restarts,
    }
