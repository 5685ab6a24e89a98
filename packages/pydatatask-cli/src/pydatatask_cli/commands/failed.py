"""``failed``: which jobs failed, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pydatatask_cli import output
from pydatatask_cli.app import App, pass_app
from pydatatask_cli.command import Command
from pydatatask_cli.completing import complete_task
from pydatatask_cli.lookup import find_task
from pydatatask_cli.outcomes import failed_jobs

if TYPE_CHECKING:
    from pydatatask_core.pipeline import Pipeline

__all__ = ["collect_failed", "command", "print_failed"]

_TAILS = ("stderr_tail", "stdout_tail", "traceback")


async def collect_failed(pipeline: Pipeline, task_name: str | None = None) -> list[dict[str, Any]]:
    """Find the jobs that have failed.

    :param pipeline: an open pipeline.
    :param task_name: the task; all by default.
    """
    tasks = pipeline.tasks.values() if task_name is None else [find_task(pipeline, task_name)]
    return [
        {
            "task": task.name,
            "job": job,
            "reason": record.get("reason") or record.get("exception") or "not recorded",
            "end_time": record.get("end_time"),
            "tail": next((record[name] for name in _TAILS if record.get(name)), ""),
        }
        for task in tasks
        for job, record in (await failed_jobs(task)).items()
    ]


async def print_failed(
    pipeline: Pipeline,
    task_name: str | None = None,
    *,
    lines: int = 5,
    as_json: bool = False,
) -> None:
    """Print which jobs have failed, why, when, and the last that they wrote.

    :param pipeline: an open pipeline.
    :param task_name: the task; all by default.
    :param lines: how many lines of what they wrote to print.
    :param as_json: whether to print JSON instead.
    """
    found = await collect_failed(pipeline, task_name)
    if as_json:
        output.show_json({"failed": found})
        return
    for failure in found:
        when = failure["end_time"]
        at = when.isoformat(" ", "seconds") if hasattr(when, "isoformat") else "-"
        output.line(failure["task"], failure["job"], at, " ".join(failure["reason"].split()))
        for text in failure["tail"].rstrip().splitlines()[-lines:] if lines else ():
            output.line(f"    {text}")


@click.command("failed", cls=Command, examples=("failed", "failed count -n 20"))
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="How many lines of what they wrote to show.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("task", required=False, shell_complete=complete_task)
@pass_app
def command(app: App, lines: int, as_json: bool, task: str | None) -> None:
    """Show which jobs failed, when, and why.

    A line `TASK JOB DATE TIME REASON` each, and below it, indented, the last that the job wrote,
    or where its function raised.

    With --json: {"failed": [{"task": TASK, "job": JOB, "reason": TEXT, "end_time": TIME or null,
    "tail": TEXT}]}.
    """
    app.run(
        lambda pipeline: print_failed(pipeline, task, lines=lines, as_json=as_json),
        tasks=[] if task is None else [task],
    )
