"""``update``: one round."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import click

from pydatatask_cli.app import App, pass_app
from pydatatask_cli.command import Command
from pydatatask_cli.errors import ExitStatus

if TYPE_CHECKING:
    from pydatatask_core.pipeline import Pipeline

__all__ = ["command", "update"]


async def update(pipeline: Pipeline) -> None:
    """Perform one round: look after what runs, then launch what is ready.

    :param pipeline: an open pipeline.
    """
    await pipeline.update()


@click.command("update", cls=Command, examples=("update",))
@pass_app
def command(app: App) -> None:
    """Keep the pipeline in motion: one round.

    What has ended is reaped, then what is ready is launched. For a pipeline that is kept in motion
    by cron, for instance; `run` does this until nothing is left to do. Exits with 1 if part of that
    could not be done, a listing for one; jobs that have failed are no such part.
    """
    errors = _Errors()
    logger = logging.getLogger("pydatatask")
    logger.addHandler(errors)
    try:
        app.run(update, "drive")
    finally:
        logger.removeHandler(errors)
    if errors.any:
        raise ExitStatus(1)


class _Errors(logging.Handler):
    """Notes whether an error is logged: a round goes on after one, and does what it can."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.any = False

    def emit(self, record: logging.LogRecord) -> None:
        self.any = True
