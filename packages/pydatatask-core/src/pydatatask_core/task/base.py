"""The contract of every task."""

from __future__ import annotations

import asyncio
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
    """One phase of computation, which a job instantiates.

    To write one, implement :meth:`update` and :meth:`launch`. Tell the pipeline of what ended by
    :meth:`wake` and set ``event_driven``, and it need not poll.

    :param name: the name of the task, one of its own in its pipeline.
    :param ready: which jobs are to be launched; by default those in every repository that is
        required for start and in none that inhibits it.
    :param disabled: whether the pipeline leaves this task alone.
    :param retries: how often a failed job is tried again before its failure is recorded.
    :param concurrency: how many jobs of this task may run at once; no limit by default.
    """

    event_driven: ClassVar[bool] = False
    """Whether :meth:`wake` is called for everything that ends, so that polling adds nothing."""

    completes_in_launch: ClassVar[bool] = False
    """Whether the job has ended when :meth:`launch` returns."""

    ends_with_process: ClassVar[bool] = False
    """Whether its jobs live in this process or its executor, so that they are lost if it ends."""

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
                f"{name}: concurrency has to be a whole number from 1 on, not {concurrency!r}"
            )
        # To name the class costs little: dataclasses would add 2 ms to 10.
        from .retries import Retries

        self.disabled = disabled
        self.retries = Retries.of(retries)
        self.concurrency = concurrency
        self.synchronous = False
        self.metadata = True
        self.runtime: Runtime | None = None
        self.shared_outputs: SharedOutputs | None = None
        """What is known of the places that other tasks write to as well, if there are any."""
        self.case_insensitive_records: dict[str, Repository] = {}
        """Those of :attr:`recording_repositories` where case makes no difference, by link."""
        self.due_retries: deque[str] = deque()
        """Jobs whose wait for another attempt is over."""
        self.output_check = OutputCheck(self)
        self._waiting: set[str] = set()
        self.retry_timers: dict[str, asyncio.TimerHandle] = {}
        """What each job waits for that is to be tried again; for :meth:`finish_retry_wait`."""

    async def validate(self) -> None:
        """Raise an exception if the task is misconfigured.

        Called exactly once for each opening of the pipeline, before anything is launched, so it
        is safe to use for setup in an async context.

        :raises TaskConfigurationError: if the task cannot work as it is configured.
        """

    async def config_warnings(self) -> Iterable[str]:
        """Find what is allowed and hardly meant about what this task works with.

        :return: a sentence each. What several tasks say alike is told once.
        """
        return ()

    @abstractmethod
    async def update(self) -> bool:
        """Do the first part of a round: look after what runs; typically, reap what has ended.

        :return: whether anything interesting happened, or any job is live.
        """

    @abstractmethod
    async def launch(self, job: str) -> None:
        """Begin the execution of a job. What it raises is reported and stops nothing else.

        :param job: the job.
        :raises LaunchRefusedError: if a quota has no room, so that the job has to wait.
        """

    async def clean_up(self, jobs: Collection[str]) -> None:
        """Remove what is left of jobs of which a record tells how they ended.

        It is called before such records are deleted. What a driver has left that died before it
        could clear up would else be found, and recorded again.

        :param jobs: the jobs.
        """

    def references(self) -> Iterable[object]:
        """Give the objects that one job of this task works with, to find their live resources."""
        return [self, *(link.repo for link in self.links.values())]

    @property
    def quotas(self) -> tuple[ResourceManager, ...]:
        """The quotas that this task's jobs draw on; a pipeline finds them here."""
        return ()

    def launch_capacity(self) -> int | None:
        """Tell for how many more launches the quotas have room now, without asking anybody.

        :return: None if that is not known, so that it has to be tried.
        """
        return None

    @property
    def recording_repositories(self) -> Mapping[str, Repository]:
        """The repositories that hold a job under its own name once it has ended, by link.

        A job that one of them cannot have is not launched. These are the status links; a task that
        writes outputs itself adds those.
        """
        return self.status

    def check_recordable(self, job: str) -> None:
        """Refuse a job whose end could not be recorded. Every launch calls this first.

        :param job: the job.
        :raises UnrecordableJobError: naming every repository that cannot have it.
        """
        if self._max_plain_length < 0:
            self._max_plain_length = self._find_max_plain_length()
        # The usual case, in a tenth of the time.
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
        """Refuse a job whose record would be another job's, because only case tells them apart.

        :param job: the job.
        :param live: the jobs of this task that are live.
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
                rule = f"job {twin!r} has the same name there but for the case"
                raise UnrecordableJobError(self.name, job, [(name, repo, rule)])

    def _find_max_plain_length(self) -> int:
        """Return up to which length every name of letters and digits is recordable, or 0."""
        repos = list(self.recording_repositories.values())
        return min((repo.plain_job_id_length for repo in repos), default=0)

    def find_unrecordable(self, jobs: Collection[str]) -> set[str]:
        """Return those of the jobs that :meth:`check_recordable` refuses.

        :param jobs: the jobs.
        """
        repos = self.recording_repositories.values()
        return {job for repo in repos for job in repo.invalid_names(jobs)}

    async def requested_resources(self, job: str) -> Resources | None:
        """Give what a launch of a job would take of the quotas; None if that shows only then.

        :param job: the job.
        :raises PydatataskError: if it could not be launched at all.
        """
        return None

    async def missing_outputs(self, job: str) -> list[str]:
        """Return the names of the required outputs that a job lacks that ended well.

        A task that records ends itself calls this before it records a success; a job that lacks an
        output has failed. Missing outputs on a shared file system are looked for again for a
        minute.

        :param job: the job, which has ended.
        :raises Exception: if a store could not be read; then nothing may be recorded yet.
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
        """The jobs that are left alone, because their records cannot be what this task wrote."""
        return frozenset()

    def attach(self, runtime: Runtime | None) -> None:
        """Tell the task which open pipeline it belongs to; None when the pipeline closes."""
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
        """Tell the pipeline, if there is one, that something of this task ended."""
        if self.runtime is not None:
            self.runtime.wake(self)

    @property
    def waiting(self) -> AbstractSet[str]:
        """The jobs that wait for another attempt."""
        return self._waiting

    def note_missing(self, jobs: AbstractSet[str]) -> None:
        """Note which waiting jobs no repository of live jobs had when it was listed.

        Another process may have ended them, where such a repository keeps what waits.

        :param jobs: the jobs.
        """

    def retry_later(self, job: str, delay: float) -> None:
        """Have the pipeline launch a job again after a wait.

        Until that launch has returned, the job counts as live.

        :param job: the job.
        :param delay: how long to wait, in seconds.
        """
        self._waiting.add(job)

        def ready_again() -> None:
            if job in self._waiting:
                self.due_retries.append(job)
                self.wake()

        if job in self.retry_timers:
            self.retry_timers[job].cancel()
        self.retry_timers[job] = asyncio.get_running_loop().call_later(delay, ready_again)

    async def launch_due_retries(self) -> None:
        """Launch the jobs whose wait is over, as far as there is room; without a pipeline's help.

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
        """Have a job wait no longer for another attempt, unless it has begun to do so anew.

        :param job: the job, which was launched.
        :param timer: what it waited for before.
        """
        if timer is not None and self.retry_timers.get(job) is timer:
            del self.retry_timers[job]
            self._waiting.discard(job)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"
