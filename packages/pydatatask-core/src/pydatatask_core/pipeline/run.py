"""The loop of ``Pipeline.run``, which makes rounds after events and limits their share of time."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pydatatask_core.resource_manager import ResourceManager
    from pydatatask_core.task.base import Task

    from .scheduler import Scheduler

__all__ = ["PipelineRun", "Progress", "RunSummary"]

ROUND_PAUSE_FACTOR = 4.0
"""While jobs run, a round is followed by a pause of at least this many times its duration."""

UPDATE_TIMEOUT_SECONDS = 1.0
"""Seconds that a round waits for updates; a task whose update takes longer is left out of it."""


@dataclass
class RunSummary:
    """The results of a run."""

    launched: dict[str, int] = field(default_factory=dict)
    """The number of launched jobs by task."""

    failed: dict[str, list[str]] = field(default_factory=dict)
    """The jobs of each task that have failed in this run."""

    given_up: dict[str, list[str]] = field(default_factory=dict)
    """The jobs of each task that are ready but could not be launched, or not launched again.

    This includes jobs with a record that refers to something that does not belong to the job.
    """

    seconds: float = 0.0
    """The duration of the run in seconds."""


@dataclass
class Progress:
    """The progress of a run."""

    waiting: dict[str, int]
    """The number of ready jobs that wait, by task."""

    running: dict[str, int]
    """The number of jobs that this process knows to be running, by task."""

    launched: dict[str, int]
    """The number of jobs launched in this run, by task."""

    failed: dict[str, int]
    """The number of jobs that have failed in this run, by task."""

    adopted: dict[str, int] = field(default_factory=dict)
    """The number of jobs of earlier runs that were live when this run began, by task."""


class PipelineRun:
    """One run of a pipeline.

    A *round* updates every task and lists every repository. Between rounds, ended jobs are reaped
    and jobs from the backlog are launched, which needs no listing. The next round follows after a
    job has ended, with a pause in proportion to the duration of a round, unless every task has jobs
    in the backlog; at once if nothing is left to do; and in any case after the poll interval or the
    duration of a round, if that is longer.

    :param scheduler: the scheduler of the open pipeline.
    :param quotas: the quotas that launches are subject to.
    :param forever: whether to go on when it is quiet.
    :param launch_once: whether to launch only the jobs of the first listing.
    :param poll: seconds between rounds in which nothing happens; at least the duration of the
        last round is used.
    :param progress: called with the progress after every step.
    :param only: the tasks to process without listing repositories: only jobs found ready before
        are launched. By default all tasks, with listings.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        quotas: Sequence[ResourceManager],
        forever: bool,
        launch_once: bool,
        poll: float,
        progress: Callable[[Progress], None] | None,
        only: Sequence[Task] | None = None,
    ) -> None:
        self._scheduler = scheduler
        self._dispatcher = scheduler.dispatcher
        self._guard = scheduler.guard
        self._quotas = quotas
        self._tasks = scheduler.enabled if only is None else list(only)
        self._forever = forever
        self._launch_once = launch_once
        self._poll = poll
        self._progress = progress
        self._tasks_to_plan = list(self._tasks) if only is None else []
        self._wakeup = asyncio.Event()
        self._woken: set[Task] = set()
        self._round_requested = False
        self._quota_released = False
        self._error: BaseException | None = None
        self._launched_before = self._dispatcher.launched
        self._adopted = {task.name: len(task.running) for task in self._tasks}

    async def run(self) -> RunSummary:
        """Run rounds until the pipeline is quiet, or forever."""
        start = time.monotonic()
        try:
            await self._run_rounds()
        finally:
            await self._scheduler.stop()
            self._guard.report()
        self._report()
        return self._summary(time.monotonic() - start)

    async def _run_rounds(self) -> None:
        polled = self._dispatcher.polled_launches
        while True:
            self._raise_error()
            began = time.monotonic()
            self._round_requested = False
            updated = await self._scheduler.update(self._tasks, UPDATE_TIMEOUT_SECONDS)
            unknown = await self._plan(updated)
            self._dispatcher.start_workers(self._tasks)
            self._report()
            live = any(active is not False for active in updated.values())
            before, polled = polled, self._dispatcher.polled_launches
            active = live or unknown or self._round_requested or self._has_work or polled != before
            if not (
                active or self._forever or (self._tasks_to_plan and self._guard.has_pending_retries)
            ):
                return
            await self._between_rounds(time.monotonic() - began)

    async def _plan(self, updated: dict[Task, bool | None]) -> bool:
        """Find the jobs to launch; return whether the readiness of any task is unknown."""
        if not self._tasks_to_plan:
            # A refusal may follow the notification of the room that would have lifted it.
            self._dispatcher.release()
            return False
        late = [task for task in self._tasks_to_plan if updated[task] is None]
        tasks = [task for task in self._tasks_to_plan if updated[task] is not None]
        unknown = await self._scheduler.plan(tasks, skipped=late)
        if self._launch_once:
            self._tasks_to_plan = [task for task in self._tasks_to_plan if task in unknown]
        return bool(unknown)

    @property
    def _has_work(self) -> bool:
        return (
            self._dispatcher.busy
            or bool(self._dispatcher.backlog.tasks())
            or any(task.running for task in self._tasks)
        )

    async def _between_rounds(self, round_seconds: float) -> None:
        """Reap and launch from the backlog until another round is due."""
        start = time.monotonic()
        while True:
            now = time.monotonic()
            due = start + max(
                self._poll, round_seconds
            )  # rounds never take more than half of the time
            retry_seconds = self._guard.seconds_until_retry() if self._tasks_to_plan else None
            if retry_seconds is not None:
                due = min(due, now + retry_seconds)
            if self._round_requested and not self._dispatcher.has_jobs_for_all(self._tasks_to_plan):
                due = min(
                    due, start + ROUND_PAUSE_FACTOR * round_seconds if self._has_work else now
                )
            if now >= due:
                return
            await self._wait(due - now)
            await self._process_wakeup()

    async def _wait(self, seconds: float) -> None:
        """Wait for an event, the next release of a quota, or a timeout."""
        releases = [quota.next_release() for quota in self._quotas]
        release = min((r for r in releases if r is not None), default=None)
        release_first = release is not None and release <= seconds
        try:
            async with asyncio.timeout(release if release_first else seconds):
                await self._wakeup.wait()
        except TimeoutError:
            self._quota_released |= release_first  # a quota may have been released now

    async def _process_wakeup(self) -> None:
        """Reap ended jobs, and launch jobs for which there is room now."""
        self._raise_error()
        self._wakeup.clear()
        tasks, self._woken = self._woken, set()
        if tasks:
            await self._scheduler.refresh(tasks, UPDATE_TIMEOUT_SECONDS)
        quota_released, self._quota_released = self._quota_released, False
        self._dispatcher.release(None if quota_released else tasks)
        self._dispatcher.start_workers(self._tasks)
        self._report()

    # -- events ----------------------------------------------------------------------------------

    def notify(self, request_round: bool) -> None:
        """Wake the loop, and request a round if more jobs may be ready."""
        if request_round:
            self._round_requested = True
        self._wakeup.set()

    def wake(self, task: Task) -> None:
        """Request an update of a task after one of its jobs has ended."""
        self._woken.add(task)
        self.notify(True)

    def on_quota_released(self) -> None:
        """Retry refused jobs after a quota was released."""
        self._quota_released = True
        self.notify(False)

    def fail(self, error: BaseException) -> None:
        """End the run with an error."""
        self._error = error
        self.notify(True)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    # -- reports ---------------------------------------------------------------------------------

    def _report(self) -> None:
        if self._progress is not None:
            self._progress(
                Progress(
                    waiting={t.name: self._dispatcher.backlog.count(t) for t in self._tasks},
                    running={t.name: len(t.running) for t in self._tasks},
                    launched=dict(self._dispatcher.launched - self._launched_before),
                    failed={name: len(jobs) for name, jobs in self._scheduler.failures.items()},
                    adopted=self._adopted,
                )
            )

    def _summary(self, seconds: float) -> RunSummary:
        return RunSummary(
            launched=dict(self._dispatcher.launched - self._launched_before),
            failed=self._scheduler.failures,
            given_up=self._abandoned(),
            seconds=seconds,
        )

    def _abandoned(self) -> dict[str, list[str]]:
        abandoned = self._guard.abandoned()
        for task in self._tasks:
            if task.quarantined:
                abandoned[task.name] = sorted(task.quarantined | set(abandoned.get(task.name, ())))
        return abandoned
