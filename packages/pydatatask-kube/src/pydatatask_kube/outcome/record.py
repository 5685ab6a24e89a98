"""The ``done`` record of a pod. Without I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydatatask_core.task.detached.recorder import time_fields
from pydatatask_core.utils import signal_name
from pydatatask_kube.cluster.pod_state import (
    Container,
    containers_of,
    created_at,
    first_start,
    last_finish,
    parse_time,
)
from pydatatask_kube.pod_names import name_of, uid_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .pod_outcome import PodOutcome

__all__ = ["outcome_record"]


def outcome_record(
    pod: Mapping[str, Any], outcome: PodOutcome, attempt: int, now: datetime
) -> dict[str, Any]:
    """Return the record of the outcome of a job.

    :param pod: the last known state of its pod.
    :param outcome: the outcome of the pod.
    :param attempt: the number of the attempt.
    :param now: the current time, used as the end time if the pod does not contain it.
    """
    containers = containers_of(pod)
    main = next((c for c in containers if not c.init), None)
    accepted_at = parse_time(pod.get("status", {}).get("startTime"))
    start = first_start(pod) or accepted_at or created_at(pod, now)
    end = now if outcome.still_exists else last_finish(pod) or now
    code = 0 if outcome.success else outcome.container.exit_code if outcome.container else None
    record: dict[str, Any] = {
        "success": outcome.success,
        "return_code": code,
        **time_fields(start, end),
        "attempt": attempt,
        "pod": name_of(pod),
        "uid": uid_of(pod),
        "node": pod.get("spec", {}).get("nodeName"),
        "image": main.image if main else None,
        "restarts": sum(c.restarts for c in containers),
    }
    if len(containers) > 1:
        record["containers"] = [_describe(c) for c in containers]
    if not outcome.success:
        record["reason"] = outcome.reason
        if outcome.kind is not None:
            record[outcome.kind] = True
        name = signal_name(code) if code else None
        if name:
            record["signal"] = name
    return record


def _describe(container: Container) -> dict[str, Any]:
    return {
        "name": container.name,
        "image": container.image,
        "return_code": container.exit_code,
        "reason": container.reason or container.waiting_reason,
        "start_time": container.start,
        "end_time": container.end,
        "restarts": container.restarts,
    }
