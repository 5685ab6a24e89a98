"""The base class of tasks whose jobs outlive the driver: processes, pods, jobs of a cluster."""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pydatatask_core.errors import LaunchRefusedError, TaskError
from pydatatask_core.task.base import Task
from pydatatask_core.task.durations import parse_window
from pydatatask_core.task.logging_task import LoggingTask, find_log_links, open_repositories

from .phase import Phase

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from datetime import timedelta

    from pydatatask_core.repository.base import Repository
    from pydatatask_core.repository.blob import BlobRepository
    from pydatatask_core.repository.metadata import MetadataRepository
    from pydatatask_core.resource_manager import ResourceManager, Resources
    from pydatatask_core.task.retries import Retries
    from pydatatask_core.task.runtime import Runtime
    from pydatatask_core.utils import AReadStream

    from .tracker import JobTracker, TrackedJob

__all__ = ["MAX_PENDING_RECORDS", "DetachedTask"]

MAX_PENDING_RECORDS = 64
"""The number of unrecorded outcomes from which on no more jobs are launched."""

_FIRST_RELAUNCH_DELAY_SECONDS = 1.0

J = TypeVar("J", bound="TrackedJob")


class DetachedTask(Task, ABC, Generic[J]):
    """A task whose jobs run outside of the driver and continue when it ends.

    This class has the life of a job that all such tasks share. A subclass has its configuration,
    and implements the abstract methods with a :class:`JobTracker`, which finds the jobs of an
    earlier driver and observes all jobs, an :class:`OutcomeRecorder`, and a launcher. At the end of
    its constructor it calls :meth:`_start_tracking`.

    :param name: the name of the task.
    :param ready: a repository of the jobs to launch.
    :param disabled: whether the pipeline skips this task.
    :param quota: the quota of the jobs.
    :param window: how long a launch counts against the launch rate of the quota.
    :param done: the repository of outcomes, if there is one.
    :param retries: how often a failed job is retried before its failure is recorded.
    :param concurrency: the maximum number of jobs that run at once.
    """

    event_driven = True

    poll_interval_seconds: ClassVar[float] = 0.05
    """The interval at which a job is polled while a caller waits for its end."""

    _tracker: JobTracker[J]

    def __init__(
        self,
        name: str,
        ready: Repository | None,
        disabled: bool,
        *,
        quota: ResourceManager,
        window: timedelta | float,
        done: MetadataRepository | None,
        retries: int | Retries,
        concurrency: int | None,
    ) -> None:
        super().__init__(name, ready, disabled, retries=retries, concurrency=concurrency)
        self.quota = quota
        self.window = parse_window(name, window)
        self.done = done

    def _start_tracking(self) -> None:
        """Create the tracker and register the quota, when the configuration is complete."""
        self._tracker = self._create_tracker()
        self.quota.register(self._usage, window=self.window)

    # -- differences between kinds of tasks ------------------------------------------------------

    @abstractmethod
    def _create_tracker(self) -> JobTracker[J]:
        """Create the tracker of the jobs, for as long as a pipeline is open."""

    @abstractmethod
    def _forget_connection(self) -> None:
        """Discard the process manager or pod manager that is cached while a pipeline is open."""

    @abstractmethod
    async def _usage(self) -> Resources:
        """Return the share of the quota that the jobs take, and the recent launches."""

    @abstractmethod
    async def _launch(self, tracked: J) -> None:
        """Launch a job within the quota, which it holds afterwards.

        If this raises, nothing has changed, unless ``maybe_started`` of the job is true.

        :param tracked: the job.
        :raises LaunchRefusedError: if the quota is exhausted.
        """

    @abstractmethod
    async def _kill_untracked(self, job: str, grace: float | None) -> bool:
        """Kill a job that this process does not track; see :meth:`kill`."""

    @property
    @abstractmethod
    def log_repositories(self) -> Sequence[BlobRepository]:
        """The repositories that receive the output of a finished job, in reading order."""

    @abstractmethod
    def stream_logs(self, job: str, *, follow: bool = False) -> AsyncGenerator[bytes, None]:
        """Yield the output of a live job so far; see :meth:`LoggingTask.stream_logs`."""

    async def settled(self, job: str, record: Mapping[str, Any]) -> None:
        """Handle the outcome of a job that will not be retried; a hook for subclasses.

        It is called before the process or pod is removed, and again if it or a later step fails.

        :param job: the job.
        :param record: the record of its outcome.
        """

    # -- opening ---------------------------------------------------------------------------------

    def attach(self, runtime: Runtime | None) -> None:
        super().attach(runtime)
        self._tracker.close()
        self._forget_connection()
        self.is_connected = False
        self._tracker = self._create_tracker()

    @property
    def drives(self) -> bool:
        """True if this process is the one that manages all jobs of the task."""
        return self.runtime is None or self.runtime.mode == "drive"

    @property
    def quotas(self) -> tuple[ResourceManager, ...]:
        return (self.quota,)

    @property
    def running(self) -> AbstractSet[str]:
        return self._tracker.jobs.keys()

    @property
    def idle(self) -> AbstractSet[str]:
        return super().idle | self._tracker.stopped

    @property
    def quarantined(self) -> AbstractSet[str]:
        return self._tracker.quarantined.keys()

    @property
    def recording_repositories(self) -> Mapping[str, Repository]:
        return find_log_links(self, self.log_repositories)

    def open_logs(self, job: str) -> AsyncGenerator[tuple[str, AReadStream], None]:
        """Open the output of a finished job; see :meth:`LoggingTask.open_logs`."""
        return open_repositories(self, self.log_repositories, job)

    # -- rounds ----------------------------------------------------------------------------------

    async def update(self) -> bool:
        """Record the jobs that have ended, and retry the operations that failed before.

        In a running loop this does not wait for them. Only jobs without an exit notification are
        polled.
        """
        tracker = self._tracker
        if not tracker.adopted:
            await tracker.adopt()
        jobs = list(tracker.jobs.values())
        expects_changes = await tracker.poll(jobs)
        if not jobs:
            return expects_changes
        tracker.record_exited(jobs)
        if self.runtime is None:
            await self.launch_due_retries()
        if self.runtime is None or not self.runtime.looping:
            await tracker.wait_recorded()
        return True

    async def launch(self, job: str) -> None:
        """Launch a job; in synchronous mode, wait for its end.

        :raises UnrecordableJobError: if its outcome could not be recorded.
        :raises LaunchRefusedError: if the quota is exhausted, or too many outcomes are unrecorded.
        :raises TaskError: if the job is running already, or must not be launched again.
        """
        tracker = self._tracker
        self.check_recordable(job)
        if not tracker.adopted:
            await tracker.adopt()
        if job not in tracker.jobs:
            await tracker.check_launch(job)
        tracked = tracker.jobs.get(job)
        if tracked is None:
            tracked = tracker.jobs[job] = tracker.new_job(job)
        elif tracked.phase is Phase.WAITING:
            self._waiting.discard(job)
            tracked.begin_attempt()
            tracker.set_phase(tracked, Phase.LAUNCHING)
        else:
            raise TaskError(f"{self.name}: job {job!r} is running already")
        await self._start(tracked)
        if self.synchronous:
            await self._run_to_end(tracked)

    async def _start(self, tracked: J) -> None:
        tracker = self._tracker
        try:
            if tracker.pending_records >= MAX_PENDING_RECORDS:
                raise LaunchRefusedError(self.name, tracked.job, "unrecorded job outcomes")
            await self._launch(tracked)
        except BaseException as e:
            if tracked.maybe_started:
                tracker.watch_unexpected(tracked)
            elif not tracked.is_retry:
                tracker.untrack(tracked)
            elif isinstance(e, LaunchRefusedError):  # the pipeline tries it when there is room
                tracker.set_phase(tracked, Phase.WAITING)
                self._waiting.add(tracked.job)
            else:
                tracker.schedule_retry(tracked, tracked.next_delay(_FIRST_RELAUNCH_DELAY_SECONDS))
            raise
        if not tracked.finished.is_set():
            tracker.watch(tracked)

    async def _run_to_end(self, tracked: J) -> None:
        """Wait until a job is finished, and do the work that a pipeline would do otherwise."""
        tracker = self._tracker
        while not tracked.finished.is_set():
            await tracker.poll([tracked])
            tracker.record_exited([tracked])
            if tracked.phase is Phase.WAITING and time.monotonic() >= tracked.not_before:
                with contextlib.suppress(LaunchRefusedError):
                    return await self.launch(tracked.job)
            await self._wait_finished(tracked)
        return None

    async def _wait_finished(self, tracked: J) -> None:
        """Wait until a job is finished, or has to be polled."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(tracked.finished.wait(), self.poll_interval_seconds)

    # -- ending jobs early -----------------------------------------------------------------------

    async def kill(self, job: str, *, grace: float | None = None) -> bool:
        """Terminate a live job, and kill it if it does not exit; it counts as failed.

        If this process drives the task, this returns when the outcome is recorded, as ``killed``;
        otherwise when the job has exited, and the driver records it, now or when one starts. A job
        that waits for a retry is recorded as killed and not launched again. A job that ends by
        itself meanwhile is recorded with its own outcome, and not retried.

        :param job: the job.
        :param grace: the seconds after which it is killed; by default ten for a process, and the
            grace period of its pod for a pod.
        :return: whether the job was live.
        """
        tracker = self._tracker
        if not tracker.adopted:
            await tracker.adopt()
        tracked = tracker.jobs.get(job)
        if tracked is None:
            return await self._kill_untracked(job, grace)
        tracked.is_final_attempt = True
        while not tracked.finished.is_set():
            await tracked.launched.wait()
            if tracked.awaits_retry and not tracked.recording:
                self.cancel_retry(job)
                tracked.cancel()
                tracker.set_phase(tracked, Phase.EXITED)
            elif tracked.phase is Phase.RUNNING:
                await tracker.terminate(tracked, grace)
            tracker.record_exited([tracked])
            await self._wait_finished(tracked)
        return True


# It has the same methods, and one ancestor less.
LoggingTask.register(DetachedTask)  # type: ignore[type-abstract]
