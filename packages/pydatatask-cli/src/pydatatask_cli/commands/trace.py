"""``trace``: print which repositories contain a job."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from pydatatask_cli import output
from pydatatask_cli.app import App, pass_app
from pydatatask_cli.command import Command
from pydatatask_cli.errors import ExitStatus
from pydatatask_cli.lookup import shown_links
from pydatatask_cli.shell_completion import complete_job
from pydatatask_core.errors import PydatataskError, describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydatatask_core.pipeline import Pipeline
    from pydatatask_core.repository import Repository

__all__ = ["collect_trace", "command", "print_trace"]


async def collect_trace(pipeline: Pipeline, all_repos: bool, job: Sequence[str]) -> dict[str, Any]:
    """Return which of several jobs are in each linked repository.

    :param pipeline: an open pipeline.
    :param all_repos: whether to include links that are neither input nor status nor output.
    :param job: the jobs.
    """
    jobs = list(dict.fromkeys(job))

    async def present(repo: Repository) -> tuple[list[str], list[str]]:
        """Return the jobs that a repository has, and errors for jobs that cannot be looked up."""
        result = await asyncio.gather(*(repo.contains(n) for n in jobs), return_exceptions=True)
        task_links = [name for name, has in zip(jobs, result, strict=True) if has is True]
        failed = [(n, e) for n, e in zip(jobs, result, strict=True) if isinstance(e, BaseException)]
        return task_links, [
            describe(e) if isinstance(e, PydatataskError) else f"job {n!r}: {describe(e)}"
            for n, e in failed
        ]

    tasks = []
    for task in pipeline.tasks.values():
        links = list(shown_links(task, all_repos))
        result = await asyncio.gather(*(present(link.repo) for _, _, link in links))
        shown: list[dict[str, Any]] = []
        for (name, kind, _), (task_links, errors) in zip(links, result, strict=True):
            entry: dict[str, Any] = {"name": name, "kind": kind, "jobs": task_links}
            shown.append(entry | {"errors": errors} if errors else entry)
        tasks.append({"name": task.name, "disabled": task.disabled, "links": shown})
    return {"jobs": jobs, "tasks": tasks}


async def print_trace(
    pipeline: Pipeline, all_repos: bool, job: Sequence[str], *, as_json: bool = False
) -> None:
    """Print which repositories contain jobs: a table on a terminal, otherwise plain lines.

    :param pipeline: an open pipeline.
    :param all_repos: whether to include links that are neither input nor status nor output.
    :param job: the jobs.
    :param as_json: whether to print JSON instead.
    :raises ExitStatus: if a lookup failed, after the rest was printed.
    """
    result = await collect_trace(pipeline, all_repos, job)
    if as_json:
        output.print_json(result)
    elif output.is_terminal():
        _print_table(result)
    else:
        for task in result["tasks"]:
            output.print_line(task["name"])
            for link in task["links"]:
                output.print_line(f"{task['name']}.{link['name']}", *link["jobs"])
            output.print_line()
    links = [link for task in result["tasks"] for link in task["links"]]
    known = {job for link in links for job in link["jobs"]}
    errors = sorted({error for link in links for error in link.get("errors", ())})
    for unknown in result["jobs"]:
        if unknown not in known and not errors:
            output.print_info(f"there is no job {unknown!r} in any of these repositories")
    for error in errors:
        output.print_error(error)
    if errors:
        raise ExitStatus(1)


def _print_table(result: dict[str, Any]) -> None:
    from rich.text import Text

    rows: list[list[object]] = []
    for task in result["tasks"]:
        name = task["name"]
        for link in task["links"]:
            marks = [
                Text("yes", "green") if job in link["jobs"] else Text("-", "dim")
                for job in result["jobs"]
            ]
            rows.append([Text(name, "bold"), link["name"], link["kind"], *marks])
            name = ""
    output.print_rich(output.make_table(["task", "link", "kind", *result["jobs"]], rows))


@click.command(
    "trace",
    cls=Command,
    examples=(
        "trace book1",
        "trace -a book1 book2",
    ),
)
@click.option("-a", "--all", "all_repos", is_flag=True, help="Include links that have no kind.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("job", nargs=-1, required=True, shell_complete=complete_job)
@pass_app
def command(app: App, all_repos: bool, as_json: bool, job: tuple[str, ...]) -> None:
    """Track a job's progress through the pipeline.

    For each task, prints which of the jobs are in its inputs, its status links and its outputs. To
    a pipe: a line with the name of the task, a line `TASK.LINK JOB...` for each link, and a blank
    line.

    With --json: {"jobs": [JOB], "tasks": [{"name": TASK, "disabled": BOOL, "links": [{"name":
    LINK, "kind": as for status, "jobs": [JOB], "errors": [TEXT], only if there are any}]}]}.
    """
    app.run(lambda pipeline: print_trace(pipeline, all_repos, job, as_json=as_json), "read")
