"""Going on with the jobs that a driver has left behind, however it ended."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import ForeignRecordError, MalformedValueError
from pydatatask_core.proc_manager.run import State
from pydatatask_core.utils import run_concurrently

from .live import LiveJob, Phase

if TYPE_CHECKING:
    from pydatatask_core.proc_manager.run import Leftover, Report
    from pydatatask_core.task.process import ProcessTask

    from .jobs import Jobs

__all__ = ["adopt"]

log = logging.getLogger("pydatatask.task")

_AT_ONCE = 16


async def adopt(task: ProcessTask, jobs: Jobs) -> None:
    """Compare what ``pids`` says with what is found on the target, and go on from there.

    :param task: whose jobs.
    :param jobs: where to put those that are still to be looked after.
    """
    await jobs.held_output.load()
    recorded = await task.pids.keys()
    found: dict[str, str] = {}
    left: list[Leftover] = []
    for runs in task.runs.parts:
        if runs.is_up:
            folder = task.place("runs", host=runs.host)
            left += await runs.remove_leftovers(folder)
            here = await runs.found(folder) or ()
            found.update({job: runs.host for job in here if task.pids.is_valid_job_id(job)})
    names = iter(sorted(recorded | found.keys()))

    async def look() -> None:
        for job in names:
            leftover = await _adopt(task, jobs, job, job in recorded, found.get(job))
            left.extend([] if leftover is None else [leftover])

    await run_concurrently(look() for _ in range(_AT_ONCE))
    jobs.leftovers.add_found(left)
    if jobs.live:
        log.info("%s: found %d jobs of an earlier driver", task.name, len(jobs.live))


async def _adopt(
    task: ProcessTask, jobs: Jobs, job: str, recorded: bool, host: str | None
) -> Leftover | None:
    """Go on with one job, or discard its directory; return what is left of that."""
    record = await _record(task, job) if recorded else None
    try:
        live = LiveJob(job, task.recorded_run(job, record, host), again=True)
    except ForeignRecordError as e:
        jobs.hold(job, e)
        return None
    live.restore(record)
    try:
        report = await task.runs.report(live.run)
        if report.state is State.RUNNING:
            live.set_age(report.age)
        if recorded:
            # All else is found out again, and tried again if need be, when its end is recorded.
            running = report.state is State.RUNNING
            jobs.take_on(live, Phase.RUNNING if running else Phase.ENDED)
        elif report.state is State.RUNNING:
            await _put_back(task, jobs, live, report)
        elif await jobs.held_output.recover(live, report):
            return await task.runs.remove(live.run)
    except Exception as e:  # noqa: BLE001 - one bad job never stops another
        log.error(
            "%s: could not find out what became of job %s: %s",
            *(task.name, job, e),
            extra={"task": task.name, "job": job},
        )
        if recorded:
            jobs.take_on(live, Phase.ENDED)
    return None


async def _put_back(task: ProcessTask, jobs: Jobs, live: LiveJob, report: Report) -> None:
    log.warning("%s: job %s runs and has no record; it gets one", task.name, live.job)
    if report.started is not None:
        live.start_time = datetime.fromtimestamp(report.started, UTC)
    await task.pids.dump(live.job, live.record())
    jobs.take_on(live, Phase.RUNNING)


async def _record(task: ProcessTask, job: str) -> Any:
    try:
        return await task.pids.info(job)
    except MalformedValueError as e:
        log.warning("%s: %s; the record is made anew", task.name, e)
        return {}
