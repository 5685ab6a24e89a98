"""How a job of a task of pods ends."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydatatask_kube.ending import DISCARDED
from pydatatask_kube.names import uid_of
from pydatatask_kube.record import describe_ending
from pydatatask_kube.state import is_over

from .logs import publish_logs

if TYPE_CHECKING:
    from pydatatask_kube.ending import Ending
    from pydatatask_kube.task import KubeTask

    from .job import LiveJob
    from .jobs import Jobs

__all__ = ["Ender"]

log = logging.getLogger("pydatatask.task")

AT_ONCE = 16
"""The ends of how many jobs of a task are recorded at once."""

FAREWELL = 30.0
"""Seconds beyond its grace period for which a pod that was deleted is waited for."""

LOOK_AGAIN = 0.5
"""Seconds between two looks at a pod that is not watched."""

_GRACE = 30


class Ender:
    """Records the ends of jobs: logs, ``done``, and then the pod goes.

    Each step may be repeated. While one fails, the pod stays, and it is tried again, less and
    less often.

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
        try:
            if _is_over(live):
                await self.jobs.give_back(live)
            async with self._slots:
                await self._end(live)
        except Exception as e:  # noqa: BLE001 - told of, and tried again
            delay = live.wait(0.5)
            live.not_before = time.monotonic() + delay
            asyncio.get_running_loop().call_later(delay, self.jobs.attend, [live])
            log.error(
                "%s: the end of job %s could not be recorded; its pod is kept and it is tried "
                "again in %.1f s: %s",
                self.task.name,
                live.job,
                delay,
                e,
                extra={"task": self.task.name, "job": live.job},
            )
        finally:
            self.jobs.tried(live)

    async def _end(self, live: LiveJob) -> None:
        ending = live.ending
        assert ending is not None
        if ending.kind == DISCARDED:
            await self._remove(live)
            return await self.jobs.finished(live, None)
        if live.adopted and live.pod is not None and await self.task.has_recorded(live.pod):
            await self._remove(live)
            return await self.jobs.finished(live, None)
        if ending.kind == "timed_out" and ending.stays:
            await self._let_handle(live)
        if ending.may_be_retried:
            delay = self.task.retries.wait_after(live.attempt)
            if delay is not None:
                return await self._try_again(live, ending, delay)
        return await self._settle(live, ending)

    async def _settle(self, live: LiveJob, ending: Ending) -> None:
        task = self.task
        assert live.pod is not None
        record = describe_ending(live.pod, ending, live.attempt, datetime.now(UTC))
        if task.logs is not None:
            if not live.logs_read:  # once only: when this is repeated the pod may be gone
                live.logs_problem = await publish_logs(task, live)
                live.logs_read = True
            if live.logs_problem is not None:
                record["logs_problem"] = live.logs_problem
        await self.record(live, record)
        await self._remove(live)
        await self.jobs.finished(live, record)

    async def record(self, live: LiveJob, record: dict[str, Any]) -> None:
        """Write down how a job has ended.

        :param live: the job.
        :param record: how it has ended.
        """
        task = self.task
        if task.done is not None and task.metadata:
            await task.done.dump(live.job, record)
            task.outcome_view("done").note(live.job, record["success"])
        await task.settled(live.job, record)

    async def _try_again(self, live: LiveJob, ending: Ending, delay: float) -> None:
        log.info(
            "%s: job %s failed and is tried again in %.1f s: %s",
            *(self.task.name, live.job, delay, ending.reason),
            extra={"task": self.task.name, "job": live.job},
        )
        assert live.pod is not None
        live.past = describe_ending(live.pod, ending, live.attempt, datetime.now(UTC))
        await self._remove(live, wait=True)  # its name has to be free
        live.attempt += 1
        self.jobs.wait_again(live, delay)
        self.task.wake()

    async def _remove(self, live: LiveJob, *, wait: bool = False) -> None:
        """Delete the pod, and wait for its end where it may still run."""
        if not live.gone:
            await self.task.podman.remove(live.name, live.uid, live.grace)
            if wait or not _is_over(live):
                await self.wait_until_gone(live)
        await self.jobs.give_back(live)

    async def wait_until_gone(self, live: LiveJob) -> None:
        """Wait until a pod that was deleted is no more, but not for ever.

        :param live: the job.
        """
        assert live.pod is not None
        if live.ending is not None and live.ending.kind == "lost":
            return  # its node does not answer
        grace = live.pod.get("spec", {}).get("terminationGracePeriodSeconds")
        try:
            async with asyncio.timeout(FAREWELL + (_GRACE if grace is None else grace)):
                await self._until_gone(live)
        except TimeoutError:
            log.warning(
                "%s: the pod %s of job %s was deleted and is still there",
                *(self.task.name, live.name, live.job),
                extra={"task": self.task.name, "job": live.job},
            )

    async def _until_gone(self, live: LiveJob) -> None:
        if self.task.drives:  # the watch tells
            await live.vanished.wait()
            return
        while True:
            pod = await self.task.podman.get(live.name)
            if pod is None or uid_of(pod) != live.uid:
                return
            await asyncio.sleep(LOOK_AGAIN)

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


def _is_over(live: LiveJob) -> bool:
    return live.gone or (live.pod is not None and is_over(live.pod))
