"""The reason for which a pod failed. Without I/O."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydatatask_core.utils import signal_name

from .outcome import Ending
from .state import condition, containers_of, culprit, deletion_asked_at, last_finish

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .state import Container

__all__ = ["ended_by_deletion", "failure"]

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


def failure(pod: Mapping[str, Any], gone: bool) -> Ending:
    """Return the outcome of a pod that has failed.

    :param pod: the pod, or its last known state.
    :param gone: whether it has been deleted.
    """
    status = pod.get("status", {})
    said = ": ".join(str(status[key]) for key in ("reason", "message") if status.get(key))
    guilty = culprit(pod)
    if status.get("reason") in _BY_REASON:
        kind, text = _BY_REASON[status["reason"]]
        return Ending(reason=f"{text}: {said}", kind=kind, container=guilty)
    target = condition(pod, "DisruptionTarget") or {}
    if target.get("status") == "True":
        return _disrupted(target, guilty)
    if ended_by_deletion(pod) or (gone and status.get("phase") != "Failed"):
        return Ending(reason="deleted by another client", kind="deleted", container=guilty)
    return _failed(pod, guilty) if guilty else Ending(reason=said or "of unknown cause")


def _disrupted(target: Mapping[str, Any], guilty: Container | None) -> Ending:
    kind, text = _DISRUPTIONS.get(str(target.get("reason")), ("evicted", "evicted"))
    more = target.get("message")
    return Ending(reason=f"{text}{f' ({more})' if more else ''}", kind=kind, container=guilty)


def _failed(pod: Mapping[str, Any], guilty: Container) -> Ending:
    alone = len(containers_of(pod)) == 1
    which = "" if alone else f" of container {guilty.name!r}"
    more = f": {guilty.message}" if guilty.message else ""
    if guilty.reason == "OOMKilled":
        limit = f", its limit is {guilty.memory}" if guilty.memory else ""
        return Ending(
            reason=f"out of memory{limit} (exit status {guilty.code}{which})",
            kind="oom_killed",
            container=guilty,
        )
    name = signal_name(guilty.code or 0)
    told = f"killed by {name} (exit status {guilty.code}{which})" if name else None
    reason = told or f"exit status {guilty.code}{which}"
    if guilty.reason not in (None, "Error", "Completed"):
        reason += f", {guilty.reason}"
    return Ending(reason=reason + more, container=guilty)


def ended_by_deletion(pod: Mapping[str, Any]) -> bool:
    """Return whether the pod was deleted before its last container had ended."""
    asked, finish = deletion_asked_at(pod), last_finish(pod)
    # Both are whole seconds; in doubt it was deleted first, so that cut-off work never succeeds.
    return asked is not None and (finish is None or finish + timedelta(seconds=1) > asked)
