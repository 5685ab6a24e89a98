"""``kill``: stop a live job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pydatatask_cli.app import App, pass_app
from pydatatask_cli.command import Command
from pydatatask_cli.errors import CommandLineError
from pydatatask_cli.lookup import find_task
from pydatatask_cli.shell_completion import complete_job, complete_task

if TYPE_CHECKING:
    from pydatatask_core.pipeline import Pipeline

__all__ = ["command", "kill"]


async def kill(pipeline: Pipeline, task_name: str, job: str) -> None:
    """Stop a live job.

    :param pipeline: an open pipeline.
    :param task_name: the task.
    :param job: the job.
    :raises CommandLineError: if it is not live, or only its driver can stop it.
    """
    task: Any = find_task(pipeline, task_name)
    task.ready.check_job_id(job)
    if not hasattr(task, "kill"):
        raise CommandLineError(
            f"jobs of {task_name} run in the process that drives them; stop that process"
        )
    # `kill` returns whether there was anything to stop, or None if the task cannot know.
    if await task.kill(job) is False:
        raise CommandLineError(f"job {job!r} of {task_name} is not live")


@click.command("kill", cls=Command, examples=("kill convert book1",))
@click.argument("task", shell_complete=complete_task)
@click.argument("job", shell_complete=complete_job)
@pass_app
def command(app: App, task: str, job: str) -> None:
    """Stop a live job.

    The job is asked to exit, and killed if it does not. It counts as failed; `retry` makes it run
    again.
    """
    app.run(lambda pipeline: kill(pipeline, task, job), "one", tasks=[task])
