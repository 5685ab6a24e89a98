"""The jobs of a task of pods that this driver looks after."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from pydatatask_core.resource_manager import Resources
from pydatatask_kube.names import ATTEMPT, name_of, uid_of
from pydatatask_kube.state import is_over

if TYPE_CHECKING:
    from pydatatask_kube.ending import Ending

__all__ = ["LiveJob", "Phase"]


class Phase(Enum):
    """How far a job is."""

    LAUNCHING = "launching"
    RUNNING = "running"
    ENDED = "ended"
    """Its pod is over, or is to be, and not all of that is recorded yet."""
    LEAVING = "leaving"
    """All of that is recorded, and its pod was deleted and has to go, or to stop, first."""
    WAITING = "waiting"
    """It is to be launched again."""


@dataclass(slots=True, eq=False)
class LiveJob:
    """A job that is launched, runs, waits for another attempt, or is not recorded yet.

    :param job: the job.
    """

    job: str
    phase: Phase = Phase.LAUNCHING
    pod: dict[str, Any] | None = None
    """The last known state of its pod, once it has one."""
    gone: bool = False
    """Whether that pod is no more."""
    known_since: float = 0.0
    """When (monotonic) it was known to exist."""
    attempt: int = 1
    request: Resources = field(default_factory=lambda: Resources(launches=0))
    counted: bool = False
    """Whether its pod has a share of the quota."""
    adopted: bool = False
    """Whether its pod was found, not made."""
    ending: Ending | None = None
    recording: bool = False
    """Whether its end is being recorded right now."""
    failures: int = 0
    """How often in a row its end could not be recorded."""
    log_failures: int = 0
    logs_read: bool = False
    """Whether what could be had of its pod's logs is written."""
    logs_problem: str | None = None
    """What could not be had of them, and why."""
    not_before: float = 0.0
    """When (monotonic) to try that again."""
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
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when nothing more is to be done about it."""

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

    def wait(self, seconds: float) -> float:
        """Give the delay after one more failure.

        :param seconds: the first delay.
        """
        self.failures += 1
        return float(min(seconds * 2 ** min(self.failures - 1, 16), 60.0))

    def let_go(self) -> None:
        """Stop looking at the clock."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
