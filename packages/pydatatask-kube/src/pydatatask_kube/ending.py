"""How a pod has ended, told from what the API server says about it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydatatask_core.utils import signal_name

from .names import FATE
from .state import (
    Container,
    condition,
    containers_of,
    created_at,
    culprit,
    deleted_at,
    deletion_asked_at,
    last_finish,
    parse_time,
    will_never_run,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DISCARDED", "KILLED", "Ending", "Limits", "Verdict", "judge", "killed", "lost"]


KILLED = "killed"
DISCARDED = "discarded"

IMAGE_PATIENCE = 300.0
"""Seconds for which a container that cannot be started gets further tries of the kubelet, if
``pending_timeout`` does not say less; that long is the kubelet's longest pause between two."""

LOST_AFTER = 30.0
"""Seconds by which a pod that was deleted may outstay its grace period before its node is taken
for lost."""

_HOPELESS = frozenset({"InvalidImageName", "ErrImageNeverPull"})
_IMAGE = _HOPELESS | {
    "ErrImagePull",
    "ImagePullBackOff",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
}
_START = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})

# Why a pod is a "DisruptionTarget", by the reason of that condition.
_DISRUPTIONS = {
    "DeletionByPodGC": ("lost", "lost: its node is gone"),
    "DeletionByTaintManager": ("evicted", "evicted: its node got a taint that it does not bear"),
    "EvictionByEvictionAPI": ("evicted", "evicted: its node was drained"),
    "PreemptionByScheduler": ("evicted", "evicted: a pod of higher priority needed its place"),
    "TerminationByKubelet": ("evicted", "evicted by its node"),
}


# Why a pod failed, by the reason of its status, where that tells all.
_BY_REASON = {
    "DeadlineExceeded": ("timed_out", "timed out"),
    "Evicted": ("evicted", "evicted by its node"),
    "NodeLost": ("lost", "lost"),
    "NodeShutdown": ("evicted", "evicted"),
    "Shutdown": ("evicted", "evicted"),
}


@dataclass(frozen=True)
class Limits:
    """How long things may take, in seconds; None is for ever."""

    pending: float | None = None
    """From the creation of a pod until its containers run."""
    timeout: float | None = None
    """From when its node took it on."""


@dataclass(frozen=True)
class Ending:
    """How a pod has ended, or why it is to be ended.

    :param success: whether it did what it was to do.
    :param reason: what happened, if not.
    :param kind: the kind of failure, which the record then has as a flag.
    :param container: the container that is to blame, if one is.
    :param stays: whether it is still there and has to be stopped.
    """

    success: bool = False
    reason: str = ""
    kind: str | None = None
    container: Container | None = None
    stays: bool = False

    @property
    def may_be_retried(self) -> bool:
        """Whether another attempt is for us to make; what is lost may run on, unseen."""
        return not self.success and self.kind not in ("lost", KILLED, DISCARDED)


@dataclass(frozen=True)
class Verdict:
    """What there is to be said about a pod now.

    :param ending: how it has ended; None if it goes on.
    :param again: after how many seconds to ask again, though nothing may have happened by then.
    """

    ending: Ending | None = None
    again: float | None = None


def judge(pod: Mapping[str, Any], gone: bool, now: datetime, limits: Limits) -> Verdict:
    """Tell whether and how a pod has ended.

    :param pod: the pod, or its last known state.
    :param gone: whether it is no more.
    :param now: the time.
    :param limits: how long it may take.
    """
    phase = pod.get("status", {}).get("phase")
    fate = (pod["metadata"].get("annotations") or {}).get(FATE)
    gone = gone or will_never_run(pod)
    if fate == DISCARDED and (gone or phase in ("Succeeded", "Failed")):
        return Verdict(Ending(reason="deleted from live", kind=DISCARDED))
    if phase == "Succeeded" and not _ended_by_deletion(pod):
        return Verdict(Ending(success=True))
    if phase in ("Succeeded", "Failed") or gone:
        return Verdict(killed() if fate == KILLED else _failure(pod, gone))
    if pod["metadata"].get("deletionTimestamp"):
        return _being_deleted(pod, now)
    if phase == "Running":
        return _running(pod, now, limits.timeout)
    return _pending(pod, now, limits.pending)


def killed(stays: bool = False) -> Ending:
    """Give the ending of a pod that was ended by request.

    :param stays: whether it is still there.
    """
    return Ending(reason="killed on request", kind=KILLED, stays=stays)


def lost(why: str, stays: bool = False) -> Ending:
    """Give the ending of a pod of which nobody knows what became of it.

    :param why: what is known.
    :param stays: whether it is still there.
    """
    return Ending(reason=f"lost: {why}", kind="lost", stays=stays)


# -- pods that are not over ----------------------------------------------------------------------


def _being_deleted(pod: Mapping[str, Any], now: datetime) -> Verdict:
    due = deleted_at(pod)
    if due is None:
        return Verdict()
    left = (due - now).total_seconds() + LOST_AFTER
    if left > 0:
        return Verdict(again=left)
    node = pod.get("spec", {}).get("nodeName")
    return Verdict(lost(f"node {node!r} does not end it, and may be running it still", stays=True))


def _running(pod: Mapping[str, Any], now: datetime, timeout: float | None) -> Verdict:
    start = parse_time(pod["status"].get("startTime"))
    if timeout is None or start is None:
        return Verdict()
    left = timeout - (now - start).total_seconds()
    if left > 0:
        return Verdict(again=left)
    return Verdict(Ending(reason=f"timed out after {timeout:g} s", kind="timed_out", stays=True))


def _pending(pod: Mapping[str, Any], now: datetime, limit: float | None) -> Verdict:
    age = (now - created_at(pod, now)).total_seconds()
    stuck = next((c for c in containers_of(pod) if c.waits_for in _IMAGE | _START), None)
    if stuck is not None:
        # It is tried only since a node took the pod on, however long that took.
        tried_since = parse_time(pod["status"].get("startTime")) or created_at(pod, now)
        left = IMAGE_PATIENCE - (now - tried_since).total_seconds()
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
    what = f"the image {container.image!r} cannot be had" if image else "it cannot be started"
    why = f"{container.waits_for}{f': {container.message}' if container.message else ''}"
    return Ending(
        reason=f"container {container.name!r}: {what}: {why}",
        kind="image_unavailable" if image else "not_started",
        container=container,
        stays=True,
    )


# -- pods that are over --------------------------------------------------------------------------


def _failure(pod: Mapping[str, Any], gone: bool) -> Ending:
    status = pod.get("status", {})
    said = ": ".join(str(status[key]) for key in ("reason", "message") if status.get(key))
    guilty = culprit(pod)
    if status.get("reason") in _BY_REASON:
        kind, text = _BY_REASON[status["reason"]]
        return Ending(reason=f"{text}: {said}", kind=kind, container=guilty)
    target = condition(pod, "DisruptionTarget") or {}
    if target.get("status") == "True":
        return _disrupted(target, guilty)
    if _ended_by_deletion(pod) or (gone and status.get("phase") != "Failed"):
        return Ending(reason="deleted by someone else", kind="deleted", container=guilty)
    return _failed(pod, guilty) if guilty else Ending(reason=said or "nothing says why")


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


def _ended_by_deletion(pod: Mapping[str, Any]) -> bool:
    """Tell whether somebody deleted the pod before its last container had ended."""
    asked, finish = deletion_asked_at(pod), last_finish(pod)
    # In doubt, since both are whole seconds, it was: what is cut short must not count as done.
    return asked is not None and (finish is None or finish + timedelta(seconds=1) > asked)
