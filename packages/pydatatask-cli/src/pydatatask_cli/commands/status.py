"""``status``: print the number of jobs in each repository."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from pydatatask_cli import output
from pydatatask_cli.app import App, pass_app
from pydatatask_cli.command import Command
from pydatatask_cli.errors import ExitStatus
from pydatatask_cli.lookup import shown_links
from pydatatask_cli.summary import DONE_WITHOUT_OUTPUT, print_done_without_output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from pydatatask_core.pipeline import Pipeline

__all__ = ["collect_status", "command", "print_status", "status_table"]


async def collect_status(pipeline: Pipeline, all_repos: bool) -> dict[str, Any]:
    """Count the jobs of each linked repository; list each repository only once.

    :param pipeline: an open pipeline.
    :param all_repos: whether to include links that are neither input nor status nor output.
    """
    from pydatatask_core.pipeline.output_audit import find_done_without_output
    from pydatatask_core.repository.snapshot import Snapshot, leaves

    links = {t.name: list(shown_links(t, all_repos)) for t in pipeline.tasks.values()}
    snapshot = Snapshot()
    distinct = {
        id(leaf): leaf
        for counts in links.values()
        for _, _, link in counts
        for leaf in leaves(link.repo)
    }
    await asyncio.gather(*map(snapshot.keys, distinct.values()), return_exceptions=True)
    without_output = await find_done_without_output(pipeline.tasks.values(), snapshot)
    tasks = []
    for task in pipeline.tasks.values():
        shown = []
        for name, kind, link in links[task.name]:
            entry: dict[str, Any] = {"name": name, "kind": kind, "count": None}
            try:
                entry["count"] = len(await snapshot.keys(link.repo))
            except Exception as e:  # noqa: BLE001 - shown with the other counts
                entry["error"] = str(e)
            shown.append(entry)
        described: dict[str, Any] = {"name": task.name, "disabled": task.disabled, "links": shown}
        if task.name in without_output:
            described[DONE_WITHOUT_OUTPUT] = without_output[task.name]
        tasks.append(described)
    return {"tasks": tasks}


async def print_status(pipeline: Pipeline, all_repos: bool, *, as_json: bool = False) -> None:
    """Print the number of jobs in each repository: a table on a terminal, otherwise plain lines.

    :param pipeline: an open pipeline.
    :param all_repos: whether to include links that are neither input nor status nor output.
    :param as_json: whether to print JSON instead.
    :raises ExitStatus: if a repository could not be listed, after the rest was printed.
    """
    status = await collect_status(pipeline, all_repos)
    if as_json:
        output.print_json(status)
    elif output.is_terminal():
        output.print_rich(status_table(status))
    else:
        _print_plain(status)
    if not as_json:
        print_done_without_output(
            {task["name"]: task.get(DONE_WITHOUT_OUTPUT, {}) for task in status["tasks"]}
        )
    failed = {
        link["error"] for task in status["tasks"] for link in task["links"] if "error" in link
    }
    for error in sorted(failed):
        output.print_error(error)
    if failed:
        raise ExitStatus(1)


def _print_plain(status: dict[str, Any]) -> None:
    for task in status["tasks"]:
        output.print_line(task["name"])
        for link in task["links"]:
            count = "?" if link["count"] is None else link["count"]
            output.print_line(f"{task['name']}.{link['name']}", count)
        output.print_line()


def status_table(status: dict[str, Any]) -> RenderableType:
    """Return the table for a terminal."""
    from rich.text import Text

    colours = {"input": "cyan", "status": "yellow", "output": "green"}
    rows: list[list[object]] = []
    for task in status["tasks"]:
        name = task["name"] + (" (disabled)" if task["disabled"] else "")
        for link in task["links"] or [{"name": "", "kind": "", "count": ""}]:
            colour = colours.get(link["kind"], "")
            count = Text("?", "bold red") if link["count"] is None else link["count"]
            rows.append(
                [Text(name, "bold"), Text(link["name"], colour), Text(link["kind"], colour), count]
            )
            name = ""
    return output.make_table(["task", "link", "kind", "#jobs"], rows)


@click.command(
    "status",
    cls=Command,
    examples=(
        "status",
        "status --watch",
        "status -a --json",
    ),
)
@click.option("-a", "--all", "all_repos", is_flag=True, help="Include links that have no kind.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--watch", is_flag=True, help="Repeat until interrupted.")
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Interval of --watch.",
)
@pass_app
def command(app: App, all_repos: bool, as_json: bool, watch: bool, every: float) -> None:
    """View the pipeline's status.

    For each task, prints the number of jobs in its inputs, its status links and its outputs. To a
    pipe: a line with the name of the task, a line `TASK.LINK COUNT` for each link, and a blank
    line; `?` means that a repository could not be listed. At the end there is a line `done without
    output: TASK.LINK COUNT: JOBS` for each output that jobs lack although they are recorded as
    successes.

    With --json: {"tasks": [{"name": TASK, "disabled": BOOL, "links": [{"name": LINK, "kind":
    "input", "status", "output" or "other", "count": NUMBER or null, "error": only if null}],
    "done_without_output": {LINK: [JOB]}, only if there are any}]};
    with --watch as well, one such object per line.
    """
    if watch:
        from pydatatask_cli.status_watch import watch_status

        app.run(lambda pipeline: watch_status(pipeline, all_repos, every, as_json=as_json), "read")
        return
    app.run(lambda pipeline: print_status(pipeline, all_repos, as_json=as_json), "read")
