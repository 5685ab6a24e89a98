"""Recovery of the jobs of an earlier driver, however it ended."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import ForeignRecordError, MalformedValueError
from pydatatask_core.proc_manager.process import ProcessState
from pydatatask_core.utils import run_concurrently

from .job import Phase

if TYPE_CHECKING:
    from pydatatask_core.proc_manager.process import Leftover, ProcessStatus

    from .job import ProcessJob
    from .task import ProcessTask
    from .tracker import ProcessTracker

__all__ = ["adopt", "save_that_it_runs"]

log = logging.getLogger("pydatatask.task")

_MAX_CONCURRENT = 16


async def adopt(task: ProcessTask, tracker: ProcessTracker) -> None:
    """Compare ``pids`` with the directories on the target, and continue the jobs found there.

    :param task: the task.
    :param tracker: receives the jobs that are not finished.
    """
    await tracker.output_archive.load()
    recorded = await task.pids.keys()
    hosts_by_job: dict[str, str] = {}
    leftovers: list[Leftover] = []
    for backend in task.backend.hosts:
        if backend.is_up:
            folder = task.runs.path("runs", host=backend.host)
            leftovers += await backend.remove_leftovers(folder)
            names_on_host = await backend.list_directories(folder) or ()
            hosts_by_job.update(
                {job: backend.host for job in names_on_host if task.pids.is_valid_job_id(job)}
            )
    names = iter(sorted(recorded | hosts_by_job.keys()))

    async def look() -> None:
        for job in names:
            leftover = await _adopt(task, tracker, job, job in recorded, hosts_by_job.get(job))
            leftovers.extend([] if leftover is None else [leftover])

    await run_concurrently(look() for _ in range(_MAX_CONCURRENT))
    tracker.leftovers.add_earlier(leftovers)
    if tracker.jobs:
        log.info("%s: adopted %d jobs of an earlier driver", task.name, len(tracker.jobs))


async def _adopt(
    task: ProcessTask, tracker: ProcessTracker, job: str, recorded: bool, host: str | None
) -> Leftover | None:
    """Continue one job, or remove its directory; return the leftover if that fails."""
    record = await _record(task, job) if recorded else None
    try:
        tracked = tracker.new_job(job)
        tracked.run, tracked.has_record = task.runs.recorded(job, record, host), True
    except ForeignRecordError as e:
        tracker.quarantine(job, e)
        return None
    tracked.restore(record)
    try:
        status = await task.backend.inspect(tracked.run)
        if status.state is ProcessState.RUNNING:
            tracked.set_age(status.age_seconds)
            await save_that_it_runs(task, tracked)
        if recorded:
            # Anything else is inspected again, with retries, when the outcome is recorded.
            running = status.state is ProcessState.RUNNING
            tracker.track(tracked, Phase.RUNNING if running else Phase.EXITED)
        elif status.state is ProcessState.RUNNING:
            await _restore_record(task, tracker, tracked, status)
        elif await tracker.output_archive.recover(tracked, status):
            return await task.backend.remove(tracked.run)
    except Exception as e:  # noqa: BLE001 - one bad job must not stop the others
        log.error(
            "%s: the state of job %s could not be determined: %s",
            *(task.name, job, e),
            extra={"task": task.name, "job": job},
        )
        if recorded:
            tracker.track(tracked, Phase.EXITED)
    return None


async def save_that_it_runs(task: ProcessTask, tracked: ProcessJob) -> None:
    """Update the record of a job that is said to wait for a retry, and whose process is alive.

    Otherwise its end would be taken for that of the previous attempt.

    :param task: the task.
    :param tracked: the job.
    """
    if tracked.retry_at is not None:
        tracked.retry_at = None
        await task.pids.dump(tracked.job, tracked.live_record())


async def _restore_record(
    task: ProcessTask, tracker: ProcessTracker, tracked: ProcessJob, status: ProcessStatus
) -> None:
    log.warning("%s: job %s runs without a record; writing one", task.name, tracked.job)
    if status.start_time is not None:
        tracked.start_time = datetime.fromtimestamp(status.start_time, UTC)
    await task.pids.dump(tracked.job, tracked.live_record())
    tracker.track(tracked, Phase.RUNNING)


async def _record(task: ProcessTask, job: str) -> Any:
    try:
        return await task.pids.info(job)
    except MalformedValueError as e:
        log.warning("%s: %s; the record is written again", task.name, e)
        return {}
