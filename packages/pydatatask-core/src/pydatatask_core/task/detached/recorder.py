"""The recording of outcomes of jobs that outlive the driver."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydatatask_core.task.required_outputs import missing_outputs_record

from .tracker import JobTracker, TrackedJob

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from .task import DetachedTask

__all__ = [
    "FINAL_FLAGS",
    "KILLED",
    "MAX_CONCURRENT_RECORDS",
    "Outcome",
    "OutcomeRecorder",
    "time_fields",
]

log = logging.getLogger("pydatatask.task")

MAX_CONCURRENT_RECORDS = 16
"""The maximum number of outcomes of a task recorded concurrently."""

KILLED = "killed on request"
"""The reason in the record of a job that was killed."""

FINAL_FLAGS = frozenset({"lost", "killed"})
"""The flags of failures that are not retried: a lost job may still be running."""


@dataclass(slots=True)
class Outcome:
    """The outcome of one attempt of a job.

    :param record: its ``done`` record.
    :param is_final: whether a failure is final, regardless of the policy of retries.
    """

    record: dict[str, Any]
    is_final: bool = False


J = TypeVar("J", bound=TrackedJob)
O = TypeVar("O", bound=Outcome)  # noqa: E741 - the outcome of J


class OutcomeRecorder(ABC, Generic[J, O]):
    """Records outcomes: the outputs, then ``done``, then deletes the remains of the job.

    Each step may be repeated. As long as one fails, the process's directory or the pod stays.

    :param task: the task.
    :param tracker: its jobs.
    """

    def __init__(self, task: DetachedTask[J], tracker: JobTracker[J]) -> None:
        self._task = task
        self._tracker = tracker
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_RECORDS)

    # -- differences between kinds of jobs -------------------------------------------------------

    @abstractmethod
    async def find_outcome(self, tracked: J) -> O | None:
        """Return the outcome of a job; None if there is none, because the job goes on.

        :param tracked: the job, which may have ended.
        """

    async def missing_outputs(self, tracked: J) -> Collection[str]:
        """Return the names of the required outputs that a successful job has not written.

        :param tracked: the job.
        """
        return await self._tracker.missing_outputs(tracked, self._task.log_repositories)

    @abstractmethod
    async def reschedule(self, tracked: J, outcome: O, delay: float) -> bool:
        """Save that a failed job is launched again.

        :param tracked: the job.
        :param outcome: the failure.
        :param delay: the delay in seconds.
        :return: False if it cannot be launched again.
        """

    @abstractmethod
    async def write_outputs(self, tracked: J, outcome: O) -> None:
        """Write the output streams of a job to their repositories, before its record.

        :param tracked: the job.
        :param outcome: its final outcome; the record may be amended.
        """

    @abstractmethod
    async def delete_remains(self, tracked: J) -> None:
        """Delete the record of the live job, if it has one, and the process's directory or the pod.

        :param tracked: the job, whose outcome is recorded or is not to be recorded.
        """

    async def finish(self, tracked: J) -> None:
        """Stop tracking a job whose remains are deleted.

        :param tracked: the job.
        """
        await self._tracker.complete(tracked, tracked.record)

    # -- the common order ------------------------------------------------------------------------

    async def record(self, tracked: J) -> None:
        """Record the outcome of a job as far as possible, or find that it has not ended.

        :param tracked: the job, which may have ended.
        """
        if tracked.has_stopped:
            await self._tracker.release_quota(tracked)  # first, so that the next job is launched
        outcome: O | None = None
        if not tracked.decided:
            async with self._slots:
                outcome = await self.find_outcome(tracked)
            if outcome is None:
                return
            if outcome.record["success"]:
                # Outside of the slots, because this may take a minute.
                missing = await self.missing_outputs(tracked)
                if missing:
                    outcome.record |= missing_outputs_record(missing)
        async with self._slots:
            if outcome is not None:
                await self._decide(tracked, outcome)
            if tracked.decided:
                await self.delete_remains(tracked)
        if tracked.decided:
            await self.finish(tracked)

    async def check_success(self, tracked: J, outcome: O) -> None:
        """Change the outcome of a successful job whose outputs must not be published.

        :param tracked: the job.
        :param outcome: its outcome.
        """

    async def _decide(self, tracked: J, outcome: O) -> None:
        """Schedule a retry, or write the outputs and the record."""
        task, record = self._task, outcome.record
        if record["success"]:
            await self.check_success(tracked, outcome)
        is_final = outcome.is_final or tracked.is_final_attempt or tracked.cancelled
        if not (record["success"] or is_final or record.keys() & FINAL_FLAGS):
            delay = task.retries.wait_after(tracked.attempt)
            if delay is not None:
                log.info(
                    "%s: job %s failed and is retried in %.1f s: %s",
                    *(task.name, tracked.job, delay, record["reason"]),
                    extra={"task": task.name, "job": tracked.job},
                )
                if await self.reschedule(tracked, outcome, delay):
                    return
        await self.write_outputs(tracked, outcome)
        await self.write_record(tracked, record)
        tracked.record, tracked.decided = record, True

    async def write_record(self, tracked: J, record: dict[str, Any]) -> None:
        """Write a ``done`` record.

        :param tracked: the job.
        :param record: the record.
        """
        task = self._task
        if task.done is not None and task.metadata:
            await task.done.dump(tracked.job, record)
            task.outcome_view("done").record_verdict(tracked.job, record["success"])
        await task.settled(tracked.job, record)


def time_fields(start: datetime, end: datetime) -> dict[str, Any]:
    """Return the times for a record, in which a job never ends before it starts.

    :param start: the time of the start.
    :param end: the time of the end, possibly by another clock.
    """
    end = max(start, end)
    seconds = round((end - start).total_seconds(), 6)
    return {"start_time": start, "end_time": end, "duration": seconds}
