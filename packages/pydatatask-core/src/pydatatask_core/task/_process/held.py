"""The output of failed jobs, which is held back on the target instead of being published.

Whatever reads a repository takes what is in there for data, so the output of a failed job goes to a
private directory on the target, ``failed/JOB`` beside the run directories, until the job succeeds,
is retried or deleted, or the output is too old.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.proc_manager.run import TAIL, Run, State
from pydatatask_core.proc_manager.supervisor import STDERR, STDOUT_FILE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Iterable

    from pydatatask_core.proc_manager.run import Report
    from pydatatask_core.task.process import ProcessTask
    from pydatatask_core.utils import AReadStream

    from .live import LiveJob
    from .setting import ProcessSetting

__all__ = ["HeldOutput", "ended_streams", "place_streams", "sweep_held"]

log = logging.getLogger("pydatatask.task")


def place_streams(
    task: ProcessSetting, report: Report, failed: bool
) -> tuple[list[str], list[str]]:
    """Decide which streams of a job that has ended are published, and which are held back.

    A failed job holds back what it would have published, and what its record has no room for.

    :param task: whose job.
    :param report: what is known about the process, with its streams.
    :param failed: the final verdict on the job.
    """
    published = [name for name in report.outputs if task.publishes(name, failed)]
    held = [
        name
        for name, output in report.outputs.items()
        if failed
        and name not in published
        and output.size > (0 if name in task.published else TAIL)
    ]
    return published, held


def held_run(task: ProcessSetting, job: str, host: str) -> Run:
    """Return the run whose directory is that of the held output of a job.

    :param task: the task.
    :param job: the job.
    :param host: the machine.
    """
    return Run(task.place("failed", job, host), host, is_held=True)


class HeldOutput:
    """Keeps track of the held output of one task, for a driver.

    :param task: the task.
    """

    def __init__(self, task: ProcessTask) -> None:
        self._task = task
        self._hosts: dict[str, set[str]] = {}
        """The machines on which each job has held output, as far as that is known."""

    async def load(self) -> None:
        """List the output that earlier drivers held back, and remove what is too old."""
        for runs in self._task.runs.parts:
            if not runs.is_up:
                continue
            try:
                ages = await runs.archived(self._task.place("failed", host=runs.host))
            except ProcessManagerError as e:
                log.warning("%s: held output cannot be listed: %s", self._task.name, e)
                continue
            for job in ages or ():
                self._hosts.setdefault(job, set()).add(runs.host)
            old = [job for job, age in (ages or {}).items() if age > self._task.keep_failed]
            await asyncio.gather(*map(self._release, old))

    async def replace(self, live: LiveJob, names: Collection[str]) -> bool:
        """Hold streams of a job back, in the place of those of an earlier attempt.

        This may be repeated. The run directory keeps its streams.

        :param live: the job, which has ended.
        :param names: the streams; none if nothing is to be held back.
        :return: whether they are held; if not, the run directory is all that has them.
        """
        await self._release(live.job)
        return await self._archive(live, names)

    async def _archive(self, live: LiveJob, names: Collection[str]) -> bool:
        if not names:
            return True
        task = self._task
        place = task.place("failed", live.job, live.run.host)
        extra = {"task": task.name, "job": live.job}
        try:
            await task.runs.archive(live.run, names, place)
        except (ProcessManagerError, FileNotFoundError) as e:
            log.warning(
                "%s: the output of job %s, which failed, stays in %s, and is moved from there when "
                "the pipeline opens again: %s",
                *(task.name, live.job, live.run.directory, e),
                extra=extra,
            )
            return False
        self._hosts.setdefault(live.job, set()).add(live.run.host)
        log.log(
            logging.WARNING if task.done is None else logging.DEBUG,
            "%s: the output of job %s, which failed, is held in %s",
            *(task.name, live.job, place),
            extra=extra,
        )
        return True

    async def recover(self, live: LiveJob, report: Report) -> bool:
        """Hold back what the run directory has of a job whose end is recorded.

        A driver may have died when it could not hold the output, or had not removed the directory.

        :param live: the job, which has a run directory and no record.
        :param report: what is known about its process.
        :return: whether the run directory can be removed.
        """
        task = self._task
        if report.state is State.NOT_STARTED or not await self._failed(live.job, report):
            return True
        report = await task.runs.report(live.run, task.kept_streams)
        return await self._archive(live, place_streams(task, report, failed=True)[1])

    async def _failed(self, job: str, report: Report) -> bool:
        done = self._task.done
        if done is None:
            return report.return_code != 0
        if not await done.contains(job):
            return False  # it was deleted, to try the job again
        return not await self._task.outcome_view("done").contains(job)

    async def _release(self, job: str) -> None:
        """Remove the held output of a job, if there is any."""
        task = self._task
        for host in list(self._hosts.get(job, ())):
            try:
                await task.runs.unarchive(held_run(task, job, host))
            except ProcessManagerError as e:
                log.warning("%s: held output of job %s is left behind: %s", task.name, job, e)
            else:
                self._hosts[job].discard(host)
        if not self._hosts.get(job):
            self._hosts.pop(job, None)


async def sweep_held(task: ProcessSetting, jobs: Collection[str]) -> None:
    """Remove the held output of jobs, wherever it is, beside a driver or without one.

    :param task: whose jobs.
    :param jobs: the jobs.
    """
    for runs in task.runs.parts:
        if not runs.is_up:
            log.warning("%s: held output stays on %s, which is down", task.name, runs.host)
            continue
        try:
            ages = await runs.archived(task.place("failed", host=runs.host))
            for job in sorted(jobs if ages is None else ages.keys() & jobs):
                await runs.unarchive(held_run(task, job, runs.host))
        except ProcessManagerError as e:
            log.warning("%s: held output is left behind: %s", task.name, e)


async def ended_streams(
    task: ProcessSetting, job: str
) -> AsyncGenerator[tuple[str, AReadStream], None]:
    """Open the streams of a job that has ended, wherever they are.

    :param task: whose job.
    :param job: the job.
    """
    hosts = [runs.host for runs in task.runs.parts]
    if task.done is None:
        failed = not any([await repo.contains(job) for repo in task.written])
    else:
        known = await task.done.contains(job)
        failed = known and not await task.outcome_view("done").contains(job)
        record = await task.done.info(job) if failed else None
        if isinstance(record, dict) and isinstance(record.get("host"), str):
            hosts = [record["host"]]
    for name in (STDOUT_FILE, STDERR):
        stream: AReadStream | None = None
        if task.publishes(name, failed):
            repo = task.published[name]
            stream = await repo.open(job, "rb") if await repo.contains(job) else None
        elif failed and name in task.kept_streams:
            stream = await _open_held(task, job, name, hosts)
        if stream is not None:
            yield name.removeprefix("."), stream


async def _open_held(
    task: ProcessSetting, job: str, name: str, hosts: Iterable[str]
) -> AReadStream | None:
    for host in hosts:
        places = [held_run(task, job, host)]
        if task.runs.exclusive:  # where it stays if it cannot be held elsewhere
            places.append(task.new_run(job, host))
        for run in places:
            try:
                return await task.runs.read(run, name)
            except FileNotFoundError:
                continue
            except Exception as e:  # noqa: BLE001 - a foreign manager may say "not found" by any
                log.warning("%s: held output of job %s cannot be read: %s", task.name, job, e)
                break
    return None
