"""``plan``: show the launches of the next round."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pydatatask_cli import output
from pydatatask_cli.app import App, pass_app
from pydatatask_cli.command import Command
from pydatatask_cli.errors import ExitStatus
from pydatatask_cli.launch_blockers import ERROR_PREFIX, LaunchBudget
from pydatatask_core.errors import PydatataskError, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydatatask_core.pipeline import Pipeline
    from pydatatask_core.task import Task

__all__ = ["collect_plan", "command", "print_plan"]


async def collect_plan(pipeline: Pipeline) -> dict[str, Any]:
    """Return the jobs that the next round would launch, and those that would have to wait.

    :param pipeline: an open pipeline.
    """
    ready: list[tuple[Task, str]] = []
    unknown, launch, wait = [], [], []
    for task in pipeline.tasks.values():
        try:
            ready += [(task, job) for job in sorted(await pipeline.gather_ready_jobs(task))]
        except Exception as e:  # noqa: BLE001 - printed with the results of the other tasks
            unknown.append({"task": task.name, "error": describe(e)})
    if pipeline.priority is not None:
        ready, refused = await _sort_by_priority(ready, pipeline.priority)
        wait += [{"task": t.name, "job": job, "reason": reason} for t, job, reason in refused]
    budget = LaunchBudget()
    for task, job in ready:
        reason = await budget.take(task, job)
        if reason is None:
            launch.append({"task": task.name, "job": job})
        else:
            wait.append({"task": task.name, "job": job, "reason": reason})
    return {"launch": launch, "wait": wait, "unknown": unknown}


async def _sort_by_priority(
    ready: list[tuple[Task, str]], priority: Callable[[str, str], int]
) -> tuple[list[tuple[Task, str]], list[tuple[Task, str, str]]]:
    """Sort jobs by priority; return separately, with the error, those for which it raises."""
    from pydatatask_core.repository.job_functions import call_for_job

    priorities: dict[tuple[Task, str], int] = {}
    refused = []
    for task, job in ready:
        name = f"priority of task {task.name}"
        try:
            priorities[task, job] = await call_for_job(job, name, priority, task.name, job)
        except PydatataskError as e:
            refused.append((task, job, ERROR_PREFIX + describe(e)))
    return sorted(priorities, key=priorities.__getitem__, reverse=True), refused


async def print_plan(pipeline: Pipeline, *, as_json: bool = False) -> None:
    """Print the jobs that the next round would launch, and those that would have to wait.

    :param pipeline: an open pipeline.
    :param as_json: whether to print JSON instead.
    :raises ExitStatus: if a repository could not be listed, after the rest was printed.
    """
    plan = await collect_plan(pipeline)
    if as_json:
        output.print_json(plan)
    else:
        for item in plan["launch"]:
            output.print_line("launch", item["task"], item["job"])
        for item, others in _group_errors(plan["wait"]):
            output.print_line("wait", item["task"], item["job"], item["reason"])
            if others:
                output.print_line("wait", item["task"], f"{others} more jobs for the same reason")
    for item in plan["unknown"]:
        output.print_error(f"{item['task']}: {item['error']}")
    if plan["unknown"]:
        raise ExitStatus(1)


def _group_errors(waiting: list[dict[str, str]]) -> Iterator[tuple[dict[str, str], int]]:
    """Yield waiting jobs; of those with the same error, the first with the number of others."""
    from pydatatask_core.pipeline.launch_errors import reason_of

    groups: dict[object, list[dict[str, str]]] = {}
    for item in waiting:
        error = item["reason"].startswith(ERROR_PREFIX)
        key = reason_of(item["reason"], item["job"]) if error else item["job"]
        groups.setdefault((error, item["task"], key), []).append(item)
    for group in groups.values():
        yield group[0], len(group) - 1


@click.command("plan", cls=Command, examples=("plan", "plan --json"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_app
def command(app: App, as_json: bool) -> None:
    """Show the launches of the next round without launching.

    Prints a line `launch TASK JOB` for each job, by priority, and a line `wait TASK JOB REASON` for
    a ready job that would wait because of a quota, the concurrency of its task, or because the task
    is disabled. If an error prevents the launch of several jobs, there is a line for the first of
    them and a line with the number of the others. The quotas that a third party's task uses are
    included if it implements `Task.requested_resources`.

    With --json: {"launch": [{"task": TASK, "job": JOB}], "wait": [{"task": TASK, "job": JOB,
    "reason": TEXT}], "unknown": [{"task": TASK, "error": TEXT}], whose repositories could not be
    listed}.
    """
    app.run(lambda pipeline: print_plan(pipeline, as_json=as_json))
