"""``update``: one round."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pydatatask_cli.app import App, pass_app
from pydatatask_cli.command import Command

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
    by cron, for instance; `run` does this until nothing is left to do.
    """
    app.run(update, "drive")
