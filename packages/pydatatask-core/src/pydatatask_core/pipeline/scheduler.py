"""The state of an open pipeline: dispatcher, updates, background tasks and the current run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pydatatask_core.utils import cancel_and_wait

from .background_tasks import BackgroundTasks
from .dispatch import Dispatcher, noop
from .launch_guard import LaunchGuard
from .readiness import Readiness
from .run import PipelineRun
from .updates import Updates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pydatatask_core.resource_manager import ResourceManager
    from pydatatask_core.task.base import Task

    from .backlog import Priority
    from .run import Progress, RunSummary

__all__ = ["Scheduler"]

_POLL_INTERVAL_SECONDS = 1.0


class Scheduler:
    """The two phases of a round, and their state between rounds.

    :param tasks: the tasks for which the pipeline was opened.
    :param priority: function of a task's name and a job.
    """

    def __init__(self, tasks: Sequence[Task], priority: Priority | None) -> None:
        self.tasks = tasks
        self.guard = LaunchGuard()
        self.dispatcher = Dispatcher(priority, self.guard)
        self.background = BackgroundTasks()
        self.current_run: PipelineRun | None = None
        self.failures: dict[str, list[str]] = {}
        """The jobs of each task that have failed without a retry since the last run began."""
        self._readiness = Readiness()
        self._updates = Updates(self._on_late_update)

    @property
    def enabled(self) -> list[Task]:
        """The tasks that are not disabled."""
        return [task for task in self.tasks if not task.disabled]

    async def update(
        self, tasks: Iterable[Task], timeout: float | None = None
    ) -> dict[Task, bool | None]:
        """Update tasks concurrently and return which are active; see :class:`Updates`."""
        return await self._updates.update(tasks, timeout)

    async def refresh(self, tasks: Iterable[Task], timeout: float) -> None:
        """Update tasks of which a job has just ended."""
        await self._updates.refresh(tasks, timeout)

    async def plan(self, tasks: Sequence[Task], skipped: Iterable[Task] = ()) -> set[Task]:
        """List the repositories that tasks depend on, and replace the backlog by the ready jobs.

        :param tasks: the tasks.
        :param skipped: tasks to treat as unknown without listing their repositories.
        :return: the tasks whose ready jobs are unknown.
        """
        self.dispatcher.begin_listing(tasks)
        ready = await self._readiness.gather(tasks)
        ready.update(dict.fromkeys(skipped))
        self.dispatcher.set_ready(ready)
        return {task for task, ready_jobs in ready.items() if ready_jobs is None}

    async def launch(self) -> None:
        """Launch jobs of the backlog until no more can be launched."""
        try:
            await self.dispatcher.drain(self.enabled)
        finally:
            self.guard.report()

    @property
    def launched(self) -> int:
        """The number of jobs launched since the pipeline was opened."""
        return self.dispatcher.launched.total()

    @property
    def is_waiting(self) -> bool:
        """True if any job is ready to be launched, or will be retried."""
        due = any(task.due_retries for task in self.tasks)
        return due or self.guard.has_pending_retries or bool(self.dispatcher.backlog.tasks())

    async def stop(self) -> None:
        """Stop launching and updating; pending launches and updates get a limited time."""
        await asyncio.gather(self.dispatcher.close(), self._updates.close())

    async def close(self) -> None:
        """Stop all workers, updates and background tasks."""
        await self.stop()
        await self.background.close()

    async def run(
        self,
        quotas: Sequence[ResourceManager],
        forever: bool,
        launch_once: bool,
        poll: float,
        progress: Callable[[Progress], None] | None,
    ) -> RunSummary:
        """Run a loop until it is quiet; see :class:`PipelineRun` for the parameters."""
        self.failures = {}
        return await self._run_to_end(
            PipelineRun(self, quotas, forever, launch_once, poll, progress)
        )

    async def complete_local(self, quotas: Sequence[ResourceManager]) -> RunSummary:
        """Run a loop over the jobs that end with this process, until none is left.

        :param quotas: the quotas that launches are subject to.
        """
        local = [task for task in self.tasks if task.ends_with_process]
        self.dispatcher.backlog.retain(local)
        return await self._run_to_end(
            PipelineRun(self, quotas, False, True, _POLL_INTERVAL_SECONDS, None, local)
        )

    async def _run_to_end(self, run: PipelineRun) -> RunSummary:
        """Run a loop in an asyncio task of its own, and end it if the caller is cancelled.

        Before Python 3.13, a failing TaskGroup in a third party's store may swallow a cancellation
        and leave the cancellation count of the waiting task raised. Neither must prevent a timeout
        or Ctrl-C from working.
        """
        self.current_run = run
        self.dispatcher.notify = run.notify
        running = asyncio.create_task(run.run(), name="pydatatask run")
        try:
            await asyncio.wait({running})
        except asyncio.CancelledError as e:
            run.fail(e)
            await cancel_and_wait({running})
            raise
        finally:
            self.current_run = None
            self.dispatcher.notify = noop
        return running.result()

    def record_failure(self, task: Task, job: str) -> None:
        """Record that a job has failed and is not retried."""
        self.failures.setdefault(task.name, []).append(job)

    # -- events of tasks and quotas --------------------------------------------------------------

    def wake(self, task: Task) -> None:
        """Request an update of a task after one of its jobs has ended."""
        if self.current_run is not None:
            self.current_run.wake(task)

    def on_quota_released(self) -> None:
        """Retry refused jobs after a quota was released."""
        if self.current_run is not None:
            self.current_run.on_quota_released()

    def _on_late_update(self, task: Task, requested_again: bool) -> None:
        if self.current_run is not None:
            self.current_run.wake(task) if requested_again else self.current_run.notify(True)
