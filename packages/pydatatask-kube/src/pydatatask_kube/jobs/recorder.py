"""The recorder of the outcomes of pods."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from pydatatask_core.task.detached.tracker import Phase
from pydatatask_kube.outcome.pod_outcome import DISCARDED, without_outputs
from pydatatask_kube.outcome.record import outcome_record

from .logs import publish_logs

if TYPE_CHECKING:
    from pydatatask_kube.outcome.pod_outcome import PodOutcome
    from pydatatask_kube.task import KubeTask

    from .job import PodJob
    from .tracker import PodTracker

__all__ = ["OutcomeRecorder"]

log = logging.getLogger("pydatatask.task")

MAX_CONCURRENT_RECORDS = 16
"""The number of jobs of a task whose outcomes are recorded concurrently."""


class OutcomeRecorder:
    """A recorder of outcomes: it writes the logs, then ``done``, and then deletes the pod.

    Each step can be repeated. While one fails, the pod is kept.

    :param task: the task.
    :param tracker: its jobs.
    """

    def __init__(self, task: KubeTask, tracker: PodTracker) -> None:
        self.task = task
        self.tracker = tracker
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_RECORDS)

    async def record(self, tracked: PodJob) -> None:
        """Record the outcome of a job as far as possible.

        :param tracked: the job, whose pod has ended or must be stopped.
        """
        if tracked.is_terminated:
            await self.tracker.release_quota(tracked)
        outcome = tracked.outcome
        assert outcome is not None
        async with self._slots:
            decided = await self._is_decided(tracked, outcome)
        if outcome.kind == "timed_out" and outcome.still_exists and not decided:
            await self._call_handle_timeout(tracked)
        if outcome.success and not decided:
            # Without a slot, because this may take a minute.
            outcome = await self._check_outputs(tracked, outcome)
        async with self._slots:
            if not decided:
                await self._record_or_retry(tracked, outcome)
            if not tracked.gone:
                await self.task.podman.remove(tracked.name, tracked.uid, tracked.grace)
        # The slot is released before the pod has terminated, so that other jobs need not wait.
        self.tracker.set_phase(tracked, Phase.TERMINATING)
        if not tracked.is_terminated:
            await self.tracker.terminating.wait_terminated(tracked)
        await self.tracker.release_quota(tracked)
        if tracked.retry_delay is None:
            await self.tracker.complete(tracked, tracked.record)

    async def _is_decided(self, tracked: PodJob, outcome: PodOutcome) -> bool:
        """Return whether there is nothing to record, all is recorded, or a retry is due.

        A decision that was made stands, even if an output appears later.
        """
        if (
            tracked.record is not None
            or tracked.retry_delay is not None
            or outcome.kind == DISCARDED
        ):
            return True
        return (
            tracked.adopted and tracked.pod is not None and await self.task.is_recorded(tracked.pod)
        )

    async def _check_outputs(self, tracked: PodJob, outcome: PodOutcome) -> PodOutcome:
        """Return the outcome of a job whose pod succeeded, after a check of its outputs."""
        if self.task.checks_outputs_in_pod:
            return outcome
        missing = await self.tracker.missing_outputs(tracked, self.task.log_repositories)
        return without_outputs(missing) if missing else outcome

    async def retry(self, tracked: PodJob) -> None:
        """Launch a job again when the name of its pod is free, unless it is killed before that.

        :param tracked: the job.
        """
        if not tracked.gone:
            await self.tracker.terminating.wait_deleted(tracked)
        if (
            tracked.retry_delay is not None
            and tracked.waits_for_name
            and not tracked.finished.is_set()
        ):
            tracked.attempt += 1
            self.tracker.schedule_retry(tracked, tracked.retry_delay)
            self.task.wake()

    async def _record_or_retry(self, tracked: PodJob, outcome: PodOutcome) -> None:
        """Write logs and record, unless the job will be retried."""
        task = self.task
        assert tracked.pod is not None
        record = outcome_record(
            tracked.pod, outcome, tracked.attempt, task.podman.client.clock.now()
        )
        delay = task.retries.wait_after(tracked.attempt) if outcome.is_retryable else None
        if delay is not None:
            log.info(
                "%s: job %s failed and is retried in %.1f s: %s",
                *(task.name, tracked.job, delay, outcome.reason),
                extra={"task": task.name, "job": tracked.job},
            )
            tracked.failed_record, tracked.retry_delay = record, delay
            return
        if task.logs is not None:
            if not tracked.logs_saved:  # once: the pod may be deleted by the time this is repeated
                tracked.logs_problem = await publish_logs(task, tracked)
                tracked.logs_saved = True
            if tracked.logs_problem is not None:
                record["logs_problem"] = tracked.logs_problem
        await self.write_record(tracked, record)
        tracked.record = record

    async def write_record(self, tracked: PodJob, record: dict[str, Any]) -> None:
        """Record the outcome of a job.

        :param tracked: the job.
        :param record: the record.
        """
        task = self.task
        if task.done is not None and task.metadata:
            await task.done.dump(tracked.job, record)
            task.outcome_view("done").record_verdict(tracked.job, record["success"])
        await task.settled(tracked.job, record)

    async def _call_handle_timeout(self, tracked: PodJob) -> None:
        assert tracked.pod is not None
        try:
            pod = await self.task.podman.get(tracked.name)
            if pod is not None:
                await self.task.handle_timeout(self.task.podman.typed(pod))
        except Exception:
            log.exception(
                "%s: handle_timeout failed for job %s; the job is stopped anyway",
                *(self.task.name, tracked.job),
                extra={"task": self.task.name, "job": tracked.job},
            )
