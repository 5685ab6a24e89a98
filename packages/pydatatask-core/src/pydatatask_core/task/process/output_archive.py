"""The output of failed jobs, which is held back on the target instead of being published.

Readers of a repository take its content for data. Therefore the output of a failed job goes to a
private directory on the target, ``failed/JOB`` beside the run directories, until the job succeeds,
is retried or deleted, or the output is too old.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.proc_manager.process import TAIL_BYTES, ProcessRun, ProcessState
from pydatatask_core.proc_manager.protocol.run_directory import STDERR, STDOUT_FILE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Iterable

    from pydatatask_core.proc_manager.process import ProcessStatus
    from pydatatask_core.utils import AReadStream

    from .job import ProcessJob
    from .task import ProcessTask

__all__ = ["OutputArchive", "clean_up_archive", "open_logs", "split_streams"]

log = logging.getLogger("pydatatask.task")


def split_streams(
    task: ProcessTask, status: ProcessStatus, failed: bool
) -> tuple[list[str], list[str]]:
    """Return the streams of an ended job to publish, and those to hold back.

    A failed job holds back the streams that are not published, if its record has no room for them.

    :param task: the task.
    :param status: the status of the process, with its streams.
    :param failed: the final verdict on the job.
    """
    published = [name for name in status.outputs if task.streams.publishes(name, failed)]
    archived = [
        name
        for name, output in status.outputs.items()
        if failed
        and name not in published
        and output.size > (0 if name in task.streams.published else TAIL_BYTES)
    ]
    return published, archived


def held_run(task: ProcessTask, job: str, host: str) -> ProcessRun:
    """Return the run whose directory is that of the held output of a job.

    :param task: the task.
    :param job: the job.
    :param host: the machine.
    """
    return ProcessRun(task.runs.path("failed", job, host), host, is_held=True)


class OutputArchive:
    """The held output of one task, for a driver.

    :param task: the task.
    """

    def __init__(self, task: ProcessTask) -> None:
        self._task = task
        self._hosts: dict[str, set[str]] = {}
        """The known machines on which each job has held output."""

    async def load(self) -> None:
        """List the output that earlier drivers held back, and remove output that is too old."""
        for backend in self._task.backend.hosts:
            if not backend.is_up:
                continue
            try:
                ages = await backend.list_archives(
                    self._task.runs.path("failed", host=backend.host)
                )
            except ProcessManagerError as e:
                log.warning("%s: held output cannot be listed: %s", self._task.name, e)
                continue
            for job in ages or ():
                self._hosts.setdefault(job, set()).add(backend.host)
            old = [job for job, age in (ages or {}).items() if age > self._task.keep_failed]
            await asyncio.gather(*map(self._remove, old))

    async def replace(self, tracked: ProcessJob, names: Collection[str]) -> bool:
        """Hold back streams of a job, in place of those of an earlier attempt.

        This may be repeated. The run directory keeps its streams.

        :param tracked: the job, which has ended.
        :param names: the streams; may be empty.
        :return: True on success. If False, only the run directory has the streams.
        """
        await self._remove(tracked.job)
        return await self._archive(tracked, names)

    async def _archive(self, tracked: ProcessJob, names: Collection[str]) -> bool:
        if not names:
            return True
        task = self._task
        folder = task.runs.path("failed", tracked.job, tracked.run.host)
        extra = {"task": task.name, "job": tracked.job}
        try:
            await task.backend.archive(tracked.run, names, folder)
        except (ProcessManagerError, FileNotFoundError) as e:
            log.warning(
                "%s: the output of job %s, which failed, stays in %s, and is moved from there when "
                "the pipeline opens again: %s",
                *(task.name, tracked.job, tracked.run.directory, e),
                extra=extra,
            )
            return False
        self._hosts.setdefault(tracked.job, set()).add(tracked.run.host)
        log.log(
            logging.WARNING if task.done is None else logging.DEBUG,
            "%s: the output of job %s, which failed, is held in %s",
            *(task.name, tracked.job, folder),
            extra=extra,
        )
        return True

    async def recover(self, tracked: ProcessJob, status: ProcessStatus) -> bool:
        """Hold back the streams in the run directory of a job whose outcome is recorded.

        A driver may have died before it could hold the output back or remove the directory.

        :param tracked: the job, which has a run directory and no record.
        :param status: the status of its process.
        :return: whether the run directory can be removed.
        """
        task = self._task
        if status.state is ProcessState.NEVER_STARTED or not await self._failed(
            tracked.job, status
        ):
            return True
        status = await task.backend.inspect(tracked.run, task.streams.captured)
        return await self._archive(tracked, split_streams(task, status, failed=True)[1])

    async def _failed(self, job: str, status: ProcessStatus) -> bool:
        done = self._task.done
        if done is None:
            return status.return_code != 0
        if not await done.contains(job):
            return False  # the record was deleted, so that the job is retried
        return not await self._task.outcome_view("done").contains(job)

    async def _remove(self, job: str) -> None:
        """Remove the held output of a job, if there is any."""
        task = self._task
        for host in list(self._hosts.get(job, ())):
            try:
                await task.backend.remove_archive(held_run(task, job, host))
            except ProcessManagerError as e:
                log.warning("%s: held output of job %s is left behind: %s", task.name, job, e)
            else:
                self._hosts[job].discard(host)
        if not self._hosts.get(job):
            self._hosts.pop(job, None)


async def clean_up_archive(task: ProcessTask, jobs: Collection[str]) -> None:
    """Remove the held output of jobs on all machines; a driver may be running or not.

    :param task: the task.
    :param jobs: the jobs.
    """
    for backend in task.backend.hosts:
        if not backend.is_up:
            log.warning("%s: held output stays on %s, which is down", task.name, backend.host)
            continue
        try:
            ages = await backend.list_archives(task.runs.path("failed", host=backend.host))
            for job in sorted(jobs if ages is None else ages.keys() & jobs):
                await backend.remove_archive(held_run(task, job, backend.host))
        except ProcessManagerError as e:
            log.warning("%s: held output is left behind: %s", task.name, e)


async def open_logs(task: ProcessTask, job: str) -> AsyncGenerator[tuple[str, AReadStream], None]:
    """Open the streams of an ended job: in the repositories, or where they are held back.

    :param task: the task.
    :param job: the job.
    """
    hosts = [backend.host for backend in task.backend.hosts]
    if task.done is None:
        failed = not any([await repo.contains(job) for repo in task.log_repositories])
    else:
        known = await task.done.contains(job)
        failed = known and not await task.outcome_view("done").contains(job)
        record = await task.done.info(job) if failed else None
        if isinstance(record, dict) and isinstance(record.get("host"), str):
            hosts = [record["host"]]
    for name in (STDOUT_FILE, STDERR):
        stream: AReadStream | None = None
        if task.streams.publishes(name, failed):
            repo = task.streams.published[name]
            stream = await repo.open(job, "rb") if await repo.contains(job) else None
        elif failed and name in task.streams.captured:
            stream = await _open_archived(task, job, name, hosts)
        if stream is not None:
            yield name.removeprefix("."), stream


async def _open_archived(
    task: ProcessTask, job: str, name: str, hosts: Iterable[str]
) -> AReadStream | None:
    for host in hosts:
        candidates = [held_run(task, job, host)]
        if task.backend.atomic_create:  # it stays there if it could not be held back
            candidates.append(task.runs.new(job, host))
        for run in candidates:
            try:
                return await task.backend.open_output(run, name)
            except FileNotFoundError:
                continue
            except Exception as e:  # noqa: BLE001 - other managers may use any error for "not found"
                log.warning("%s: held output of job %s cannot be read: %s", task.name, job, e)
                break
    return None
