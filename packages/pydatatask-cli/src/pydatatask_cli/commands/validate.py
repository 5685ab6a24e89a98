"""``validate``: check a pipeline."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import click

from pydatatask_cli import output
from pydatatask_cli.app import App, pass_app
from pydatatask_cli.command import Command
from pydatatask_cli.errors import ExitStatus
from pydatatask_core.errors import describe

if TYPE_CHECKING:
    from pydatatask_core.pipeline import Pipeline

__all__ = ["command"]


async def _report(pipeline: Pipeline, warnings: _Warnings) -> None:
    from pydatatask_core.pipeline.output_audit import warn_of_done_without_output
    from pydatatask_core.pipeline.validation import log_config_warnings

    await log_config_warnings(list(pipeline.tasks.values()))
    await warn_of_done_without_output(pipeline.tasks.values())
    repos = {id(link.repo): link.repo for t in pipeline.tasks.values() for link in t.links.values()}
    errors = []
    for repo in repos.values():
        try:
            await repo.keys()
        except Exception as e:  # noqa: BLE001 - all errors are printed
            errors.append(describe(e))
    for error in dict.fromkeys(errors):
        output.print_error(error)
    if errors:
        raise ExitStatus(1)
    issue = f"no errors, warnings: {warnings.count}" if warnings.count else "nothing is wrong"
    output.print_line(f"{len(pipeline.tasks)} tasks, {len(repos)} repositories: {issue}")


class _Warnings(logging.Handler):
    """Counts warnings."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


@click.command("validate", cls=Command, examples=("validate",))
@pass_app
def command(app: App) -> None:
    """Check the pipeline and its repositories without launching.

    Errors are printed, and the exit status is not 0 then. Warnings are printed for configurations
    that are valid but probably not intended, and for jobs that are done without one of their
    outputs. Nothing is created.
    """
    logger, warnings = logging.getLogger("pydatatask"), _Warnings(logging.WARNING)
    logger.addHandler(warnings)
    try:
        app.run(lambda pipeline: _report(pipeline, warnings), strict=True)
    finally:
        logger.removeHandler(warnings)
