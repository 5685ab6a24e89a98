"""``plan``: what the next round would launch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pydatatask_cli import output
from pydatatask_cli.app import App, pass_app
from pydatatask_cli.command import Command
from pydatatask_cli.holdups import ERROR, Budget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydatatask_core.pipeline import Pipeline

__all__ = ["collect_plan", "command", "print_plan"]


async def collect_plan(pipeline: Pipeline) -> dict[str, Any]:
    """Find out what the next round would launch, and what would hold back the rest.

    :param pipeline: an open pipeline.
    """
    ready = [
        (task, job)
        for task in pipeline.tasks.values()
        for job in sorted(await pipeline.gather_ready_jobs(task))
    ]
    priority = pipeline.priority
    if priority is not None:
        ready.sort(key=lambda pair: priority(pair[0].name, pair[1]), reverse=True)
    budget = Budget()
    launch, wait = [], []
    for task, job in ready:
        reason = await budget.take(task, job)
        if reason is None:
            launch.append({"task": task.name, "job": job})
        else:
            wait.append({"task": task.name, "job": job, "reason": reason})
    return {"launch": launch, "wait": wait}


async def print_plan(pipeline: Pipeline, *, as_json: bool = False) -> None:
    """Print what the next round would launch, and what would hold back the rest.

    :param pipeline: an open pipeline.
    :param as_json: whether to print JSON instead.
    """
    found = await collect_plan(pipeline)
    if as_json:
        output.show_json(found)
        return
    for each in found["launch"]:
        output.line("launch", each["task"], each["job"])
    for each, others in _grouped(found["wait"]):
        output.line("wait", each["task"], each["job"], each["reason"])
        if others:
            output.line("wait", each["task"], f"{others} more jobs for the same reason")


def _grouped(waiting: list[dict[str, str]]) -> Iterator[tuple[dict[str, str], int]]:
    """Iterate the jobs that wait, those which one error keeps as the first and their number."""
    from pydatatask_core.pipeline.launch_errors import reason_of

    groups: dict[object, list[dict[str, str]]] = {}
    for each in waiting:
        error = each["reason"].startswith(ERROR)
        key = reason_of(each["reason"], each["job"]) if error else each["job"]
        groups.setdefault((error, each["task"], key), []).append(each)
    for group in groups.values():
        yield group[0], len(group) - 1


@click.command("plan", cls=Command, examples=("plan", "plan --json"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_app
def command(app: App, as_json: bool) -> None:
    """Show what the next round would launch, and launch nothing.

    A line `launch TASK JOB` each, by priority, and a line `wait TASK JOB REASON` for a job that is
    ready and would be held back by a quota, the concurrency of its task, or since that is
    disabled. Jobs that one error keeps from being launched are a line for the first of them, and
    one with the number of the others. What a third party's task takes of a quota is foreseen if it
    says so (`Task.demand`).

    With --json: {"launch": [{"task": TASK, "job": JOB}], "wait": [{"task": TASK, "job": JOB,
    "reason": TEXT}]}.
    """
    app.run(lambda pipeline: print_plan(pipeline, as_json=as_json))
