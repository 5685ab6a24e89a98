"""How a job of a task of pods ends."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from pydatatask_core.task.flight import Phase
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
"""The ends of how many jobs of a task are recorded at once."""


class Ender:
    """Records the ends of jobs: logs, ``done``, and then the pod goes.

    Each step may be repeated. While one fails, the pod stays.

    :param task: whose jobs.
    :param jobs: the jobs.
    """

    def __init__(self, task: KubeTask, jobs: Jobs) -> None:
        self.task = task
        self.jobs = jobs
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def end(self, live: LiveJob) -> None:
        """Record the end of a job as far as possible.

        :param live: the job, whose pod is over or to be ended.
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
            # Outside of the slots, because this may take a minute.
            ending = await self._check_outputs(live, ending)
        async with self._slots:
            if not settled:
                await self._settle(live, ending)
            if not live.gone:
                await self.task.podman.remove(live.name, live.uid, live.grace)
        # Nobody else has to wait for what a pod takes to go.
        self.jobs.enter(live, Phase.LEAVING)
        if not live.is_over:
            await self.jobs.leaving.until_over(live)
        await self.jobs.give_back(live)
        if live.retry_in is None:
            await self.jobs.finished(live, live.record)

    async def _is_settled(self, live: LiveJob, ending: Ending) -> bool:
        """Return whether nothing is to be recorded, or all of that is, or another attempt is due.

        What was decided once stands, also if an output appears after that.
        """
        if live.record is not None or live.retry_in is not None or ending.kind == DISCARDED:
            return True
        return live.adopted and live.pod is not None and await self.task.has_recorded(live.pod)

    async def _check_outputs(self, live: LiveJob, ending: Ending) -> Ending:
        """Return how a job ended whose pod ended well: its required outputs have to be there."""
        if self.task.checks_outputs_in_pod:
            return ending
        missing = await self.jobs.missing_outputs(live, self.task.written)
        return without_outputs(missing) if missing else ending

    async def try_again(self, live: LiveJob) -> None:
        """Have a job launched again once the name of its pod is free, if it is not killed first.

        :param live: the job.
        """
        if not live.gone:
            await self.jobs.leaving.until_gone(live)
        if live.retry_in is not None and live.waits_for_name and not live.over.is_set():
            live.attempt += 1
            self.jobs.wait_again(live, live.retry_in)
            self.task.wake()

    async def _settle(self, live: LiveJob, ending: Ending) -> None:
        """Write what is to be written, unless the job is to be tried again."""
        task = self.task
        assert live.pod is not None
        record = describe_ending(live.pod, ending, live.attempt, task.podman.client.clock.now())
        delay = task.retries.wait_after(live.attempt) if ending.may_be_retried else None
        if delay is not None:
            log.info(
                "%s: job %s failed and is tried again in %.1f s: %s",
                *(task.name, live.job, delay, ending.reason),
                extra={"task": task.name, "job": live.job},
            )
            live.past, live.retry_in = record, delay
            return
        if task.logs is not None:
            if not live.logs_read:  # once only: when this is repeated the pod may be gone
                live.logs_problem = await publish_logs(task, live)
                live.logs_read = True
            if live.logs_problem is not None:
                record["logs_problem"] = live.logs_problem
        await self.record(live, record)
        live.record = record

    async def record(self, live: LiveJob, record: dict[str, Any]) -> None:
        """Write down how a job has ended.

        :param live: the job.
        :param record: how it has ended.
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
                "%s: handle_timeout failed for job %s, which is ended all the same",
                *(self.task.name, live.job),
                extra={"task": self.task.name, "job": live.job},
            )
