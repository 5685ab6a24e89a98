"""Termination of jobs of a process task."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from pydatatask_core.proc_manager.process import ProcessState
from pydatatask_core.task.detached.phase import Phase
from pydatatask_core.task.detached.recorder import KILLED

from .job import ProcessJob

if TYPE_CHECKING:
    from .task import ProcessTask
    from .tracker import ProcessTracker

__all__ = ["GRACE_SECONDS", "terminate", "terminate_foreign"]

log = logging.getLogger("pydatatask.task")

GRACE_SECONDS = 10.0
"""The time after which a terminated job is killed."""

RECORD_TIMEOUT_SECONDS = 10.0
"""The time that a driver has to record the end of a process, besides waiting for its outputs."""

_POLL_INTERVAL_SECONDS = 0.05

_RECORD_POLL_INTERVAL_SECONDS = 0.2
"""The interval at which the record of a job is read."""


async def terminate(
    task: ProcessTask, tracker: ProcessTracker, tracked: ProcessJob, reason: str, grace: float
) -> None:
    """Terminate a running job, and kill it if it does not exit.

    :param task: the task.
    :param tracker: all jobs of the task.
    :param tracked: the job.
    :param reason: the reason to record.
    :param grace: the seconds after which it is killed.
    """
    log.info("%s: terminating job %s: %s", task.name, tracked.job, reason)
    deadline, notified = time.monotonic() + grace, False
    while tracked.phase is Phase.RUNNING and not tracked.finished.is_set():
        force = time.monotonic() >= deadline
        if force or not notified:
            notified = await task.backend.terminate(tracked.run, reason, force=force)
        await tracker.poll_unwatched([tracked])
        await asyncio.sleep(_POLL_INTERVAL_SECONDS)


async def terminate_foreign(
    task: ProcessTask, tracker: ProcessTracker, job: str, grace: float | None
) -> bool:
    """Terminate a job that this process does not drive.

    The outcome of a process is recorded by its driver, now or when one starts. A job that waits for
    a retry is recorded here: a driver does not launch a job whose record was deleted.

    :param task: the task.
    :param tracker: the jobs that this process knows.
    :param job: the job.
    :param grace: the seconds after which it is killed; ten by default.
    :return: whether the job was live.
    :raises ForeignRecordError: if its record names anything that does not belong to the job.
    """
    if not await task.pids.contains(job):
        return False
    record = await task.pids.info(job)
    run = task.runs.recorded(job, record)
    tracked = ProcessJob(job, run)
    tracked.restore(record)
    if tracked.retry_at is not None:
        await tracker.recorder.record_killed(tracked)
        # A driver creates the directory before it checks the record a last time.
        status = await task.backend.inspect(run, fence=False)
        if status.state not in (ProcessState.RUNNING, ProcessState.CREATED):
            return True
    deadline, notified = time.monotonic() + (GRACE_SECONDS if grace is None else grace), False
    while True:
        force = time.monotonic() >= deadline
        if force or not notified:
            notified = await task.backend.terminate(run, KILLED, force=force)
        if await task.backend.exited([run]):
            if not notified:
                await _end_retries(task, tracker, tracked)
            return True
        await asyncio.sleep(_POLL_INTERVAL_SECONDS)


async def _end_retries(task: ProcessTask, tracker: ProcessTracker, tracked: ProcessJob) -> None:
    """Wait for the verdict on a job that ended by itself, and cancel its retry if there is one.

    The verdict takes as long as the outputs of the job may take to appear.

    :param task: the task.
    :param tracker: the jobs that this process knows.
    :param tracked: the job.
    """
    delays = [await repo.visibility_delay() for repo in task.required_outputs.values()]
    deadline = time.monotonic() + RECORD_TIMEOUT_SECONDS + max(delays, default=0.0)
    while await task.pids.contains(tracked.job):
        tracked.restore(await task.pids.info(tracked.job))
        if tracked.retry_at is not None:
            return await tracker.recorder.record_killed(tracked)
        if time.monotonic() >= deadline:
            return log.warning(
                "%s: job %s has ended by itself and no driver has recorded that yet; if it has "
                "failed and has attempts left, it is retried unless it is killed again",
                *(task.name, tracked.job),
                extra={"task": task.name, "job": tracked.job},
            )
        await asyncio.sleep(_RECORD_POLL_INTERVAL_SECONDS)
    return None
