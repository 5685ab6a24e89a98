"""The jobs of a task of pods that this driver tracks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydatatask_core.task.detached.tracker import Phase, TrackedJob
from pydatatask_kube.cluster.pod_state import is_terminated
from pydatatask_kube.pod_names import ATTEMPT_ANNOTATION, name_of, uid_of

if TYPE_CHECKING:
    from pydatatask_kube.outcome.pod_outcome import PodOutcome

__all__ = ["Phase", "PodJob"]


@dataclass(slots=True, eq=False)
class PodJob(TrackedJob):
    """A tracked job of a task of pods.

    :param job: the job.
    """

    pod: dict[str, Any] | None = None
    """The last known state of its pod; None before the pod is created."""
    name: str = ""
    """The name of that pod."""
    uid: str = ""
    """The uid of that pod."""
    gone: bool = False
    """Whether that pod has been deleted."""
    known_since: float = 0.0
    """The monotonic time at which the pod was known to exist."""
    adopted: bool = False
    """Whether its pod was found instead of created."""
    outcome: PodOutcome | None = None
    log_failures: int = 0
    logs_saved: bool = False
    """Whether the available part of its pod's logs is written."""
    logs_problem: str | None = None
    """The logs that could not be read, and the reason."""
    grace: int | None = None
    """The grace period in seconds for deleting its pod; by default that of the pod."""
    retry_delay: float | None = None
    """Seconds between the deletion of its pod and the next attempt; None without a retry."""
    failed_record: dict[str, Any] | None = None
    """The record of the failed attempt, while it waits for a retry."""
    timer: asyncio.TimerHandle | None = None
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when no container of its pod runs any longer."""
    deleted: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when its pod has been deleted."""

    @property
    def maybe_started(self) -> bool:
        return self.pod is not None and not self.gone

    @property
    def is_retry(self) -> bool:
        return self.attempt > 1

    @property
    def awaits_retry(self) -> bool:
        return self.phase is Phase.WAITING or self.waits_for_name

    def cancel(self) -> None:
        TrackedJob.cancel(self)  # super() refers to the class before @dataclass added slots
        self.retry_delay = None

    @property
    def waits_for_name(self) -> bool:
        """True if a retry waits until the name of its terminating pod is free."""
        return self.phase is Phase.TERMINATING and self.retry_delay is not None

    def update_pod(self, pod: dict[str, Any], gone: bool) -> None:
        """Set the state of its pod.

        :param pod: the pod, or its last known state.
        :param gone: whether it has been deleted.
        """
        uid = uid_of(pod)
        if self.pod is not None and self.uid != uid:
            self.deleted.clear()  # this was set by an earlier pod of the same name
            self.stopped.clear()
        self.pod, self.name, self.uid = pod, name_of(pod), uid
        attempt = str((pod["metadata"].get("annotations") or {}).get(ATTEMPT_ANNOTATION) or "")
        if attempt.isdecimal():
            self.attempt = max(1, int(attempt))
        self.gone = gone
        self.has_stopped = gone or is_terminated(pod)
        if gone:
            self.deleted.set()
        if self.has_stopped:
            self.stopped.set()

    def reset(self) -> None:
        """Reset all state of an attempt, whose pod has been deleted."""
        self.pod, self.gone, self.adopted, self.has_stopped = None, False, False, True
        self.outcome = self.record = self.retry_delay = None
        self.decided = False
        self.deleted.clear()
        self.stopped.clear()
        self.failures = self.log_failures = 0
        self.logs_saved, self.logs_problem = False, None

    def stop_watching(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
