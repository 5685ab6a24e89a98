"""The jobs of a task of pods that this driver looks after."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydatatask_core.resource_manager import Resources
from pydatatask_core.task.flight import JobInFlight, Phase
from pydatatask_kube.names import ATTEMPT, name_of, uid_of
from pydatatask_kube.state import is_over

if TYPE_CHECKING:
    from pydatatask_kube.outcome import Ending

__all__ = ["LiveJob", "Phase"]


@dataclass(slots=True, eq=False)
class LiveJob(JobInFlight):
    """A job of a task of pods that is in flight.

    :param job: the job.
    """

    pod: dict[str, Any] | None = None
    """The last known state of its pod, once it has one."""
    gone: bool = False
    """Whether that pod is no more."""
    known_since: float = 0.0
    """When (monotonic) it was known to exist."""
    attempt: int = 1
    request: Resources = field(default_factory=lambda: Resources(launches=0))
    adopted: bool = False
    """Whether its pod was found, not made."""
    ending: Ending | None = None
    log_failures: int = 0
    logs_read: bool = False
    """Whether what could be had of its pod's logs is written."""
    logs_problem: str | None = None
    """What could not be had of them, and why."""
    grace: int | None = None
    """How many seconds its pod gets to end when it is deleted; what that says by default."""
    record: dict[str, Any] | None = None
    """How it has ended, once that is recorded."""
    retry_in: float | None = None
    """After how many seconds it is to be launched again, once its pod is gone, if it is."""
    past: dict[str, Any] | None = None
    """What there is to be said about the attempt that has failed, while it waits for another."""
    timer: asyncio.TimerHandle | None = None
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when nothing of its pod runs any more."""
    vanished: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when its pod is no more."""
    launched: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while it is not being launched."""

    @property
    def name(self) -> str:
        """The name of its pod, which it has."""
        assert self.pod is not None
        return name_of(self.pod)

    @property
    def uid(self) -> str:
        """The uid of its pod, which it has."""
        assert self.pod is not None
        return uid_of(self.pod)

    @property
    def waits_for_name(self) -> bool:
        """Whether it is to be launched again once its pod is gone, whose name it needs."""
        return self.phase is Phase.LEAVING and self.retry_in is not None

    @property
    def is_over(self) -> bool:
        """Whether nothing of its pod runs any more."""
        return self.gone or (self.pod is not None and is_over(self.pod))

    def see(self, pod: dict[str, Any], gone: bool) -> None:
        """Take note of its pod.

        :param pod: the pod as it is now, or was last.
        :param gone: whether it is no more.
        """
        if self.pod is not None and self.uid != uid_of(pod):
            self.vanished.clear()  # that was another one of its name
            self.stopped.clear()
        self.pod = pod
        said = str((pod["metadata"].get("annotations") or {}).get(ATTEMPT) or "")
        if said.isdecimal():
            self.attempt = max(1, int(said))
        self.gone = gone
        if gone:
            self.vanished.set()
        if self.is_over:
            self.stopped.set()

    def begin_anew(self) -> None:
        """Forget the pod of an attempt, of which nothing is left, and what became of it."""
        self.pod, self.gone, self.adopted = None, False, False
        self.ending = self.record = self.retry_in = None
        self.vanished.clear()
        self.stopped.clear()
        self.failures = self.log_failures = 0
        self.logs_read, self.logs_problem = False, None

    def let_go(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def finish(self) -> None:
        JobInFlight.finish(self)  # a class with slots is another one than super() would take
        self.launched.set()
