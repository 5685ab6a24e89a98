"""The progress of a run: a live table on a terminal, otherwise periodic log lines."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from . import output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import RenderableType

    from pydatatask_core.pipeline import Pipeline, Progress

__all__ = ["progress_display"]

log = logging.getLogger("pydatatask.pipeline")

LOG_INTERVAL_SECONDS = 5.0
FRAME_INTERVAL_SECONDS = 0.1


@contextmanager
def progress_display(pipeline: Pipeline) -> Iterator[Callable[[Progress], None]]:
    """Yield a function to call with every :class:`Progress` of a run.

    :param pipeline: the pipeline that is run.
    """
    if not output.is_terminal():
        yield _LogLines()
        return
    from rich.live import Live

    table = _LiveTable(list(pipeline.tasks))
    # The first frame is complete: a log line during an empty frame would leave two tables.
    with Live(
        table.render(),
        console=output.console(),
        get_renderable=table.render,
        refresh_per_second=1 / FRAME_INTERVAL_SECONDS,
    ):
        yield table.update


class _LogLines:
    def __init__(self) -> None:
        self._next_at = 0.0
        self._logged: dict[str, str] = {}

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now < self._next_at:
            return
        self._next_at = now + LOG_INTERVAL_SECONDS
        for task, waiting in progress.waiting.items():
            message = (
                f"{waiting} ready, {progress.running.get(task, 0)} live, "
                f"{progress.launched.get(task, 0)} launched, {progress.failed.get(task, 0)} failed"
            )
            if self._logged.get(task) != message:
                self._logged[task] = message
                log.info("%s: %s", task, message, extra={"task": task})


class _LiveTable:
    def __init__(self, tasks: list[str]) -> None:
        self._tasks = tasks
        self._progress: Progress | None = None
        self._start = time.monotonic()

    def update(self, progress: Progress) -> None:
        self._progress = progress

    def render(self) -> RenderableType:
        seconds = time.monotonic() - self._start
        headings = ["task", "#ready", "#live", "#done", "#failed", "#rate", "#time left"]
        return output.make_table(headings, [self._row(task, seconds) for task in self._tasks])

    def _row(self, task: str, seconds: float) -> list[object]:
        progress = self._progress
        if progress is None or task not in progress.waiting:
            return [task, "", "", "", "", "", ""]
        from rich.text import Text

        ready, live = progress.waiting[task], progress.running.get(task, 0)
        done = max(0, progress.adopted.get(task, 0) + progress.launched.get(task, 0) - live)
        failed = progress.failed.get(task, 0)
        rate = done / seconds if seconds else 0.0
        left = _duration((ready + live) / rate) if rate and ready + live else ""
        return [
            task,
            ready,
            live,
            Text(str(done), "green" if done else ""),
            Text(str(failed), "bold red" if failed else ""),
            f"{rate:.1f}/s" if rate else "",
            left,
        ]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
