"""``run``: run rounds until the pipeline is quiet."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from pydatatask_cli.app import App, pass_app
from pydatatask_cli.command import Command
from pydatatask_cli.errors import ExitStatus
from pydatatask_cli.log_setup import configure_logging
from pydatatask_cli.output import print_info

if TYPE_CHECKING:
    from pydatatask_core.pipeline import Pipeline, RunSummary

__all__ = ["command", "run"]

NEW_FAILURES = 1


async def run(
    pipeline: Pipeline,
    forever: bool = False,
    launch_once: bool = False,
    timeout: float | None = None,
    *,
    poll: float = 1.0,
) -> RunSummary:
    """Run updates in a loop until everything is quiet, and show the progress.

    :param pipeline: an open pipeline.
    :param forever: whether to go on when it is quiet.
    :param launch_once: whether to launch only the jobs that are ready at the beginning.
    :param timeout: maximum duration in seconds; jobs that run elsewhere are left running.
    :param poll: seconds between rounds in which nothing happens.
    :raises TimeoutError: if the timeout expires.
    """
    from pydatatask_cli.progress import progress_display

    with progress_display(pipeline) as display:
        try:
            return await pipeline.run(
                forever=forever,
                launch_once=launch_once,
                timeout=timeout,
                poll=poll,
                progress=display,
            )
        except asyncio.CancelledError:
            _print_surviving_jobs(pipeline)
            raise
        except TimeoutError as e:
            raise TimeoutError(
                f"the pipeline is not quiet after {timeout:g} s; running jobs are left running"
                if timeout is not None
                else str(e)
            ) from e


def _print_surviving_jobs(pipeline: Pipeline) -> None:
    """Print the tasks with jobs that outlive this process, which can be killed from another."""
    surviving = [
        f"{task.name} {len(task.running)}"
        for task in pipeline.tasks.values()
        if task.running and hasattr(task, "kill")
    ]
    if surviving:
        print_info(f"jobs that go on, and that the next run will adopt: {', '.join(surviving)}")


@click.command(
    "run",
    cls=Command,
    examples=(
        "run",
        "run --forever --poll 10",
        "run --launch-once --timeout 3600",
    ),
)
@click.option("--forever", is_flag=True, help="Go on when everything is quiet.")
@click.option(
    "--launch-once", is_flag=True, help="Launch only jobs that are ready now; wait for their end."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Stop after this time; running jobs are left running.",
)
@click.option(
    "--poll",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Pause between rounds in which nothing happens.",
)
@click.option("--ok-failures", is_flag=True, help="Exit with 0 even if jobs have failed.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@pass_app
def command(
    app: App,
    forever: bool,
    launch_once: bool,
    timeout: float | None,
    poll: float,
    ok_failures: bool,
    as_json: bool,
) -> None:
    """Run updates in a loop until everything is quiet.

    Shows the progress of each task, on a terminal as a table, otherwise as periodic lines. At the
    end it lists the jobs that failed in this run, and exits with 1 if there are any. It also lists
    jobs that earlier runs recorded as successes although they lack an output. Ctrl-C stops it: jobs
    that run elsewhere go on, and the next run adopts them.

    With --json: {"launched": {TASK: NUMBER}, "failed": {TASK: [JOB]}, "given_up": {TASK: [JOB]},
    "seconds": NUMBER, "done_without_output": {TASK: {LINK: [JOB]}}, only if there are any}.
    """
    from pydatatask_cli.summary import print_summary
    from pydatatask_core.pipeline.output_audit import find_done_without_output

    if not app.debug:
        configure_logging("INFO")

    async def run_and_look(pipeline: Pipeline) -> tuple[RunSummary, dict[str, Any]]:
        summary = await run(pipeline, forever, launch_once, timeout, poll=poll)
        return summary, await find_done_without_output(pipeline.tasks.values())

    summary, without_output = app.run(run_and_look, "drive")
    print_summary(summary, without_output, as_json=as_json)
    if (summary.failed or summary.given_up) and not ok_failures:
        raise ExitStatus(NEW_FAILURES)
