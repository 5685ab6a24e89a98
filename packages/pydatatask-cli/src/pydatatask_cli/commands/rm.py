"""``rm``: delete values, and the values that depend on them."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from pydatatask_cli import output
from pydatatask_cli.app import App, pass_app
from pydatatask_cli.command import Command
from pydatatask_cli.lookup import find_data
from pydatatask_cli.recorded_outcomes import outcome_repositories
from pydatatask_cli.shell_completion import complete_data, complete_job
from pydatatask_cli.write_checks import check_deletable, check_outlives_process

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydatatask_core.pipeline import Pipeline
    from pydatatask_core.repository import Repository
    from pydatatask_core.task import Task

__all__ = ["Removal", "command", "delete_data", "plan_removal"]

ALL_JOBS = "__all__"


class Removal(NamedTuple):
    """Jobs to delete from one repository."""

    names: list[str]
    """The names of the repository's links."""

    repo: Repository
    jobs: list[str]

    killer: Task | None
    """The task that has to stop the jobs first, if these are records of live jobs."""

    recorders: list[Task]
    """The tasks that record outcomes or output of jobs there."""


async def plan_removal(
    pipeline: Pipeline, data: str, recursive: bool, job: Sequence[str]
) -> list[Removal]:
    """Return the values to delete.

    :param pipeline: an open pipeline.
    :param data: the repository, as ``task.link``.
    :param recursive: whether to delete the jobs from everything that depends on it, too.
    :param job: the jobs; ``__all__`` for all jobs in the repository.
    :raises CommandLineError: if deleting from the repository has no effect.
    """
    start = find_data(pipeline, data).repo
    check_deletable(start, data)
    for name in job:
        if name != ALL_JOBS:
            start.check_job_id(name)
    jobs = sorted(await start.keys()) if ALL_JOBS in job else list(dict.fromkeys(job))
    repos = [start, *(_downstream(pipeline, start) if recursive else ())]
    plan = []
    for repo in repos:
        present = await repo.keys() if recursive else set(jobs)
        plan.append(
            Removal(
                _link_names(pipeline, repo) if repo is not start else [data],
                repo,
                [name for name in jobs if name in present],
                _find_killer(pipeline, repo),
                [t for t in pipeline.tasks.values() if repo in _recording_repositories(t)],
            )
        )
    # Records of live jobs go first: running jobs could otherwise write deleted values again.
    plan.sort(key=lambda removal: removal.killer is None)
    return [removal for removal in plan if removal.jobs]


def _downstream(pipeline: Pipeline, start: Repository) -> Iterable[Repository]:
    """Yield the repositories with data of their own that depend on one, nearest first."""
    from pydatatask_core.repository import Repository
    from pydatatask_core.repository.snapshot import View

    for node in pipeline.dependants(start, True):
        if isinstance(node, Repository) and not isinstance(node, View):
            yield node


def _link_names(pipeline: Pipeline, repo: Repository) -> list[str]:
    return [
        f"{task.name}.{name}"
        for task in pipeline.tasks.values()
        for name, link in task.links.items()
        if link.repo is repo
    ]


def _recording_repositories(task: Task) -> list[Repository]:
    from pydatatask_core.task import LoggingTask

    written = task.log_repositories if isinstance(task, LoggingTask) else ()
    return [*outcome_repositories(task), *written]


def _find_killer(pipeline: Pipeline, repo: Repository) -> Task | None:
    for task in pipeline.tasks.values():
        for link in task.links.values():
            if link.repo is repo and link.shows_live_jobs and hasattr(task, "kill"):
                return task
    return None


async def delete_data(pipeline: Pipeline, data: str, recursive: bool, job: Sequence[str]) -> None:
    """Delete jobs from a repository; missing jobs count as deleted.

    :param pipeline: an open pipeline.
    :param data: the repository, as ``task.link``.
    :param recursive: whether to delete them from everything that depends on it, too.
    :param job: the jobs; ``__all__`` for all jobs in the repository.
    """
    await _remove(await plan_removal(pipeline, data, recursive, job))


async def _remove(plan: list[Removal]) -> None:
    for removal in plan:
        for task in removal.recorders:
            await task.clean_up(set(removal.jobs))
        for job in removal.jobs:
            if removal.killer is not None:
                await _kill(removal.killer, job)
            await removal.repo.delete(job)


async def _kill(task: Any, job: str) -> None:
    """Stop a job whose record is deleted next, if the record identifies it."""
    from pydatatask_core.errors import ForeignRecordError

    try:
        await task.kill(job)
    except ForeignRecordError as e:
        output.print_info(f"no job is stopped, only the record is deleted: {e}")


def _show(plan: list[Removal]) -> None:
    for removal in plan:
        output.print_line(removal.names[0] if removal.names else repr(removal.repo), *removal.jobs)


def _confirm(question: str) -> None:
    """Ask for confirmation; Ctrl-C aborts at once although the prompt blocks the event loop."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        click.confirm(question, abort=True, err=True)
    except click.Abort:
        output.print_info("")  # ends the line of the question
        raise
    finally:
        signal.signal(signal.SIGINT, before)


async def _ask_and_delete(
    pipeline: Pipeline, data: str, recursive: bool, job: Sequence[str], ask: bool, dry_run: bool
) -> None:
    plan = await plan_removal(pipeline, data, recursive, job)
    start = find_data(pipeline, data).repo
    for name in dict.fromkeys(job):
        if name != ALL_JOBS and not await start.contains(name):
            output.print_info(f"there is no job {name!r} in {data}")
    if dry_run:
        _show(plan)
        return
    if ask and plan:
        _show(plan)
        count = sum(len(removal.jobs) for removal in plan)
        _confirm(f"Delete these {count} values?" if count > 1 else "Delete this value?")
    await _remove(plan)


@click.command(
    "rm",
    cls=Command,
    examples=(
        "rm count.done book1",
        "rm -r count.texts book1 book2",
        "rm -r --dry-run count.texts __all__",
    ),
)
@click.option("-r", "--recursive", is_flag=True, help="Delete everything that depends on it, too.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
@click.option("--dry-run", "-n", is_flag=True, help="Only show the values to delete.")
@click.argument("data", shell_complete=complete_data)
@click.argument("job", nargs=-1, required=True, shell_complete=complete_job)
@pass_app
def command(
    app: App, recursive: bool, yes: bool, dry_run: bool, data: str, job: tuple[str, ...]
) -> None:
    """Delete data from the pipeline.

    DATA is `TASK.LINK`; `__all__` means all jobs in it. With -r, the jobs are also deleted from
    everything that depends on it: outputs and records of later tasks. On a terminal, -r lists the
    values and asks for confirmation. Running jobs are killed.

    Each line of the list is `TASK.LINK JOB...`.
    """
    check_outlives_process(find_data(app.pipeline, data).repo, data)
    ask = recursive and not yes and sys.stdin.isatty() and sys.stdout.isatty()
    app.run(lambda opened: _ask_and_delete(opened, data, recursive, job, ask, dry_run))
