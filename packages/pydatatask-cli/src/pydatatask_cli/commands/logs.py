"""``logs``: what a job wrote."""

from __future__ import annotations

from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING

import click

from pydatatask_cli.app import App, pass_app
from pydatatask_cli.byte_streams import CHUNK_BYTES, Output
from pydatatask_cli.command import Command
from pydatatask_cli.errors import CommandLineError
from pydatatask_cli.lookup import find_task
from pydatatask_cli.output import print_info
from pydatatask_cli.recorded_outcomes import outcome_repositories
from pydatatask_cli.shell_completion import complete_job, complete_task

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Iterable, Sequence

    from pydatatask_core.pipeline import Pipeline
    from pydatatask_core.repository import BlobRepository
    from pydatatask_core.task import Task
    from pydatatask_core.utils import AReadStream

__all__ = ["command", "print_logs"]

_TAILS = {"stdout": "stdout_tail", "stderr": "stderr_tail", "traceback": "traceback"}
"""The name of each stream, and what has the end of it in a record."""


async def print_logs(
    pipeline: Pipeline, task_name: str, job: str, *, follow: bool = False, raw: bool = False
) -> None:
    """Print the output of a job: of a job that runs, the output until now.

    Of a job that has ended and wrote more than one stream, each has a heading. On a terminal,
    control characters are escaped; to a pipe or a file they are written as they are.

    :param pipeline: an open pipeline.
    :param task_name: the task.
    :param job: the job.
    :param follow: whether to go on until the job has ended.
    :param raw: whether a terminal gets control characters as they are.
    :raises CommandLineError: if there is no such task, or nothing is known of what it wrote.
    """
    task = find_task(pipeline, task_name)
    task.ready.check_job_id(job)
    out = Output(raw=raw)
    written = False
    async with aclosing(_read(task, job, follow)) as blocks:
        async for block in blocks:
            written = True
            await out.write(block)
    await out.close()
    if not written:
        if not await _is_known(task, job):
            raise CommandLineError(f"nothing is known of what job {job!r} of {task_name} wrote")
        if await _is_live(task, job):
            print_info(f"job {job!r} of {task_name} is live and has written nothing yet")
        else:
            print_info(f"job {job!r} of {task_name} wrote nothing that was kept")


async def _read(task: Task, job: str, follow: bool) -> AsyncGenerator[bytes, None]:
    if await _is_live(task, job):
        written = False
        async with aclosing(_live(task, job, follow)) as blocks:
            async for block in blocks:
                written = True
                yield block
        if written or await _is_live(task, job):
            return
    async with AsyncExitStack() as stack:
        async for block in _ended(task, job, stack):
            yield block


async def _is_live(task: Task, job: str) -> bool:
    return any([await repo.contains(job) for repo in task.live_repositories])


async def _is_known(task: Task, job: str) -> bool:
    ended = [await repo.contains(job) for repo in (*outcome_repositories(task), *_published(task))]
    return any(ended) or await _is_live(task, job)


def _published(task: Task) -> Sequence[BlobRepository]:
    from pydatatask_core.task import LoggingTask

    return task.log_repositories if isinstance(task, LoggingTask) else ()


def _live(task: Task, job: str, follow: bool) -> AsyncGenerator[bytes, None]:
    """Read what a job has written, where it runs."""
    from pydatatask_core.task import LoggingTask

    if not isinstance(task, LoggingTask):
        raise CommandLineError(f"{task.name} keeps nothing to be read while a job runs")
    return task.stream_logs(job, follow=follow)


async def _ended(task: Task, job: str, stack: AsyncExitStack) -> AsyncGenerator[bytes, None]:
    """Read the streams of a job that has ended, each with a heading if there are several."""
    streams = await _open_ended(task, job, stack)
    beginnings = {name: await stream.read(CHUNK_BYTES) for name, stream in streams.items()}
    tails = await _tails(task, job, streams.keys())
    beginnings |= tails
    written = {name: beginnings[name] for name in _sorted(beginnings) if beginnings[name]}
    first = True
    for name, block in written.items():
        if len(written) > 1:
            yield f"{'' if first else chr(10)}==> {name} <==\n".encode()
            first = False
        yield block
        ended = block.endswith(b"\n")
        if name in streams:
            while block := await streams[name].read(CHUNK_BYTES):
                yield block
                ended = block.endswith(b"\n")
        if len(written) > 1 and not ended:
            yield b"\n"


def _sorted(names: Iterable[str]) -> list[str]:
    order = list(_TAILS)
    return sorted(names, key=lambda name: order.index(name) if name in order else -1)


async def _open_ended(task: Task, job: str, stack: AsyncExitStack) -> dict[str, AReadStream]:
    from pydatatask_core.task import LoggingTask

    streams: dict[str, AReadStream] = {}
    if isinstance(task, LoggingTask):
        async with aclosing(task.open_logs(job)) as opened:
            async for name, stream in opened:
                stack.push_async_callback(stream.close)
                streams[name] = stream
    return streams


async def _tails(task: Task, job: str, opened: Collection[str]) -> dict[str, bytes]:
    """Return the ends of the streams of which nothing else is left, as the record has them."""
    tails: dict[str, bytes] = {}
    for repo in outcome_repositories(task):
        record = await repo.info(job)
        for name, key in _TAILS.items():
            tail = record.get(key) if isinstance(record, dict) else None
            if name not in opened and isinstance(tail, str):
                tails[name] = tail.encode()
    return tails


@click.command("logs", cls=Command, examples=("logs convert book1", "logs -f convert book1"))
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended.")
@click.option("--raw", is_flag=True, help="Escape nothing, also on a terminal.")
@click.argument("task", shell_complete=complete_task)
@click.argument("job", shell_complete=complete_job)
@pass_app
def command(app: App, follow: bool, raw: bool, task: str, job: str) -> None:
    """Print what a job wrote.

    Of a job that has ended, its standard output and error, or the logs of its pod, where they are
    linked; else the end of them that its record has, or the traceback of a function. Of a process
    that failed, all of the output that is held back. If there are several streams, each has a
    heading. Of a process or pod that runs, what it has written until now, and with -f what it goes
    on to write.

    On a terminal, control characters and bytes that are not UTF-8 are escaped, since a
    terminal takes some of them as commands. --raw writes all as it is, with the colours of a job
    that you trust. A pipe or a file gets all as it is in any case.
    """
    app.run(lambda pipeline: print_logs(pipeline, task, job, follow=follow, raw=raw), tasks=[task])
