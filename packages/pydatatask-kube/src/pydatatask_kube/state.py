"""What a pod's status says, in the shape in which we need it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "Container",
    "condition",
    "containers_of",
    "created_at",
    "culprit",
    "deleted_at",
    "deletion_asked_at",
    "essence",
    "first_start",
    "is_over",
    "last_finish",
    "parse_time",
    "will_never_run",
]


@dataclass(frozen=True)
class Container:
    """A container of a pod, whether it has begun or not."""

    name: str
    image: str
    init: bool = False
    code: int | None = None
    """Its exit status, once it has ended."""
    reason: str | None = None
    """Kubernetes' word for how it has ended."""
    waits_for: str | None = None
    """Kubernetes' word for why it has not begun."""
    message: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    restarts: int = 0
    memory: str | None = None
    """The limit of its memory, as it is written in the manifest."""

    @property
    def has_begun(self) -> bool:
        """Whether it has run at all, so that it may have written something."""
        return self.start is not None or self.code is not None or self.restarts > 0


def containers_of(pod: Mapping[str, Any]) -> list[Container]:
    """Give the containers of a pod, the init containers first."""
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
    ended, waits = state.get("terminated") or {}, state.get("waiting") or {}
    runs = state.get("running") or {}
    limits = (spec.get("resources") or {}).get("limits") or {}
    return Container(
        name=str(spec.get("name")),
        image=str(spec.get("image") or status.get("image") or ""),
        init=init,
        code=ended.get("exitCode"),
        reason=ended.get("reason"),
        waits_for=waits.get("reason"),
        message=ended.get("message") or waits.get("message"),
        start=parse_time(ended.get("startedAt") or runs.get("startedAt")),
        end=parse_time(ended.get("finishedAt")),
        restarts=int(status.get("restartCount") or 0),
        memory=limits.get("memory"),
    )


def culprit(pod: Mapping[str, Any]) -> Container | None:
    """Find the container that made a pod fail: one without memory, else the first to end badly."""
    failed = [c for c in containers_of(pod) if c.code]
    starved = [c for c in failed if c.reason == "OOMKilled"]
    return min(starved or failed, key=lambda c: c.end or _NEVER, default=None)


def condition(pod: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    """Give a condition of a pod by its type, if it has it."""
    for found in pod.get("status", {}).get("conditions") or ():
        if found.get("type") == kind:
            return found  # type: ignore[no-any-return] # it is a mapping
    return None


def is_over(pod: Mapping[str, Any]) -> bool:
    """Tell whether none of a pod's containers will run any more, so that it takes nothing."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed") or will_never_run(pod)


def will_never_run(pod: Mapping[str, Any]) -> bool:
    """Tell whether a pod was deleted before a node took it on, and only a finalizer holds it."""
    begun = pod.get("spec", {}).get("nodeName") or pod.get("status", {}).get("phase") == "Running"
    return deleted_at(pod) is not None and not begun


def created_at(pod: Mapping[str, Any], default: datetime) -> datetime:
    """Tell when a pod was created."""
    return parse_time(pod["metadata"].get("creationTimestamp")) or default


def deleted_at(pod: Mapping[str, Any]) -> datetime | None:
    """Tell when the grace period of a pod that was deleted is over."""
    return parse_time(pod["metadata"].get("deletionTimestamp"))


def deletion_asked_at(pod: Mapping[str, Any]) -> datetime | None:
    """Tell when a pod was deleted, which is as long before as its grace period is."""
    due = deleted_at(pod)
    grace = pod["metadata"].get("deletionGracePeriodSeconds") or 0
    return None if due is None else due - timedelta(seconds=grace)


def first_start(pod: Mapping[str, Any]) -> datetime | None:
    """Tell when the first container of a pod began."""
    return min((c.start for c in containers_of(pod) if c.start is not None), default=None)


def last_finish(pod: Mapping[str, Any]) -> datetime | None:
    """Tell when the last container of a pod ended."""
    return max((c.end for c in containers_of(pod) if c.end is not None), default=None)


def essence(pod: Mapping[str, Any]) -> dict[str, Any]:
    """Give what has to be known of a pod to look after it, as another pod.

    Of a pod as it comes there is some five times as much, and of thousands of them the garbage
    collector alone would stop everything for long.
    """
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    less = {"metadata": _some(pod["metadata"], _METADATA), "spec": _some(spec, _SPEC)}
    for field in ("initContainers", "containers"):
        if spec.get(field):
            less["spec"][field] = [_some(c, _CONTAINER) for c in spec[field]]
    less["status"] = _some(status, _STATUS)
    conditions = [c for c in status.get("conditions") or () if c.get("type") in _CONDITIONS]
    if conditions:
        less["status"]["conditions"] = conditions
    return less


def _some(mapping: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: mapping[key] for key in keys if key in mapping}


def parse_time(text: object) -> datetime | None:
    """Read a time as Kubernetes writes it; None if there is none."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


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
