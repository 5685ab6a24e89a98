"""``launch``: launch one job by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pydatatask_cli.app import App, pass_app
from pydatatask_cli.command import Command
from pydatatask_cli.errors import CommandLineError, ExitStatus
from pydatatask_cli.lookup import find_task
from pydatatask_cli.shell_completion import complete_job, complete_task

if TYPE_CHECKING:
    from pydatatask_core.pipeline import Pipeline, RunSummary

__all__ = ["command", "launch"]


async def launch(
    pipeline: Pipeline, task_name: str, job: str, sync: bool, meta: bool, force: bool
) -> RunSummary:
    """Launch a job of a task; wait for its recorded end if it would end with this process.

    :param pipeline: an open pipeline.
    :param task_name: the task.
    :param job: the job.
    :param sync: whether to run it to its end in this process.
    :param meta: whether to record its outcome, so that it is not launched again.
    :param force: whether to launch it even if it is not ready.
    :raises CommandLineError: if there is no such task, or the job is not ready and ``force`` is
        not set.
    """
    task = find_task(pipeline, task_name)
    if not force and not await _ready(pipeline, task_name, job):
        raise CommandLineError(
            f"job {job!r} is not ready for {task_name}; `explain {task_name} {job}` shows why, "
            "`launch --force` launches it anyway"
        )
    pipeline.settings(synchronous=sync, metadata=meta)
    await task.launch(job)
    return await pipeline.complete_local_jobs()


async def _ready(pipeline: Pipeline, task_name: str, job: str) -> bool:
    """Return whether one job is ready, without listing repositories."""
    task = pipeline.tasks[task_name]
    for live_jobs in task.live_repositories:
        if await live_jobs.contains(job):
            return False
    return job not in task.running and await task.ready.contains(job)


@click.command(
    "launch",
    cls=Command,
    examples=(
        "launch count book1",
        "launch -f --sync count book1",
    ),
)
@click.option("-f", "--force", is_flag=True, help="Launch the job even if it is not ready.")
@click.option("--sync", is_flag=True, help="Run the job to its end in this process.")
@click.option(
    "--meta/--no-meta", default=True, show_default=True, help="Whether to record the outcome."
)
@click.argument("task", shell_complete=complete_task)
@click.argument("job", shell_complete=complete_job)
@pass_app
def command(app: App, force: bool, sync: bool, meta: bool, task: str, job: str) -> None:
    """Start a task for a job by hand.

    Only the resources of this task are opened, so that it works while the pipeline runs. A job
    that is not ready is refused, unless -f is given. Functions and jobs of executors end with this
    process, so they are run to their end, retries included, as with --sync. Exits with 1 if the
    job has failed by then.
    """
    summary = app.run(
        lambda pipeline: launch(pipeline, task, job, sync, meta, force), "one", tasks=[task]
    )
    if summary.failed or summary.given_up:
        raise ExitStatus(1)
