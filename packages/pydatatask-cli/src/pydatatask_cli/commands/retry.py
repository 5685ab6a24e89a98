"""``retry``: reset ended jobs so that they run again."""

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
    """Delete exactly the records and outputs that prevent ended jobs from being launched again.

    :param pipeline: an open pipeline.
    :param task_name: the task.
    :param job: the jobs.
    :param failed: whether to include all jobs that have failed.
    :return: the jobs that can run again now.
    :raises CommandLineError: if a job is live, or has no record or output; then nothing is
        deleted.
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
            f"no output or record of {task_name} prevents its jobs from being launched again"
        )
    for link, repo in links.items():
        check_deletable(repo, f"{task_name}.{link}")
    for name in job:
        task.ready.check_job_id(name)
    if leftovers := await _live_jobs(task) & {*jobs, *job}:
        await task.clean_up(leftovers)  # ended jobs that still look live
    live_jobs = await _live_jobs(task)
    for name in job:
        await _check(task, name, live_jobs)
    # Jobs that run or are being recorded are left to their driver.
    names = [name for name in dict.fromkeys([*job, *jobs]) if name not in live_jobs]
    await task.clean_up(set(names))
    outcomes = list(outcome_repositories(task))
    for name in names:
        # Records of the outcome are deleted last: until then, no job is launched.
        for repo in sorted(links.values(), key=lambda repo: repo in outcomes):
            await repo.delete(name)
    return names, errors


async def _live_jobs(task: Task) -> set[str]:
    return set().union(*[await repo.keys() for repo in task.live_repositories])


async def _check(task: Task, job: str, live_jobs: Collection[str]) -> None:
    if job in live_jobs:
        raise CommandLineError(
            f"job {job!r} of {task.name} is live; stop it with `kill {task.name} {job}`"
        )
    if not any([await repo.contains(job) for repo in completion_links(task).values()]):
        raise CommandLineError(
            f"job {job!r} of {task.name} has not ended, so there is nothing to delete; "
            f"`explain {task.name} {job}` shows why it does not run"
        )


@click.command("retry", cls=Command, examples=("retry count book1 book2", "retry count --failed"))
@click.option("--failed", is_flag=True, help="Include all jobs that have failed.")
@click.argument("task", shell_complete=complete_task)
@click.argument("job", nargs=-1, shell_complete=complete_job)
@pass_app
def command(app: App, failed: bool, task: str, job: tuple[str, ...]) -> None:
    """Reset ended jobs so that they run again.

    Deletes exactly what prevents their launch: the record of their outcome, and outputs that
    inhibit it. Results of later tasks are kept; `rm -r` deletes those. Prints the jobs, one per
    line; they run when the pipeline runs. If a record cannot be read with --failed, the other
    records are still deleted, and the exit status is 1; name the job to delete its record, too.
    """
    if not job and not failed:
        raise click.UsageError("add the names of jobs, or --failed")
    names, errors = app.run(lambda pipeline: _retry(pipeline, task, job, failed), tasks=[task])
    for name in names:
        output.print_line(name)
    output.print_errors_and_exit(errors)
