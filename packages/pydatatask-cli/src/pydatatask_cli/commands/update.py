"""``update``: run one round."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import click

from pydatatask_cli.app import App, pass_app
from pydatatask_cli.command import Command
from pydatatask_cli.errors import ExitStatus

if TYPE_CHECKING:
    from pydatatask_core.pipeline import Pipeline, RunSummary

__all__ = ["command", "update"]


async def update(pipeline: Pipeline) -> RunSummary:
    """Run one round: reap ended jobs, then launch ready jobs.

    Jobs that would end with this process are run to their recorded end.

    :param pipeline: an open pipeline.
    """
    await pipeline.update()
    return await pipeline.complete_local_jobs()


@click.command("update", cls=Command, examples=("update", "update --ok-failures"))
@click.option("--ok-failures", is_flag=True, help="Exit with 0 even if jobs have failed.")
@pass_app
def command(app: App, ok_failures: bool) -> None:
    """Run one round of the pipeline.

    Reaps ended jobs, then launches ready jobs; for a pipeline that is driven by cron, for instance.
    `run` repeats this until nothing is left to do. Functions and jobs of executors end with this
    process, so it waits for their end, retries included; processes and pods go on by themselves.
    Exits with 1 if jobs have failed, or if a part of the round failed, such as a listing.
    """
    errors = _Errors()
    logger = logging.getLogger("pydatatask")
    logger.addHandler(errors)
    try:
        summary = app.run(update, "drive")
    finally:
        logger.removeHandler(errors)
    if errors.any_logged or summary.given_up or (summary.failed and not ok_failures):
        raise ExitStatus(1)


class _Errors(logging.Handler):
    """Records whether an error is logged, because a round goes on after an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.any_logged = False

    def emit(self, record: logging.LogRecord) -> None:
        self.any_logged = True
