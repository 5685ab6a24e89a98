"""The reason for which a pod failed. Without I/O."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydatatask_core.utils import signal_name
from pydatatask_kube.cluster.pod_state import (
    condition,
    containers_of,
    deletion_requested_at,
    failed_container,
    last_finish,
)

from .pod_outcome import PodOutcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydatatask_kube.cluster.pod_state import Container

__all__ = ["classify_failure", "ended_by_deletion"]

# Reasons of the condition DisruptionTarget.
_DISRUPTIONS = {
    "DeletionByPodGC": ("lost", "lost: its node is gone"),
    "DeletionByTaintManager": ("evicted", "evicted: its node has a taint it does not tolerate"),
    "EvictionByEvictionAPI": ("evicted", "evicted: its node was drained"),
    "PreemptionByScheduler": ("evicted", "evicted: a pod of higher priority preempted it"),
    "TerminationByKubelet": ("evicted", "evicted by its node"),
}

# Reasons in the status of a pod that fully explain a failure.
_BY_REASON = {
    "DeadlineExceeded": ("timed_out", "timed out"),
    "Evicted": ("evicted", "evicted by its node"),
    "NodeLost": ("lost", "lost"),
    "NodeShutdown": ("evicted", "evicted"),
    "Shutdown": ("evicted", "evicted"),
}


def classify_failure(pod: Mapping[str, Any], gone: bool) -> PodOutcome:
    """Return the outcome of a pod that has failed.

    :param pod: the pod, or its last known state.
    :param gone: whether it has been deleted.
    """
    status = pod.get("status", {})
    message = ": ".join(str(status[key]) for key in ("reason", "message") if status.get(key))
    container = failed_container(pod)
    if status.get("reason") in _BY_REASON:
        kind, text = _BY_REASON[status["reason"]]
        return PodOutcome(reason=f"{text}: {message}", kind=kind, container=container)
    target = condition(pod, "DisruptionTarget") or {}
    if target.get("status") == "True":
        return _classify_disruption(target, container)
    if ended_by_deletion(pod) or (gone and status.get("phase") != "Failed"):
        return PodOutcome(reason="deleted by another client", kind="deleted", container=container)
    return (
        _classify_exit(pod, container)
        if container
        else PodOutcome(reason=message or "of unknown cause")
    )


def _classify_disruption(target: Mapping[str, Any], container: Container | None) -> PodOutcome:
    kind, text = _DISRUPTIONS.get(str(target.get("reason")), ("evicted", "evicted"))
    details = target.get("message")
    return PodOutcome(
        reason=f"{text}{f' ({details})' if details else ''}", kind=kind, container=container
    )


def _classify_exit(pod: Mapping[str, Any], container: Container) -> PodOutcome:
    alone = len(containers_of(pod)) == 1
    which = "" if alone else f" of container {container.name!r}"
    details = f": {container.message}" if container.message else ""
    if container.reason == "OOMKilled":
        limit = f", its limit is {container.memory}" if container.memory else ""
        return PodOutcome(
            reason=f"out of memory{limit} (exit status {container.exit_code}{which})",
            kind="oom_killed",
            container=container,
        )
    name = signal_name(container.exit_code or 0)
    signal_text = f"killed by {name} (exit status {container.exit_code}{which})" if name else None
    reason = signal_text or f"exit status {container.exit_code}{which}"
    if container.reason not in (None, "Error", "Completed"):
        reason += f", {container.reason}"
    return PodOutcome(reason=reason + details, container=container)


def ended_by_deletion(pod: Mapping[str, Any]) -> bool:
    """Return whether the pod was deleted before its last container had ended."""
    requested, finish = deletion_requested_at(pod), last_finish(pod)
    # Both are whole seconds; in doubt it was deleted first, so that cut-off work never succeeds.
    return requested is not None and (finish is None or finish + timedelta(seconds=1) > requested)
