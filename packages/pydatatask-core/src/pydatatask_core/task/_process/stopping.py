"""Ending jobs of a process task before they end by themselves."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from pydatatask_core.proc_manager.run import State

from .live import LiveJob, Phase

if TYPE_CHECKING:
    from pydatatask_core.task.process import ProcessTask

    from .jobs import Jobs

__all__ = ["GRACE", "stop", "stop_foreign"]

log = logging.getLogger("pydatatask.task")

GRACE = 10.0
"""Seconds after which a job that was asked to end is killed."""

_LOOK_AGAIN = 0.05

_PAUSE_SECONDS = 0.2
"""How long to wait before the record of a job is read again."""


async def stop(task: ProcessTask, jobs: Jobs, live: LiveJob, reason: str, grace: float) -> None:
    """Ask a job that runs to end, and kill it if it does not.

    :param task: whose job.
    :param jobs: all of them.
    :param live: the job.
    :param reason: what its record is to say.
    :param grace: after how many seconds it is killed.
    """
    log.info("%s: job %s is ended: %s", task.name, live.job, reason)
    deadline, told = time.monotonic() + grace, False
    while live.phase in (Phase.LAUNCHING, Phase.RUNNING) and not live.over.is_set():
        force = time.monotonic() >= deadline
        if live.phase is Phase.RUNNING and (force or not told):
            # While it is just beginning, nobody is there who could be told.
            told = await task.runs.stop(live.run, reason, force=force)
        if live.unwatch is None:
            await jobs.look_after([live])
        await asyncio.sleep(_LOOK_AGAIN)


async def stop_foreign(task: ProcessTask, jobs: Jobs, job: str, reason: str, grace: float) -> bool:
    """End a job that another driver looks after, or none.

    The end of a process is recorded by its driver, now or when there is one. The end of a job that
    waits for another attempt is recorded here: a driver launches none whose record is gone.

    :param task: whose job.
    :param jobs: those that this process knows.
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
    live = LiveJob(job, run)
    live.restore(record)
    if live.waiting_for is not None:
        await jobs.record_killed(live)
        # A driver makes the directory before it looks for the record once more.
        report = await task.runs.report(run, claim=False)
        if report.state not in (State.RUNNING, State.PREPARED):
            return True
    deadline, told = time.monotonic() + grace, False
    while True:
        force = time.monotonic() >= deadline
        if force or not told:
            told = await task.runs.stop(run, reason, force=force)
        if await task.runs.poll([run]):
            if not told:
                await _end_retries(task, jobs, live, deadline)
            return True
        await asyncio.sleep(_LOOK_AGAIN)


async def _end_retries(task: ProcessTask, jobs: Jobs, live: LiveJob, deadline: float) -> None:
    """Wait for the verdict on a job that ended by itself; if it is to be tried again, end that.

    :param task: whose job.
    :param jobs: those that this process knows.
    :param live: the job.
    :param deadline: the time (monotonic) until which to wait.
    """
    while await task.pids.contains(live.job):
        live.restore(await task.pids.info(live.job))
        if live.waiting_for is not None:
            return await jobs.record_killed(live)
        if time.monotonic() >= deadline:
            return log.warning(
                "%s: job %s has ended by itself and no driver has recorded that yet; if it has "
                "failed and has attempts left, it is tried again unless it is killed then",
                *(task.name, live.job),
                extra={"task": task.name, "job": live.job},
            )
        await asyncio.sleep(_PAUSE_SECONDS)
    return None
