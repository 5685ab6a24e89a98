"""Reading of the state of pods. Without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "Container",
    "can_never_run",
    "condition",
    "containers_of",
    "created_at",
    "deleted_at",
    "deletion_requested_at",
    "failed_container",
    "first_start",
    "is_terminated",
    "last_finish",
    "parse_time",
    "trimmed",
]


@dataclass(frozen=True)
class Container:
    """A container of a pod, which may not have started yet."""

    name: str
    image: str
    init: bool = False
    exit_code: int | None = None
    """The exit status, once it has ended."""
    reason: str | None = None
    """Kubernetes' reason for its end."""
    waiting_reason: str | None = None
    """Kubernetes' reason why it has not started."""
    message: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    restarts: int = 0
    memory: str | None = None
    """The memory limit, as written in the manifest."""

    @property
    def has_started(self) -> bool:
        """True if it has ever run, so that it may have a log."""
        return self.start is not None or self.exit_code is not None or self.restarts > 0


def containers_of(pod: Mapping[str, Any]) -> list[Container]:
    """Return the containers of a pod, the init containers first."""
    spec, status = pod.get("spec", {}), pod.get("status", {})
    return [
        *_containers(spec.get("initContainers"), status.get("initContainerStatuses"), init=True),
        *_containers(spec.get("containers"), status.get("containerStatuses"), init=False),
    ]


def _containers(specs: Any, statuses: Any, *, init: bool) -> Iterator[Container]:
    known = {status.get("name"): status for status in statuses or ()}
    for spec in specs or ():
        yield _container(spec, known.get(spec.get("name")) or {}, init)


def _container(spec: Mapping[str, Any], status: Mapping[str, Any], init: bool) -> Container:
    state = status.get("state") or {}
    terminated, waiting = state.get("terminated") or {}, state.get("waiting") or {}
    running = state.get("running") or {}
    limits = (spec.get("resources") or {}).get("limits") or {}
    return Container(
        name=str(spec.get("name")),
        image=str(spec.get("image") or status.get("image") or ""),
        init=init,
        exit_code=terminated.get("exitCode"),
        reason=terminated.get("reason"),
        waiting_reason=waiting.get("reason"),
        message=terminated.get("message") or waiting.get("message"),
        start=parse_time(terminated.get("startedAt") or running.get("startedAt")),
        end=parse_time(terminated.get("finishedAt")),
        restarts=int(status.get("restartCount") or 0),
        memory=limits.get("memory"),
    )


def failed_container(pod: Mapping[str, Any]) -> Container | None:
    """Return the container that made a pod fail: one out of memory, else the first failure."""
    failed = [c for c in containers_of(pod) if c.exit_code]
    out_of_memory = [c for c in failed if c.reason == "OOMKilled"]
    return min(out_of_memory or failed, key=lambda c: c.end or _NEVER, default=None)


def condition(pod: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    """Return the condition of a pod with the given type, if it has one."""
    for item in pod.get("status", {}).get("conditions") or ():
        if item.get("type") == kind:
            return item  # type: ignore[no-any-return] # it is a mapping
    return None


def is_terminated(pod: Mapping[str, Any]) -> bool:
    """Return whether no container of a pod will run any longer, so that it uses no resources."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed") or can_never_run(pod)


def can_never_run(pod: Mapping[str, Any]) -> bool:
    """Return whether a pod was deleted before it had a node, and only a finalizer keeps it."""
    started = pod.get("spec", {}).get("nodeName") or pod.get("status", {}).get("phase") == "Running"
    return deleted_at(pod) is not None and not started


def created_at(pod: Mapping[str, Any], default: datetime) -> datetime:
    """Return when a pod was created."""
    return parse_time(pod["metadata"].get("creationTimestamp")) or default


def deleted_at(pod: Mapping[str, Any]) -> datetime | None:
    """Return when the grace period of a deleted pod ends."""
    return parse_time(pod["metadata"].get("deletionTimestamp"))


def deletion_requested_at(pod: Mapping[str, Any]) -> datetime | None:
    """Return when the deletion of a pod was requested: its grace period before the deadline."""
    due = deleted_at(pod)
    grace = pod["metadata"].get("deletionGracePeriodSeconds") or 0
    return None if due is None else due - timedelta(seconds=grace)


def first_start(pod: Mapping[str, Any]) -> datetime | None:
    """Return when the first container of a pod started."""
    return min((c.start for c in containers_of(pod) if c.start is not None), default=None)


def last_finish(pod: Mapping[str, Any]) -> datetime | None:
    """Return when the last container of a pod ended."""
    return max((c.end for c in containers_of(pod) if c.end is not None), default=None)


def trimmed(pod: Mapping[str, Any]) -> dict[str, Any]:
    """Return a new pod that contains only the fields needed for tracking.

    A complete pod is about five times as large, and garbage collections over thousands of them
    would block the event loop.
    """
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    result = {"metadata": _pick(pod["metadata"], _METADATA), "spec": _pick(spec, _SPEC)}
    for field in ("initContainers", "containers"):
        if spec.get(field):
            result["spec"][field] = [_pick(c, _CONTAINER) for c in spec[field]]
    result["status"] = _pick(status, _STATUS)
    conditions = [c for c in status.get("conditions") or () if c.get("type") in _CONDITIONS]
    if conditions:
        result["status"]["conditions"] = conditions
    return result


def _pick(mapping: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: mapping[key] for key in keys if key in mapping}


def parse_time(text: object) -> datetime | None:
    """Parse a timestamp of Kubernetes; return None if it is missing or not valid."""
    if not isinstance(text, str):
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


_METADATA = (
    *("name", "namespace", "uid", "resourceVersion", "labels", "annotations"),
    *("creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"),
)
_SPEC = ("nodeName", "terminationGracePeriodSeconds", "overhead", "resources")
_CONTAINER = ("name", "image", "restartPolicy", "resources")
_STATUS = (
    *("phase", "reason", "message", "startTime"),
    *("initContainerStatuses", "containerStatuses"),
)
_CONDITIONS = ("PodScheduled", "DisruptionTarget")

_NEVER = datetime.max.replace(tzinfo=UTC)
