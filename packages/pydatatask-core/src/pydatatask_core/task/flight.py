"""Jobs in flight: what runs elsewhere and outlives the driver, looked after until it is recorded.

A task of such jobs finds those that an earlier driver left, is told when one ends, records that
beside everything else, and tries again what it could not record or what is to be retried.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine, Mapping

    from pydatatask_core.repository.base import Repository

    from .base import Task

__all__ = ["LONGEST_WAIT", "JobInFlight", "JobsInFlight", "Phase"]

log = logging.getLogger("pydatatask.task")

_FIRST_WAIT = 0.5
LONGEST_WAIT = 60.0
"""Seconds after which what failed is tried again at the latest, if no policy says otherwise."""


class Phase(Enum):
    """How far a job is."""

    LAUNCHING = "launching"
    RUNNING = "running"
    ENDED = "ended"
    """It is over, or is to be, and not all of that is recorded yet."""
    LEAVING = "leaving"
    """All of that is recorded, and what ran it has to go first."""
    WAITING = "waiting"
    """It is to be launched again."""


@dataclass(slots=True, eq=False)
class JobInFlight:
    """A job that is launched, runs, waits for another attempt, or is not recorded yet.

    :param job: the job.
    """

    job: str
    phase: Phase = field(default=Phase.LAUNCHING, kw_only=True)
    counted: bool = field(default=False, kw_only=True)
    """Whether it has a share of the quota."""
    recording: bool = field(default=False, kw_only=True)
    """Whether its end is being recorded right now."""
    failures: int = field(default=0, kw_only=True)
    """How often in a row its end could not be recorded, or it could not be started."""
    not_before: float = field(default=0.0, kw_only=True)
    """When (monotonic) to try that again."""
    over: asyncio.Event = field(default_factory=asyncio.Event, kw_only=True)
    """Set when nothing more is to be done about it."""

    def wait(self, seconds: float) -> float:
        """Give the delay after one more failure.

        :param seconds: the first delay.
        """
        self.failures += 1
        return float(min(seconds * 2 ** min(self.failures - 1, 16), LONGEST_WAIT))

    def let_go(self) -> None:
        """Stop being told of its end, and looking at the clock."""

    def finish(self) -> None:
        """Note that nothing more is to be done about it."""
        self.let_go()
        self.over.set()


J = TypeVar("J", bound=JobInFlight)


class JobsInFlight(ABC, Generic[J]):
    """All jobs of a task that are in flight, for as long as one pipeline is open.

    :param task: whose jobs.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.live: dict[str, J] = {}
        self._ended = 0
        self._own: set[asyncio.Task[None]] = set()
        self._trying = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def unrecorded(self) -> int:
        """How many jobs have ended and could not be recorded yet.

        Those whose outputs are still being looked for do not count.
        """
        return self._ended - len(self.task.output_check.checking)

    @abstractmethod
    async def record_end(self, live: J) -> None:
        """Record the end of a job as far as possible; if this raises it is tried again.

        :param live: the job, which has ended.
        """

    def close(self) -> None:
        """Stop looking after the jobs. What runs goes on, and is found again."""
        for task in self._own:
            task.cancel()
        for live in self.live.values():
            live.finish()
        self.live.clear()

    def spawn(self, coroutine: Coroutine[Any, Any, None], live: J) -> None:
        """Do something for a job beside everything else.

        :param coroutine: what to do; it handles its own failures.
        :param live: the job.
        """
        name = f"pydatatask {self.task.name} {live.job}"
        if self.task.runtime is not None:
            return self.task.runtime.spawn(coroutine, name)
        task = asyncio.create_task(coroutine, name=name)
        self._own.add(task)
        task.add_done_callback(self._own.discard)

    # -- phases ----------------------------------------------------------------------------------

    def enter(self, live: J, phase: Phase) -> None:
        """Have a job in a phase, unless it is done with.

        :param live: the job.
        :param phase: the phase.
        """
        if not live.over.is_set():
            self._ended += (phase is Phase.ENDED) - (live.phase is Phase.ENDED)
            live.phase = phase

    def wait_again(self, live: J, delay: float) -> None:
        """Have a job launched again.

        :param live: the job, of which nothing runs any more.
        :param delay: after how many seconds.
        """
        live.not_before = time.monotonic() + delay
        self.enter(live, Phase.WAITING)
        if not self.task.synchronous:  # there, whoever launched it waits for it
            self.task.retry_later(live.job, delay)

    async def finished(self, live: J, record: Mapping[str, Any] | None) -> None:
        """Forget a job.

        :param live: the job, of which everything is recorded.
        :param record: how it ended; None if that is nobody's business.
        """
        self.drop(live)
        if record is not None and not record["success"] and self.task.runtime is not None:
            await self.task.runtime.failed(self.task, live.job, record)
        self.task.wake()

    def drop(self, live: J) -> None:
        """Look after a job no longer.

        :param live: the job.
        """
        if live.over.is_set():
            return  # it was deleted while its end was being recorded, or the other way round
        live.finish()
        self._ended -= live.phase is Phase.ENDED
        if self.live.get(live.job) is live:
            del self.live[live.job]

    # -- recording -------------------------------------------------------------------------------

    def attend(self, jobs: Collection[J]) -> None:
        """Record the ends of those jobs that have ended, where it is time to try.

        :param jobs: the jobs to look at.
        """
        now = time.monotonic()
        for live in jobs:
            if live.over.is_set() or live.recording:
                continue  # the caller's list may be older than the end of the job
            if live.phase is Phase.ENDED and now >= live.not_before:
                live.recording = True
                self._begin_try()
                self.spawn(self.try_to_record(live), live)

    async def try_to_record(self, live: J) -> None:
        """Record the end of a job, or have it tried again later, less and less often.

        :param live: the job.
        """
        try:
            await self.record_end(live)
        except Exception as e:  # noqa: BLE001 - told of, and tried again
            if live.phase is Phase.LEAVING:
                self.enter(live, Phase.ENDED)
            delay = live.wait(_FIRST_WAIT)
            live.not_before = time.monotonic() + delay
            asyncio.get_running_loop().call_later(delay, self.attend, [live])
            log.error(
                "%s: the end of job %s could not be recorded; what it left is kept and it is "
                "tried again in %.1f s: %s",
                *(self.task.name, live.job, delay, e),
                extra={"task": self.task.name, "job": live.job},
            )
        finally:
            live.recording = False
            self._end_try()

    def _begin_try(self) -> None:
        self._trying += 1
        self._quiet.clear()

    def _end_try(self) -> None:
        self._trying -= 1
        if not self._trying:
            self._quiet.set()

    async def missing_outputs(self, live: J, written: Collection[Repository]) -> list[str]:
        """Return the names of the required outputs that a job lacks that ended well.

        While they are looked for again, other jobs go on, and nothing waits for this one.

        :param live: the job.
        :param written: the repositories that the task itself writes.
        :raises Exception: if a store could not be read.
        """
        check = self.task.output_check
        required = self.task.required_outputs
        outputs = {
            name: repo for name, repo in required.items() if not any(repo is own for own in written)
        }
        missing = await check.missing(live.job, outputs) if outputs else {}
        if missing:
            self._end_try()
            try:
                missing = await check.still_missing(live.job, missing)
            finally:
                self._begin_try()
        return list(missing)

    async def settle(self) -> None:
        """Wait until all that can be recorded now is."""
        await self._quiet.wait()
