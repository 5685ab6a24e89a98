"""The recorder of the outcomes of pods."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from pydatatask_core.task.detached.tracker import Phase
from pydatatask_kube.outcome import DISCARDED, without_outputs
from pydatatask_kube.record import describe_ending

from .logs import publish_logs

if TYPE_CHECKING:
    from pydatatask_kube.outcome import Ending
    from pydatatask_kube.task import KubeTask

    from .job import LiveJob
    from .jobs import Jobs

__all__ = ["Ender"]

log = logging.getLogger("pydatatask.task")

AT_ONCE = 16
"""The number of jobs of a task whose outcomes are recorded concurrently."""


class Ender:
    """A recorder of outcomes: it writes the logs, then ``done``, and then deletes the pod.

    Each step can be repeated. While one fails, the pod is kept.

    :param task: the task.
    :param jobs: its jobs.
    """

    def __init__(self, task: KubeTask, jobs: Jobs) -> None:
        self.task = task
        self.jobs = jobs
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def end(self, live: LiveJob) -> None:
        """Record the outcome of a job as far as possible.

        :param live: the job, whose pod has ended or must be stopped.
        """
        if live.is_over:
            await self.jobs.give_back(live)
        ending = live.ending
        assert ending is not None
        async with self._slots:
            settled = await self._is_settled(live, ending)
        if ending.kind == "timed_out" and ending.stays and not settled:
            await self._let_handle(live)
        if ending.success and not settled:
            # Without a slot, because this may take a minute.
            ending = await self._check_outputs(live, ending)
        async with self._slots:
            if not settled:
                await self._settle(live, ending)
            if not live.gone:
                await self.task.podman.remove(live.name, live.uid, live.grace)
        # The slot is released before the pod has terminated, so that other jobs need not wait.
        self.jobs.set_phase(live, Phase.TERMINATING)
        if not live.is_over:
            await self.jobs.leaving.until_over(live)
        await self.jobs.give_back(live)
        if live.retry_in is None:
            await self.jobs.complete(live, live.record)

    async def _is_settled(self, live: LiveJob, ending: Ending) -> bool:
        """Return whether there is nothing to record, all is recorded, or a retry is due.

        A decision that was made stands, even if an output appears later.
        """
        if live.record is not None or live.retry_in is not None or ending.kind == DISCARDED:
            return True
        return live.adopted and live.pod is not None and await self.task.has_recorded(live.pod)

    async def _check_outputs(self, live: LiveJob, ending: Ending) -> Ending:
        """Return the outcome of a job whose pod succeeded, after a check of its outputs."""
        if self.task.checks_outputs_in_pod:
            return ending
        missing = await self.jobs.missing_outputs(live, self.task.log_repositories)
        return without_outputs(missing) if missing else ending

    async def try_again(self, live: LiveJob) -> None:
        """Launch a job again when the name of its pod is free, unless it is killed before that.

        :param live: the job.
        """
        if not live.gone:
            await self.jobs.leaving.until_gone(live)
        if live.retry_in is not None and live.waits_for_name and not live.finished.is_set():
            live.attempt += 1
            self.jobs.schedule_retry(live, live.retry_in)
            self.task.wake()

    async def _settle(self, live: LiveJob, ending: Ending) -> None:
        """Write logs and record, unless the job will be retried."""
        task = self.task
        assert live.pod is not None
        record = describe_ending(live.pod, ending, live.attempt, task.podman.client.clock.now())
        delay = task.retries.wait_after(live.attempt) if ending.may_be_retried else None
        if delay is not None:
            log.info(
                "%s: job %s failed and is retried in %.1f s: %s",
                *(task.name, live.job, delay, ending.reason),
                extra={"task": task.name, "job": live.job},
            )
            live.past, live.retry_in = record, delay
            return
        if task.logs is not None:
            if not live.logs_read:  # once: the pod may be deleted by the time this is repeated
                live.logs_problem = await publish_logs(task, live)
                live.logs_read = True
            if live.logs_problem is not None:
                record["logs_problem"] = live.logs_problem
        await self.record(live, record)
        live.record = record

    async def record(self, live: LiveJob, record: dict[str, Any]) -> None:
        """Record the outcome of a job.

        :param live: the job.
        :param record: the record.
        """
        task = self.task
        if task.done is not None and task.metadata:
            await task.done.dump(live.job, record)
            task.outcome_view("done").record_verdict(live.job, record["success"])
        await task.settled(live.job, record)

    async def _let_handle(self, live: LiveJob) -> None:
        assert live.pod is not None
        try:
            pod = await self.task.podman.get(live.name)
            if pod is not None:
                await self.task.handle_timeout(self.task.podman.typed(pod))
        except Exception:
            log.exception(
                "%s: handle_timeout failed for job %s; the job is stopped anyway",
                *(self.task.name, live.job),
                extra={"task": self.task.name, "job": live.job},
            )
