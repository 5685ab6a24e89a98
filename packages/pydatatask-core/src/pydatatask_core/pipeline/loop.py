"""The loop behind ``Pipeline.run``: rounds when there is news, and not more often than pays."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydatatask_core.task.base import Task

    from .pipeline import Pipeline

__all__ = ["Loop", "Progress", "RunSummary"]

ROUND_SHARE = 4.0
"""A round is followed by at least this many times its own length without one, while jobs run."""


@dataclass
class RunSummary:
    """What a run did."""

    launched: dict[str, int] = field(default_factory=dict)
    """How many jobs of each task were launched."""

    failed: dict[str, list[str]] = field(default_factory=dict)
    """The jobs of each task that have failed in this run."""

    given_up: dict[str, list[str]] = field(default_factory=dict)
    """The jobs of each task that are ready and could not be launched, or not again."""

    seconds: float = 0.0
    """How long the run took."""


@dataclass
class Progress:
    """How far a run is."""

    waiting: dict[str, int]
    """How many jobs of each task are ready and wait."""

    running: dict[str, int]
    """How many jobs of each task this process knows to be running."""

    launched: dict[str, int]
    """How many jobs of each task were launched in this run."""

    failed: dict[str, int]
    """How many jobs of each task have failed in this run."""


class Loop:
    """One run of a pipeline.

    A *round* updates every task and lists every repository. Between rounds what ended is reaped
    and what is still in the backlog is launched, which costs no listing. A round follows when
    something has ended, after a pause in proportion to what a round costs; at once when nothing
    is left to do; and after the poll interval in any case.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        forever: bool,
        launch_once: bool,
        poll: float,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._pipeline = pipeline
        self._dispatcher = pipeline._dispatcher
        self._holds = pipeline._holds
        self._tasks = pipeline._enabled
        self._forever = forever
        self._launch_once = launch_once
        self._poll = poll
        self._progress = progress
        self._event = asyncio.Event()
        self._woken: set[Task] = set()
        self._news = False
        self._launched_before = self._dispatcher.launched.copy()
        self._failed: dict[str, list[str]] = {}

    async def run(self) -> RunSummary:
        """Go on until the pipeline is quiet, or for ever."""
        start = time.monotonic()
        pipeline = self._pipeline
        pipeline._woken, pipeline._failure_listener = self._wake, self._note_failure
        try:
            launching = True
            while True:
                began = time.monotonic()
                self._news = False
                live = await pipeline._update_tasks(self._tasks)
                unknown = await pipeline._plan() if launching else False
                launching = launching and not (self._launch_once and not unknown)
                self._dispatcher.pump(self._tasks)
                self._report()
                active = live or unknown or self._active or self._news or self._holds.hopeful
                if not active and not self._forever:
                    break
                took = time.monotonic() - began
                await self._between_rounds(took)
        finally:
            await self._dispatcher.close()
            pipeline._woken = pipeline._failure_listener = None
        self._report()
        return self._summary(time.monotonic() - start)

    @property
    def _active(self) -> bool:
        return (
            self._dispatcher.busy
            or bool(self._dispatcher.backlog.tasks())
            or any(task.running for task in self._tasks)
        )

    async def _between_rounds(self, took: float) -> None:
        """Reap and launch from the backlog until another round is due."""
        now = time.monotonic()
        latest = now + self._poll
        waits = [self._holds.next_try(), *(q.next_release() for q in self._pipeline.resources)]
        latest = min([latest, *(now + wait for wait in waits if wait is not None)])
        earliest = now + ROUND_SHARE * took
        while True:
            idle = not self._active
            due = latest if not self._news else (now if idle else min(earliest, latest))
            now = time.monotonic()
            if now >= due:
                return
            await self._wait(due - now)
            await self._attend()
            now = time.monotonic()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return

    async def _attend(self) -> None:
        """Reap what has ended, and launch what there is room for now."""
        self._event.clear()
        woken, self._woken = self._woken, set()
        if woken:
            await self._pipeline._update_tasks(woken)
        self._dispatcher.release()
        self._dispatcher.pump(self._tasks)
        self._report()

    def _wake(self, task: Task | None) -> None:
        self._news = True
        if task is not None:
            self._woken.add(task)
        self._event.set()

    def _note_failure(self, task: Task, job: str) -> None:
        self._failed.setdefault(task.name, []).append(job)

    def _report(self) -> None:
        if self._progress is not None:
            self._progress(
                Progress(
                    waiting={t.name: self._dispatcher.backlog.count(t) for t in self._tasks},
                    running={t.name: len(t.running) for t in self._tasks},
                    launched=dict(self._dispatcher.launched - self._launched_before),
                    failed={name: len(jobs) for name, jobs in self._failed.items()},
                )
            )

    def _summary(self, seconds: float) -> RunSummary:
        return RunSummary(
            launched=dict(self._dispatcher.launched - self._launched_before),
            failed=self._failed,
            given_up=self._holds.given_up(),
            seconds=seconds,
        )
