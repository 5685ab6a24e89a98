"""Classification of the state of a pod as running, succeeded or failed. Without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydatatask_kube.cluster.pod_state import (
    can_never_run,
    condition,
    containers_of,
    created_at,
    deleted_at,
    parse_time,
)
from pydatatask_kube.pod_names import TERMINATION_REASON

from .failure import classify_failure, ended_by_deletion
from .pod_outcome import DISCARDED, KILLED_KIND, PodOutcome, killed, lost

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pydatatask_kube.cluster.pod_state import Container

__all__ = ["Classification", "Limits", "classify"]

IMAGE_TIMEOUT_SECONDS = 300.0
"""Seconds for which the kubelet may retry to start a container, unless ``pending_timeout`` is less;
equal to the kubelet's longest back-off."""

LOST_TIMEOUT_SECONDS = 30.0
"""Seconds past its grace period after which a pod that is being deleted counts as lost, with its
node."""

_PERMANENT_REASONS = frozenset({"InvalidImageName", "ErrImageNeverPull"})
_IMAGE_REASONS = _PERMANENT_REASONS | {
    "ErrImagePull",
    "ImagePullBackOff",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
}
_START_REASONS = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)


@dataclass(frozen=True)
class Limits:
    """The time limits of a pod in seconds; None is unlimited."""

    pending: float | None = None
    """From the creation of the pod until its containers run."""
    timeout: float | None = None
    """From the time at which the node accepted the pod."""


@dataclass(frozen=True)
class Classification:
    """The classification of a pod at one time.

    :param outcome: the outcome of the pod; None if it has not ended.
    :param recheck_seconds: seconds after which to classify it again even if no event arrives.
    """

    outcome: PodOutcome | None = None
    recheck_seconds: float | None = None


def classify(pod: Mapping[str, Any], gone: bool, now: datetime, limits: Limits) -> Classification:
    """Return whether and how a pod has ended.

    :param pod: the pod, or its last known state.
    :param gone: whether it has been deleted.
    :param now: the current time of the server.
    :param limits: its time limits.
    """
    phase = pod.get("status", {}).get("phase")
    termination_reason = (pod["metadata"].get("annotations") or {}).get(TERMINATION_REASON)
    gone = gone or can_never_run(pod)
    if termination_reason == DISCARDED and (gone or phase in ("Succeeded", "Failed")):
        return Classification(PodOutcome(reason="deleted from live", kind=DISCARDED))
    if phase == "Succeeded" and not ended_by_deletion(pod):
        return Classification(PodOutcome(success=True))
    if phase in ("Succeeded", "Failed") or gone:
        return Classification(
            killed() if termination_reason == KILLED_KIND else classify_failure(pod, gone)
        )
    if pod["metadata"].get("deletionTimestamp"):
        return _classify_deleting(pod, now)
    if phase == "Running":
        return _classify_running(pod, now, limits.timeout)
    return _classify_pending(pod, now, limits.pending)


def _classify_deleting(pod: Mapping[str, Any], now: datetime) -> Classification:
    due = deleted_at(pod)
    if due is None:
        return Classification()
    remaining = (due - now).total_seconds() + LOST_TIMEOUT_SECONDS
    if remaining > 0:
        return Classification(recheck_seconds=remaining)
    node = pod.get("spec", {}).get("nodeName")
    return Classification(
        lost(f"node {node!r} has not stopped it and may still run it", still_exists=True)
    )


def _classify_running(
    pod: Mapping[str, Any], now: datetime, timeout: float | None
) -> Classification:
    start = parse_time(pod["status"].get("startTime"))
    if timeout is None or start is None:
        return Classification()
    # The node sets startTime by its own clock; the true start is after the creation.
    start = max(start, created_at(pod, start))
    remaining = timeout - (now - start).total_seconds()
    if remaining > 0:
        return Classification(recheck_seconds=remaining)
    return Classification(
        PodOutcome(reason=f"timed out after {timeout:g} s", kind="timed_out", still_exists=True)
    )


def _classify_pending(pod: Mapping[str, Any], now: datetime, limit: float | None) -> Classification:
    age = (now - created_at(pod, now)).total_seconds()
    stuck = next(
        (c for c in containers_of(pod) if c.waiting_reason in _IMAGE_REASONS | _START_REASONS), None
    )
    if stuck is not None:
        # The kubelet tries only from the time at which the node accepted the pod.
        tried_since = parse_time(pod["status"].get("startTime")) or created_at(pod, now)
        remaining = IMAGE_TIMEOUT_SECONDS - min(age, (now - tried_since).total_seconds())
        if limit is not None:
            remaining = min(remaining, limit - age)
        if stuck.waiting_reason in _PERMANENT_REASONS or remaining <= 0:
            return Classification(_never_started(stuck))
        return Classification(recheck_seconds=remaining)
    if limit is None:
        return Classification()
    if age < limit:
        return Classification(recheck_seconds=limit - age)
    scheduled = condition(pod, "PodScheduled") or {}
    if scheduled.get("status") == "False":
        details = scheduled.get("message") or scheduled.get("reason") or "no node was found for it"
        reason = f"unschedulable for {limit:g} s: {details}"
        return Classification(PodOutcome(reason=reason, kind="unschedulable", still_exists=True))
    waits = ", ".join(sorted({c.waiting_reason for c in containers_of(pod) if c.waiting_reason}))
    return Classification(
        PodOutcome(
            reason=f"not running after {limit:g} s{f': {waits}' if waits else ''}",
            kind="not_started",
            still_exists=True,
        )
    )


def _never_started(container: Container) -> PodOutcome:
    image = container.waiting_reason in _IMAGE_REASONS
    problem = f"image {container.image!r} is unavailable" if image else "it cannot be started"
    details = f"{container.waiting_reason}{f': {container.message}' if container.message else ''}"
    return PodOutcome(
        reason=f"container {container.name!r}: {problem}: {details}",
        kind="image_unavailable" if image else "not_started",
        container=container,
        still_exists=True,
    )
