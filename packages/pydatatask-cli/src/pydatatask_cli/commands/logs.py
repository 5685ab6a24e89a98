"""``logs``: what a job wrote."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from pydatatask_cli.app import App, pass_app
from pydatatask_cli.bytestream import CHUNK, Output
from pydatatask_cli.command import Command
from pydatatask_cli.completing import complete_job, complete_task
from pydatatask_cli.errors import CommandLineError
from pydatatask_cli.lookup import find_task
from pydatatask_cli.outcomes import outcome_repositories

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pydatatask_core.pipeline import Pipeline
    from pydatatask_core.task import Task

__all__ = ["command", "print_logs"]

_LINKS = ("stdout", "stderr", "logs")
_TAILS = ("stdout_tail", "stderr_tail", "traceback")
_LOOK_AGAIN = 0.25


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
    source = _live(task, job, follow) if await _is_live(task, job) else _ended(task, job)
    written = False
    async for block in source:
        written = True
        await out.write(block)
    if not written and not await _is_known(task, job):
        raise CommandLineError(f"nothing is known of what job {job!r} of {task_name} wrote")


async def _is_live(task: Task, job: str) -> bool:
    return any([await repo.contains(job) for repo in task.live_repositories])


async def _is_known(task: Task, job: str) -> bool:
    ended = [await repo.contains(job) for repo in outcome_repositories(task)]
    return any(ended) or await _is_live(task, job)


async def _live(task: Any, job: str, follow: bool) -> AsyncIterator[bytes]:
    """Read the streams of a process where it runs; any task of processes has them there."""
    if not hasattr(task, "kept_streams") or not hasattr(task, "pids"):
        raise CommandLineError(f"{task.name} keeps nothing to be read while a job runs")
    record = await task.pids.info(job)
    directory = record.get("handle") if isinstance(record, dict) else None
    if not isinstance(directory, str):
        return  # it is just beginning, or has just ended
    run, streams = task.recorded_run(job, record), []
    try:
        for name in task.kept_streams:
            stream = await task.runs.read(run, name)
            streams.append(stream)
        while True:
            live = follow and await _is_live(task, job)
            for stream in streams:
                while block := await stream.read(CHUNK):
                    yield block
            if not live:
                return
            await asyncio.sleep(_LOOK_AGAIN)
    finally:
        for stream in streams:
            await stream.close()


async def _ended(task: Task, job: str) -> AsyncIterator[bytes]:
    """Read what was published; else the end of it, which the record has."""
    from pydatatask_core.repository import BlobRepository

    published = False
    for name in _LINKS:
        link = task.links.get(name)
        if link is None or not link.is_output or not isinstance(link.repo, BlobRepository):
            continue
        if await link.repo.contains(job):
            published = True
            async with await link.repo.open(job, "rb") as stream:
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

    Of a job that has ended, its standard output and error where they are linked, else the end of
    them that its record has, or the traceback of a function. Of a process that runs, what it has
    written until now, and with -f what it goes on to write.
    """
    app.run(lambda pipeline: print_logs(pipeline, task, job, follow=follow), tasks=[task])
