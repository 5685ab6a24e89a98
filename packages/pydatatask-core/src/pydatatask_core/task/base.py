"""The base class of all tasks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, ClassVar

from pydatatask_core.errors import (
    InvalidJobIdError,
    LaunchRefusedError,
    TaskConfigurationError,
    UnrecordableJobError,
)

from .links import Linked
from .required_outputs import OutputCheck

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from pydatatask_core.repository.base import Repository
    from pydatatask_core.resource_manager import ResourceManager, Resources

    from .retries import Retries
    from .runtime import Runtime
    from .shared_outputs import SharedOutputs

__all__ = ["Task"]

log = logging.getLogger("pydatatask.task")


class Task(Linked, ABC):
    """One step of a computation, which runs once per job.

    A subclass implements :meth:`update` and :meth:`launch`. A subclass that calls :meth:`wake`
    whenever a job ends sets ``event_driven``, so that the pipeline does not poll it.

    :param name: the name of the task, unique in its pipeline.
    :param ready: the jobs to launch; by default those that are in every repository required for
        start and in none that inhibits it.
    :param disabled: whether the pipeline skips this task.
    :param retries: how often a failed job is retried before its failure is recorded.
    :param concurrency: the maximum number of jobs of this task that run at once; unlimited by
        default.
    """

    is_connected = False
    """True if the task keeps a connection until another pipeline is attached to it."""

    event_driven: ClassVar[bool] = False
    """True if :meth:`wake` is called whenever a job ends, so that polling finds nothing more."""

    completes_in_launch: ClassVar[bool] = False
    """True if the job has ended when :meth:`launch` returns."""

    ends_with_process: ClassVar[bool] = False
    """True if jobs run in this process or its executor, and are lost when it exits."""

    def __init__(
        self,
        name: str,
        ready: Repository | None = None,
        disabled: bool = False,
        *,
        retries: int | Retries = 0,
        concurrency: int | None = None,
    ) -> None:
        super().__init__(name, ready)
        if concurrency is not None and (not isinstance(concurrency, int) or concurrency < 1):
            raise TaskConfigurationError(
                f"{name}: concurrency has to be a whole number of at least 1, not {concurrency!r}"
            )
        # Imported here so that defining a task is cheap: dataclasses costs 2 to 10 ms.
        from .retries import Retries

        self.disabled = disabled
        self.retries = Retries.of(retries)
        self.concurrency = concurrency
        self.synchronous = False
        self.metadata = True
        self.runtime: Runtime | None = None
        self.shared_outputs: SharedOutputs | None = None
        """The keys published to stores that other tasks write to as well; None without such."""
        self.case_insensitive_records: dict[str, Repository] = {}
        """The :attr:`recording_repositories` that ignore case in job ids, by link name."""
        self.due_retries: deque[str] = deque()
        """Jobs whose retry delay is over."""
        self.output_check = OutputCheck(self)
        self._waiting: set[str] = set()
        self.retry_timers: dict[str, asyncio.TimerHandle] = {}
        """The timer of each job that waits for a retry; for :meth:`finish_retry_wait`."""

    async def validate(self) -> None:
        """Raise an exception if the task is misconfigured.

        The pipeline calls this exactly once each time it is opened, before anything is launched,
        so it may also do asynchronous setup.

        :raises TaskConfigurationError: if the task cannot work with its configuration.
        """

    async def config_warnings(self) -> Iterable[str]:
        """Return warnings about a configuration that is valid but probably unintended.

        :return: one sentence per warning. A warning that several tasks share is logged once.
        """
        return ()

    @abstractmethod
    async def update(self) -> bool:
        """Do the first part of a round: check the running jobs, typically record those that ended.

        :return: whether anything changed, or any job is live.
        """

    @abstractmethod
    async def launch(self, job: str) -> None:
        """Launch a job. An exception is reported and does not affect other jobs.

        :param job: the job.
        :raises LaunchRefusedError: if a quota is exhausted, so that the job has to wait.
        """

    async def clean_up(self, jobs: Collection[str]) -> None:
        """Remove the remains of jobs whose outcome is recorded.

        Called before such records are deleted. Otherwise the remains that a driver left when it
        died would be found later, and the jobs recorded again.

        :param jobs: the jobs.
        """

    def references(self) -> Iterable[object]:
        """Return the objects that a job of this task uses, to find their session resources."""
        return [self, *(link.repo for link in self.links.values())]

    @property
    def quotas(self) -> tuple[ResourceManager, ...]:
        """The quotas that jobs of this task draw on, for the pipeline."""
        return ()

    def launch_capacity(self) -> int | None:
        """Return how many more launches the quotas allow now, without any request.

        :return: None if only a launch can find out.
        """
        return None

    @property
    def recording_repositories(self) -> Mapping[str, Repository]:
        """The repositories that hold a job under its own id once it has ended, by link name.

        A job whose id one of them cannot hold is not launched. By default these are the status
        links; a task that writes outputs itself adds those.
        """
        return self.status

    def check_recordable(self, job: str) -> None:
        """Check that the end of a job can be recorded. Every launch calls this first.

        :param job: the job.
        :raises UnrecordableJobError: naming every repository that cannot hold the job.
        """
        if self._max_plain_length < 0:
            self._max_plain_length = self._find_max_plain_length()
        # Fast path for the usual ids: ten times as fast.
        plain = isinstance(job, str) and job.isalnum() and job.isascii()
        if plain and len(job) <= self._max_plain_length:
            return
        problems = []
        for name, repo in self.recording_repositories.items():
            try:
                repo.check_job_id(job)
            except InvalidJobIdError as e:
                problems.append((name, repo, e.rule))
        if problems:
            raise UnrecordableJobError(self.name, job, problems)

    async def check_case_collision(self, job: str, live: Iterable[str]) -> None:
        """Check that no other job has the same id but for the case, where that is one record.

        :param job: the job.
        :param live: the live jobs of this task.
        :raises UnrecordableJobError: naming the other job.
        """
        folded = job.casefold()

        def other(jobs: Iterable[str]) -> str | None:
            return next(
                (
                    candidate
                    for candidate in jobs
                    if candidate != job and candidate.casefold() == folded
                ),
                None,
            )

        for name, repo in self.case_insensitive_records.items():
            twin = other(live)
            if twin is None and await repo.contains(job):
                twin = other(await repo.keys())
            if twin is not None:
                rule = f"job {twin!r} has the same name there, ignoring case"
                raise UnrecordableJobError(self.name, job, [(name, repo, rule)])

    def _find_max_plain_length(self) -> int:
        """Return the length up to which every alphanumeric id is recordable, or 0."""
        repos = list(self.recording_repositories.values())
        return min((repo.plain_job_id_length for repo in repos), default=0)

    def find_unrecordable(self, jobs: Collection[str]) -> set[str]:
        """Return those of the jobs that :meth:`check_recordable` rejects.

        :param jobs: the jobs.
        """
        repos = self.recording_repositories.values()
        return {job for repo in repos for job in repo.invalid_names(jobs)}

    async def requested_resources(self, job: str) -> Resources | None:
        """Return the quota that a launch of a job would request; None if only the launch shows it.

        :param job: the job.
        :raises PydatataskError: if the job cannot be launched at all.
        """
        return None

    async def missing_outputs(self, job: str) -> list[str]:
        """Return the names of the required outputs that a successful job has not written.

        A task that records outcomes itself calls this before it records a success; a job with a
        missing output has failed. On a shared file system, an output may take up to a minute to
        appear, and this waits for it.

        :param job: the job, which has ended.
        :raises Exception: if a store cannot be read; then nothing may be recorded yet.
        """
        check = self.output_check
        missing = await check.missing(job, self.required_outputs)
        return list(await check.still_missing(job, missing)) if missing else []

    @property
    def running(self) -> AbstractSet[str]:
        """The jobs that this process knows to be running, waiting for a retry, or unrecorded."""
        return self._waiting

    @property
    def quarantined(self) -> AbstractSet[str]:
        """The jobs left alone because their records cannot have been written by this task."""
        return frozenset()

    def attach(self, runtime: Runtime | None) -> None:
        """Set the open pipeline that the task belongs to; None when the pipeline closes."""
        self.runtime = runtime
        self.shared_outputs = None
        self.case_insensitive_records = {}
        self.output_check = OutputCheck(self)
        self._waiting.clear()
        self.due_retries.clear()
        for timer in self.retry_timers.values():
            timer.cancel()
        self.retry_timers.clear()

    def wake(self) -> None:
        """Notify the pipeline, if there is one, that a job of this task ended."""
        if self.runtime is not None:
            self.runtime.wake(self)

    @property
    def waiting(self) -> AbstractSet[str]:
        """The jobs that wait for a retry."""
        return self._waiting

    @property
    def idle(self) -> AbstractSet[str]:
        """The jobs of :attr:`running` that use no slot of ``concurrency``.

        These are the jobs that wait for a retry, and ended ones whose outputs are being checked.
        """
        return self._waiting | self.output_check.checking

    def note_missing(self, jobs: AbstractSet[str]) -> None:
        """Record which waiting jobs were in no repository of live jobs when it was listed.

        Another process may have removed them, if such a repository keeps waiting jobs.

        :param jobs: the jobs.
        """

    def retry_later(self, job: str, delay: float) -> None:
        """Schedule another launch of a job by the pipeline.

        The job counts as live until that launch has returned.

        :param job: the job.
        :param delay: the delay in seconds.
        """
        self._waiting.add(job)

        def ready_again() -> None:
            if job in self._waiting:
                self.due_retries.append(job)
                self.wake()

        if job in self.retry_timers:
            self.retry_timers[job].cancel()
        self.retry_timers[job] = asyncio.get_running_loop().call_later(delay, ready_again)

    def cancel_retry(self, job: str) -> None:
        """Cancel the retry of a job, also one whose delay is over and that waits for room.

        :param job: the job; one that waits for no retry is ignored.
        """
        self._waiting.discard(job)
        timer = self.retry_timers.pop(job, None)
        if timer is not None:
            timer.cancel()
        with contextlib.suppress(ValueError):
            self.due_retries.remove(job)

    async def launch_due_retries(self) -> None:
        """Launch the jobs whose retry delay is over until the quota is exhausted.

        For use without a pipeline.

        :raises PydatataskError: if one of them cannot be launched.
        """
        while self.due_retries:
            job = self.due_retries.popleft()
            try:
                await self.launch(job)
            except LaunchRefusedError:
                self.due_retries.appendleft(job)
                return

    def finish_retry_wait(self, job: str, timer: asyncio.TimerHandle | None) -> None:
        """End the retry wait of a job, unless a new wait has begun.

        :param job: the job, which was launched.
        :param timer: the timer of the wait before that launch.
        """
        if timer is not None and self.retry_timers.get(job) is timer:
            del self.retry_timers[job]
            self._waiting.discard(job)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"
