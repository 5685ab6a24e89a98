"""``logs``: what a job wrote."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import click

from pydatatask_cli.app import App, pass_app
from pydatatask_cli.bytestream import CHUNK, Output
from pydatatask_cli.command import Command
from pydatatask_cli.completing import complete_job, complete_task
from pydatatask_cli.errors import CommandLineError
from pydatatask_cli.lookup import find_task
from pydatatask_cli.outcomes import outcome_repositories
from pydatatask_cli.output import note

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from pydatatask_core.pipeline import Pipeline
    from pydatatask_core.repository import BlobRepository
    from pydatatask_core.task import Task

__all__ = ["command", "print_logs"]

_TAILS = ("stdout_tail", "stderr_tail", "traceback")


async def print_logs(pipeline: Pipeline, task_name: str, job: str, *, follow: bool = False) -> None:
    """Print what a job wrote, as it is: of a job that runs, what it has written until now.

    :param pipeline: an open pipeline.
    :param task_name: the task.
    :param job: the job.
    :param follow: whether to go on until the job has ended.
    :raises CommandLineError: if there is no such task, or nothing is known of what it wrote.
    """
    task = find_task(pipeline, task_name)
    task.ready.check_job_id(job)
    out = Output()
    written = False
    async with aclosing(_read(task, job, follow)) as blocks:
        async for block in blocks:
            written = True
            await out.write(block)
    if not written:
        if not await _is_known(task, job):
            raise CommandLineError(f"nothing is known of what job {job!r} of {task_name} wrote")
        note(f"job {job!r} of {task_name} wrote nothing that was kept")


async def _read(task: Task, job: str, follow: bool) -> AsyncGenerator[bytes, None]:
    if await _is_live(task, job):
        written = False
        async with aclosing(_live(task, job, follow)) as blocks:
            async for block in blocks:
                written = True
                yield block
        if written or await _is_live(task, job):
            return
    async for block in _ended(task, job):
        yield block


async def _is_live(task: Task, job: str) -> bool:
    return any([await repo.contains(job) for repo in task.live_repositories])


async def _is_known(task: Task, job: str) -> bool:
    ended = [await repo.contains(job) for repo in (*outcome_repositories(task), *_published(task))]
    return any(ended) or await _is_live(task, job)


def _published(task: Task) -> Sequence[BlobRepository]:
    from pydatatask_core.task import WritingTask

    return task.written if isinstance(task, WritingTask) else ()


def _live(task: Task, job: str, follow: bool) -> AsyncGenerator[bytes, None]:
    """Read what a job has written, where it runs."""
    from pydatatask_core.task import WritingTask

    if not isinstance(task, WritingTask):
        raise CommandLineError(f"{task.name} keeps nothing to be read while a job runs")
    return task.read_live(job, follow=follow)


async def _ended(task: Task, job: str) -> AsyncGenerator[bytes, None]:
    """Read what was published; else the end of it, which the record has."""
    published = False
    for target in _published(task):
        if await target.contains(job):
            published = True
            async with await target.open(job, "rb") as stream:
                while block := await stream.read(CHUNK):
                    yield block
    if published:
        return
    for repo in outcome_repositories(task):
        record = await repo.info(job)
        for name in _TAILS:
            tail = record.get(name) if isinstance(record, dict) else None
            if isinstance(tail, str):
                yield tail.encode()


@click.command("logs", cls=Command, examples=("logs convert book1", "logs -f convert book1"))
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended.")
@click.argument("task", shell_complete=complete_task)
@click.argument("job", shell_complete=complete_job)
@pass_app
def command(app: App, follow: bool, task: str, job: str) -> None:
    """Print what a job wrote.

    Of a job that has ended, its standard output and error, or the logs of its pod, where they are
    linked; else the end of them that its record has, or the traceback of a function. Of a process
    or pod that runs, what it has written until now, and with -f what it goes on to write.
    """
    app.run(lambda pipeline: print_logs(pipeline, task, job, follow=follow), tasks=[task])
