"""``logs``: print the output of a job."""

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
"""The key of a record that has the end of each stream."""


async def print_logs(
    pipeline: Pipeline, task_name: str, job: str, *, follow: bool = False, raw: bool = False
) -> None:
    """Print the output of a job; of a running job, the output so far.

    If an ended job wrote more than one stream, each has a heading. On a terminal,
    control characters are escaped; to a pipe or a file they are written unchanged.

    :param pipeline: an open pipeline.
    :param task_name: the task.
    :param job: the job.
    :param follow: whether to go on until the job has ended.
    :param raw: whether to write control characters unchanged to a terminal, too.
    :raises CommandLineError: if there is no such task, or no record of the job.
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
            raise CommandLineError(f"no output or record of job {job!r} of {task_name} was found")
        if await _is_live(task, job):
            print_info(f"job {job!r} of {task_name} is live and has written nothing yet")
        else:
            print_info(f"no output of job {job!r} of {task_name} was kept")


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
    """Yield the output of a running job from where it runs."""
    from pydatatask_core.task import LoggingTask

    if not isinstance(task, LoggingTask):
        raise CommandLineError(f"the output of {task.name} cannot be read while a job runs")
    return task.stream_logs(job, follow=follow)


async def _ended(task: Task, job: str, stack: AsyncExitStack) -> AsyncGenerator[bytes, None]:
    """Yield the streams of an ended job, with headings if there are several."""
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
    """Return the ends of streams from the record, for streams that cannot be read in full."""
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
@click.option("--raw", is_flag=True, help="Escape nothing, even on a terminal.")
@click.argument("task", shell_complete=complete_task)
@click.argument("job", shell_complete=complete_job)
@pass_app
def command(app: App, follow: bool, raw: bool, task: str, job: str) -> None:
    """Print the output of a job.

    Of an ended job: its standard output and error, or the logs of its pod, if they are linked;
    otherwise the end of them from its record, or the traceback of a function. Of a failed process
    whose output is held back: all of it. If there are several streams, each has a heading. Of a
    running process or pod: the output so far, and with -f all further output.

    On a terminal, control characters and bytes that are not UTF-8 are escaped because a terminal
    executes some of them. --raw writes everything unchanged, including the colours of a job that
    you trust. To a pipe or a file, everything is written unchanged.
    """
    app.run(lambda pipeline: print_logs(pipeline, task, job, follow=follow, raw=raw), tasks=[task])
