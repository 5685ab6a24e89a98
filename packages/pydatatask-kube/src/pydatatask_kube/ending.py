"""Classification of the state of a pod as running, succeeded or failed. Without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .failure import ended_by_deletion, failure
from .names import FATE
from .outcome import DISCARDED, KILLED, Ending, killed, lost
from .state import (
    condition,
    containers_of,
    created_at,
    deleted_at,
    parse_time,
    will_never_run,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .state import Container

__all__ = ["Limits", "Verdict", "judge"]

IMAGE_PATIENCE = 300.0
"""Seconds for which the kubelet may retry to start a container, unless ``pending_timeout`` is less;
equal to the kubelet's longest back-off."""

LOST_AFTER = 30.0
"""Seconds past its grace period after which a pod that is being deleted counts as lost, with its
node."""

_HOPELESS = frozenset({"InvalidImageName", "ErrImageNeverPull"})
_IMAGE = _HOPELESS | {
    "ErrImagePull",
    "ImagePullBackOff",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
}
_START = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})


@dataclass(frozen=True)
class Limits:
    """The time limits of a pod in seconds; None is unlimited."""

    pending: float | None = None
    """From the creation of the pod until its containers run."""
    timeout: float | None = None
    """From the time at which the node accepted the pod."""


@dataclass(frozen=True)
class Verdict:
    """The classification of a pod at one time.

    :param ending: the outcome of the pod; None if it has not ended.
    :param again: seconds after which to classify it again even if no event arrives.
    """

    ending: Ending | None = None
    again: float | None = None


def judge(pod: Mapping[str, Any], gone: bool, now: datetime, limits: Limits) -> Verdict:
    """Return whether and how a pod has ended.

    :param pod: the pod, or its last known state.
    :param gone: whether it has been deleted.
    :param now: the current time of the server.
    :param limits: its time limits.
    """
    phase = pod.get("status", {}).get("phase")
    fate = (pod["metadata"].get("annotations") or {}).get(FATE)
    gone = gone or will_never_run(pod)
    if fate == DISCARDED and (gone or phase in ("Succeeded", "Failed")):
        return Verdict(Ending(reason="deleted from live", kind=DISCARDED))
    if phase == "Succeeded" and not ended_by_deletion(pod):
        return Verdict(Ending(success=True))
    if phase in ("Succeeded", "Failed") or gone:
        return Verdict(killed() if fate == KILLED else failure(pod, gone))
    if pod["metadata"].get("deletionTimestamp"):
        return _being_deleted(pod, now)
    if phase == "Running":
        return _running(pod, now, limits.timeout)
    return _pending(pod, now, limits.pending)


def _being_deleted(pod: Mapping[str, Any], now: datetime) -> Verdict:
    due = deleted_at(pod)
    if due is None:
        return Verdict()
    left = (due - now).total_seconds() + LOST_AFTER
    if left > 0:
        return Verdict(again=left)
    node = pod.get("spec", {}).get("nodeName")
    return Verdict(lost(f"node {node!r} has not stopped it and may still run it", stays=True))


def _running(pod: Mapping[str, Any], now: datetime, timeout: float | None) -> Verdict:
    start = parse_time(pod["status"].get("startTime"))
    if timeout is None or start is None:
        return Verdict()
    # The node sets startTime by its own clock; the true start is after the creation.
    start = max(start, created_at(pod, start))
    left = timeout - (now - start).total_seconds()
    if left > 0:
        return Verdict(again=left)
    return Verdict(Ending(reason=f"timed out after {timeout:g} s", kind="timed_out", stays=True))


def _pending(pod: Mapping[str, Any], now: datetime, limit: float | None) -> Verdict:
    age = (now - created_at(pod, now)).total_seconds()
    stuck = next((c for c in containers_of(pod) if c.waits_for in _IMAGE | _START), None)
    if stuck is not None:
        # The kubelet tries only from the time at which the node accepted the pod.
        tried_since = parse_time(pod["status"].get("startTime")) or created_at(pod, now)
        left = IMAGE_PATIENCE - min(age, (now - tried_since).total_seconds())
        if limit is not None:
            left = min(left, limit - age)
        if stuck.waits_for in _HOPELESS or left <= 0:
            return Verdict(_never_started(stuck))
        return Verdict(again=left)
    if limit is None:
        return Verdict()
    if age < limit:
        return Verdict(again=limit - age)
    scheduled = condition(pod, "PodScheduled") or {}
    if scheduled.get("status") == "False":
        why = scheduled.get("message") or scheduled.get("reason") or "no node was found for it"
        reason = f"unschedulable for {limit:g} s: {why}"
        return Verdict(Ending(reason=reason, kind="unschedulable", stays=True))
    waits = ", ".join(sorted({c.waits_for for c in containers_of(pod) if c.waits_for}))
    return Verdict(
        Ending(
            reason=f"not running after {limit:g} s{f': {waits}' if waits else ''}",
            kind="not_started",
            stays=True,
        )
    )


def _never_started(container: Container) -> Ending:
    image = container.waits_for in _IMAGE
    what = f"image {container.image!r} is unavailable" if image else "it cannot be started"
    why = f"{container.waits_for}{f': {container.message}' if container.message else ''}"
    return Ending(
        reason=f"container {container.name!r}: {what}: {why}",
        kind="image_unavailable" if image else "not_started",
        container=container,
        stays=True,
    )
