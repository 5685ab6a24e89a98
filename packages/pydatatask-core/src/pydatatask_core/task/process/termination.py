"""Ending jobs of a process task before they end by themselves."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from pydatatask_core.proc_manager.process import ProcessState

from .job import Phase, ProcessJob

if TYPE_CHECKING:
    from .task import ProcessTask
    from .tracker import ProcessTracker

__all__ = ["GRACE_SECONDS", "terminate", "terminate_foreign"]

log = logging.getLogger("pydatatask.task")

GRACE_SECONDS = 10.0
"""Seconds after which a job that was asked to end is killed."""

_POLL_INTERVAL_SECONDS = 0.05

_RECORD_POLL_INTERVAL_SECONDS = 0.2
"""How long to wait before the record of a job is read again."""


async def terminate(
    task: ProcessTask, tracker: ProcessTracker, tracked: ProcessJob, reason: str, grace: float
) -> None:
    """Ask a job that runs to end, and kill it if it does not.

    :param task: whose job.
    :param tracker: all of them.
    :param tracked: the job.
    :param reason: what its record is to say.
    :param grace: after how many seconds it is killed.
    """
    log.info("%s: job %s is ended: %s", task.name, tracked.job, reason)
    deadline, notified = time.monotonic() + grace, False
    while tracked.phase in (Phase.LAUNCHING, Phase.RUNNING) and not tracked.finished.is_set():
        force = time.monotonic() >= deadline
        if tracked.phase is Phase.RUNNING and (force or not notified):
            # While it is just beginning, nobody is there who could be told.
            notified = await task.backend.terminate(tracked.run, reason, force=force)
        if tracked.unwatch is None:
            await tracker.poll_unwatched([tracked])
        await asyncio.sleep(_POLL_INTERVAL_SECONDS)


async def terminate_foreign(
    task: ProcessTask, tracker: ProcessTracker, job: str, reason: str, grace: float
) -> bool:
    """End a job that another driver looks after, or none.

    The end of a process is recorded by its driver, now or when there is one. The end of a job that
    waits for another attempt is recorded here: a driver launches none whose record is gone.

    :param task: whose job.
    :param tracker: those that this process knows.
    :param job: the job.
    :param reason: what its record is to say.
    :param grace: after how many seconds it is killed.
    :return: whether there was one.
    :raises ForeignRecordError: if its record names anything that does not belong to the job.
    """
    if not await task.pids.contains(job):
        return False
    record = await task.pids.info(job)
    run = task.recorded_run(job, record)
    tracked = ProcessJob(job, run)
    tracked.restore(record)
    if tracked.retry_at is not None:
        await tracker.record_killed(tracked)
        # A driver makes the directory before it looks for the record once more.
        status = await task.backend.inspect(run, fence=False)
        if status.state not in (ProcessState.RUNNING, ProcessState.CREATED):
            return True
    deadline, notified = time.monotonic() + grace, False
    while True:
        force = time.monotonic() >= deadline
        if force or not notified:
            notified = await task.backend.terminate(run, reason, force=force)
        if await task.backend.exited([run]):
            if not notified:
                await _end_retries(task, tracker, tracked, deadline)
            return True
        await asyncio.sleep(_POLL_INTERVAL_SECONDS)


async def _end_retries(
    task: ProcessTask, tracker: ProcessTracker, tracked: ProcessJob, deadline: float
) -> None:
    """Wait for the verdict on a job that ended by itself; if it is to be tried again, end that.

    :param task: whose job.
    :param tracker: those that this process knows.
    :param tracked: the job.
    :param deadline: the time (monotonic) until which to wait.
    """
    while await task.pids.contains(tracked.job):
        tracked.restore(await task.pids.info(tracked.job))
        if tracked.retry_at is not None:
            return await tracker.record_killed(tracked)
        if time.monotonic() >= deadline:
            return log.warning(
                "%s: job %s has ended by itself and no driver has recorded that yet; if it has "
                "failed and has attempts left, it is tried again unless it is killed then",
                *(task.name, tracked.job),
                extra={"task": task.name, "job": tracked.job},
            )
        await asyncio.sleep(_RECORD_POLL_INTERVAL_SECONDS)
    return None
