"""``failed``: print which jobs failed, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pydatatask_cli import output
from pydatatask_cli.app import App, pass_app
from pydatatask_cli.command import Command
from pydatatask_cli.lookup import find_task
from pydatatask_cli.recorded_outcomes import failed_jobs
from pydatatask_cli.shell_completion import complete_task

if TYPE_CHECKING:
    from pydatatask_core.pipeline import Pipeline

__all__ = ["collect_failed", "command", "print_failed"]

_TAILS = ("stderr_tail", "stdout_tail", "traceback")


async def collect_failed(
    pipeline: Pipeline, task_name: str | None = None
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the jobs that have failed.

    :param pipeline: an open pipeline.
    :param task_name: the task; all by default.
    :return: the failures, and an error for each record that cannot be read.
    """
    tasks = pipeline.tasks.values() if task_name is None else [find_task(pipeline, task_name)]
    failures: list[dict[str, Any]] = []
    errors: list[str] = []
    for task in tasks:
        records, unreadable = await failed_jobs(task)
        failures += [_failure(task.name, job, record) for job, record in records.items()]
        errors += unreadable
    return failures, errors


def _failure(task: str, job: str, record: dict[str, Any]) -> dict[str, Any]:
    return {
        "task": task,
        "job": job,
        "reason": record.get("reason") or record.get("exception") or "not recorded",
        "end_time": record.get("end_time"),
        "tail": next((record[name] for name in _TAILS if record.get(name)), ""),
    }


async def print_failed(
    pipeline: Pipeline,
    task_name: str | None = None,
    *,
    lines: int = 5,
    as_json: bool = False,
) -> None:
    """Print which jobs have failed, when and why, with the last lines of their output.

    :param pipeline: an open pipeline.
    :param task_name: the task; all by default.
    :param lines: the maximum number of lines of output per job.
    :param as_json: whether to print JSON instead.
    :raises ExitStatus: if a record cannot be read, after the other failures were printed.
    """
    failures, errors = await collect_failed(pipeline, task_name)
    if as_json:
        output.print_json({"failed": failures})
    else:
        _print_lines(failures, lines)
    output.print_errors_and_exit(errors)


def _print_lines(failures: list[dict[str, Any]], lines: int) -> None:
    for failure in failures:
        when = failure["end_time"]
        at = when.isoformat(" ", "seconds") if hasattr(when, "isoformat") else "-"
        output.print_line(failure["task"], failure["job"], at, " ".join(failure["reason"].split()))
        for text in failure["tail"].rstrip().splitlines()[-lines:] if lines else ():
            output.print_line(f"    {text}")


@click.command("failed", cls=Command, examples=("failed", "failed count -n 20"))
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="The maximum number of lines of output per job.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("task", required=False, shell_complete=complete_task)
@pass_app
def command(app: App, lines: int, as_json: bool, task: str | None) -> None:
    """Show which jobs failed, when, and why.

    Prints a line `TASK JOB DATE TIME REASON` for each job, followed by the last lines of its
    output, or of the traceback of its function, indented. If a record cannot be read, the others
    are still shown, and the exit status is 1; `retry TASK JOB` deletes the record.

    With --json: {"failed": [{"task": TASK, "job": JOB, "reason": TEXT, "end_time": TIME or null,
    "tail": TEXT}]}.
    """
    app.run(
        lambda pipeline: print_failed(pipeline, task, lines=lines, as_json=as_json),
        "read",
        tasks=[] if task is None else [task],
    )
