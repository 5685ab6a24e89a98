"""Repeated display of the status."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING

from . import output
from .commands.status import collect_status, print_status, status_table
from .errors import ExitStatus

if TYPE_CHECKING:
    from pydatatask_core.pipeline import Pipeline

__all__ = ["watch_status"]


async def watch_status(
    pipeline: Pipeline, all_repos: bool, every: float, *, as_json: bool = False
) -> None:
    """Display the status repeatedly until interrupted.

    :param pipeline: an open pipeline.
    :param all_repos: whether to include links that are neither input nor output nor status.
    :param every: seconds between displays.
    :param as_json: whether to print JSON, one object per line.
    """
    if as_json or not output.is_terminal():
        while True:
            await _once(pipeline, all_repos, as_json)
            await asyncio.sleep(every)
    from rich.live import Live

    first = status_table(await collect_status(pipeline, all_repos))
    with Live(first, console=output.console(), auto_refresh=False) as live:
        while True:
            await asyncio.sleep(every)
            live.update(status_table(await collect_status(pipeline, all_repos)), refresh=True)


async def _once(pipeline: Pipeline, all_repos: bool, as_json: bool) -> None:
    if as_json:
        output.print_line(output.json_text(await collect_status(pipeline, all_repos)))
    else:
        with contextlib.suppress(ExitStatus):  # it was printed; the next attempt may succeed
            await print_status(pipeline, all_repos)
    sys.stdout.flush()
