"""``retry``: having jobs run again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pydatatask_cli import output
from pydatatask_cli.app import App, pass_app
from pydatatask_cli.command import Command
from pydatatask_cli.errors import CommandLineError
from pydatatask_cli.lookup import find_task
from pydatatask_cli.recorded_outcomes import completion_links, failed_jobs, outcome_repositories
from pydatatask_cli.shell_completion import complete_job, complete_task
from pydatatask_cli.write_checks import check_deletable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pydatatask_core.pipeline import Pipeline
    from pydatatask_core.task import Task

__all__ = ["command", "retry"]


async def retry(
    pipeline: Pipeline, task_name: str, job: Sequence[str] = (), *, failed: bool = False
) -> list[str]:
    """Take away exactly what keeps ended jobs from being launched again.

    :param pipeline: an open pipeline.
    :param task_name: the task.
    :param job: the jobs.
    :param failed: whether to take those that have failed as well.
    :return: the jobs that can run again now.
    :raises CommandLineError: if a job is live, or the task has left nothing of it; then nothing
        was taken away.
    """
    names, errors = await _retry(pipeline, task_name, job, failed)
    for error in errors:
        output.print_error(error)
    return names


async def _retry(
    pipeline: Pipeline, task_name: str, job: Sequence[str], failed: bool
) -> tuple[list[str], list[str]]:
    """Return the jobs that can run again, and an error for each record that cannot be read."""
    task = find_task(pipeline, task_name)
    jobs, errors = await failed_jobs(task) if failed else ({}, [])
    links = completion_links(task)
    if not links:
        raise CommandLineError(
            f"nothing that {task_name} writes keeps a job of it from being launched again"
        )
    for link, repo in links.items():
        check_deletable(repo, f"{task_name}.{link}")
    for name in job:
        task.ready.check_job_id(name)
    if leftovers := await _live_jobs(task) & {*jobs, *job}:
        await task.clean_up(leftovers)  # of those that have ended: they look live otherwise
    live_jobs = await _live_jobs(task)
    for name in job:
        await _check(task, name, live_jobs)
    # What runs, or is being recorded, is left to its driver.
    names = [name for name in dict.fromkeys([*job, *jobs]) if name not in live_jobs]
    await task.clean_up(set(names))
    outcomes = list(outcome_repositories(task))
    for name in names:
        # What tells of the end goes last: until then, nothing is launched.
        for repo in sorted(links.values(), key=lambda repo: repo in outcomes):
            await repo.delete(name)
    return names, errors


async def _live_jobs(task: Task) -> set[str]:
    return set().union(*[await repo.keys() for repo in task.live_repositories])


async def _check(task: Task, job: str, live_jobs: Collection[str]) -> None:
    if job in live_jobs:
        raise CommandLineError(
            f"job {job!r} of {task.name} is live; `kill {task.name} {job}` ends it"
        )
    if not any([await repo.contains(job) for repo in completion_links(task).values()]):
        raise CommandLineError(
            f"job {job!r} of {task.name} has not ended, so there is nothing to take away; "
            f"`explain {task.name} {job}` says why it does not run"
        )


@click.command("retry", cls=Command, examples=("retry count book1 book2", "retry count --failed"))
@click.option("--failed", is_flag=True, help="All jobs that have failed.")
@click.argument("task", shell_complete=complete_task)
@click.argument("job", nargs=-1, shell_complete=complete_job)
@pass_app
def command(app: App, failed: bool, task: str, job: tuple[str, ...]) -> None:
    """Have ended jobs run again.

    What is taken away is exactly what keeps them from it: the record of their end, and outputs if
    they inhibit. What later tasks made of them stays; `rm -r` deletes that. Prints the jobs, one a
    line; they run when the pipeline does. With --failed, a record that cannot be read is an error,
    after the others were taken away; naming its job takes it away, too.
    """
    if not job and not failed:
        raise click.UsageError("name jobs, or give --failed")
    names, errors = app.run(lambda pipeline: _retry(pipeline, task, job, failed), tasks=[task])
    for name in names:
        output.print_line(name)
    output.print_errors_and_exit(errors)
