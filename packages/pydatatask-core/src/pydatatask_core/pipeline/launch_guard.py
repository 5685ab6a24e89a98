"""Ready jobs that must not be launched for now."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from pydatatask_core.errors import TaskConfigurationError, TemplateError, UnrecordableJobError
from pydatatask_core.utils import Backoff

from .launch_errors import LaunchErrors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Set as AbstractSet

    from pydatatask_core.task.base import Task

__all__ = ["LaunchGuard"]

log = logging.getLogger("pydatatask.pipeline")

_NO_JOBS: frozenset[str] = frozenset()
_MAX_JOBS_SHOWN = 5
_MAX_FAILURES = 3
_INITIAL_BACKOFF_SECONDS = 1.0
_MAX_BACKOFF_SECONDS = 60.0
_REPORT_GROWTH_FACTOR = 2


class _FailedLaunch:
    def __init__(self) -> None:
        self.backoff = Backoff(_INITIAL_BACKOFF_SECONDS, _MAX_BACKOFF_SECONDS)
        self.retry_at = 0.0


class _TaskState:
    def __init__(self, task: str) -> None:
        self.unmarked = False
        self.launched: set[str] = set()
        self.repeated: set[str] = set()
        self.failed: dict[str, _FailedLaunch] = {}
        self.errors = LaunchErrors(task)
        self.retry_at: float | None = None


class LaunchGuard:
    """Prevents endless relaunching of jobs whose launch fails or that nothing marks as done.

    :param clock: a monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.watched: dict[Task, _TaskState] = {}
        """The state of each task whose launches must be reported to this guard."""
        self._checked: dict[Task, AbstractSet[str]] = {}
        self._unrecordable_errors: dict[Task, LaunchErrors] = {}
        self._unrecordable: dict[Task, AbstractSet[str]] = {}

    def watch(self, tasks: Iterable[Task]) -> None:
        """Watch the tasks whose ended jobs nothing marks as done.

        :param tasks: the tasks of the pipeline.
        """
        for task in tasks:
            if not marks_ended_jobs(task):
                self.watched.setdefault(task, _TaskState(task.name)).unmarked = True

    def launched(self, task: Task, job: str) -> None:
        """Record that a job was launched."""
        state = self.watched.get(task)
        if state is not None:
            if state.failed.pop(job, None) is not None:
                state.errors.forget([job])
            if state.unmarked:
                state.launched.add(job)

    def failed(self, task: Task, job: str, error: BaseException) -> None:
        """Record that the launch of a job raised; it is retried with increasing delays.

        A job that cannot be recorded is not retried. An error that several jobs share, a broken
        executor for instance, is logged once, and then with the number of jobs by :meth:`report`.
        """
        if isinstance(error, UnrecordableJobError):
            self._unrecordable[task] = self._unrecordable.get(task, _NO_JOBS) | {job}
            errors = self._unrecordable_errors.setdefault(task, LaunchErrors(task.name))
            errors.add(job, error, None, with_traceback=False)
            return
        if job in task.running:  # it may run nevertheless, or the task repeats the launch itself
            watched = self.watched.setdefault(task, _TaskState(task.name))
            watched.errors.add(job, error, None, with_traceback=True)
            self.launched(task, job)
            return
        state = self.watched.setdefault(task, _TaskState(task.name))
        failed = state.failed.setdefault(job, _FailedLaunch())
        permanent = isinstance(error, TemplateError | TaskConfigurationError)
        if permanent:
            failed.backoff.failures = max(failed.backoff.failures, _MAX_FAILURES - 1)
        delay = failed.backoff.next_delay()
        failed.retry_at = self._clock() + delay
        state.retry_at = min(state.retry_at or failed.retry_at, failed.retry_at)
        state.errors.add(job, error, delay, with_traceback=not permanent)

    def report(self, *, growth: int = 1) -> None:
        """Log the number of jobs for each launch error; see :meth:`LaunchErrors.report`.

        :param growth: the factor by which a number must have grown since it was logged last.
        """
        for errors in (
            *(state.errors for state in self.watched.values()),
            *self._unrecordable_errors.values(),
        ):
            errors.report(growth=growth)

    def allowed(
        self, task: Task, jobs: AbstractSet[str], live_jobs: AbstractSet[str]
    ) -> AbstractSet[str]:
        """Return those of the ready jobs that may be launched now.

        :param task: the task.
        :param jobs: the jobs that are ready and not live.
        :param live_jobs: the live jobs.
        """
        unrecordable = self._find_unrecordable(task, jobs, live_jobs)
        if unrecordable:
            jobs = jobs - unrecordable
        state = self.watched.get(task)
        if state is None:
            return jobs
        state.launched &= jobs | live_jobs  # a job that was not ready in between is not repeated
        obsolete = [job for job in state.failed if job not in jobs and job not in live_jobs]
        for job in obsolete:
            del state.failed[job]
        state.errors.forget(obsolete)
        state.errors.report(growth=_REPORT_GROWTH_FACTOR)
        repeated = (state.launched & jobs) - state.repeated
        if repeated:
            state.repeated |= repeated
            log.error(
                "%s: %d jobs have ended and are ready again at once, %r for one; they are not "
                "launched again in this run. Link a repository that inhibits start and to which "
                "the task writes, such as `done`",
                task.name,
                len(repeated),
                min(repeated),
                extra={"task": task.name, "jobs": len(repeated)},
            )
        state.repeated &= state.launched
        now = self._clock()
        waiting = {job: f.retry_at for job, f in state.failed.items() if f.retry_at > now}
        state.retry_at = min(waiting.values(), default=None)
        return jobs - state.launched - waiting.keys()

    def _find_unrecordable(
        self, task: Task, jobs: AbstractSet[str], live_jobs: AbstractSet[str]
    ) -> AbstractSet[str]:
        """Return the ready jobs whose outcome could not be recorded, and log each once."""
        new = jobs - self._checked.get(task, _NO_JOBS)
        self._checked[task] = jobs
        known = self._unrecordable.get(task, _NO_JOBS)
        if known:
            known = known & (jobs | live_jobs)
        unrecordable = task.find_unrecordable(new) if new else _NO_JOBS
        if unrecordable:
            names = sorted(unrecordable)
            shown = ", ".join(map(repr, names[:_MAX_JOBS_SHOWN]))
            rest = (
                f" and {len(names) - _MAX_JOBS_SHOWN} more" if len(names) > _MAX_JOBS_SHOWN else ""
            )
            try:
                task.check_recordable(names[0])
            except UnrecordableJobError as e:
                log.error(
                    "%s: %d ready jobs are refused, %s%s. %s",
                    *(task.name, len(names), shown, rest, e),
                    extra={"task": task.name, "jobs": len(names)},
                )
            known = known | unrecordable
        self._unrecordable[task] = known
        return known

    def unknown(self, task: Task) -> None:
        """Record that the readiness of a task is unknown, so that it has no retry time."""
        if task in self.watched:
            self.watched[task].retry_at = None

    def seconds_until_retry(self) -> float | None:
        """Return the seconds until the next retry of a failed launch, or None."""
        times = [state.retry_at for state in self.watched.values() if state.retry_at is not None]
        return max(0.0, min(times) - self._clock()) if times else None

    @property
    def has_pending_retries(self) -> bool:
        """True if a job whose launch failed is still within the number of attempts."""
        return any(
            failed.backoff.failures < _MAX_FAILURES
            for state in self.watched.values()
            for failed in state.failed.values()
        )

    def abandoned(self) -> dict[str, list[str]]:
        """Return the ready jobs, by task, that could not be launched or not launched again."""
        abandoned: dict[Task, AbstractSet[str]] = dict(self._unrecordable)
        for task, state in self.watched.items():
            abandoned[task] = state.repeated | state.failed.keys() | abandoned.get(task, _NO_JOBS)
        return {task.name: sorted(jobs) for task, jobs in abandoned.items() if jobs}


def marks_ended_jobs(task: Task) -> bool:
    """Return whether a record that outlives a job prevents another launch of it."""
    return (
        task.default_ready
        and task.metadata
        and any(
            link.inhibits_start and (link.is_status or link.is_output) and not link.shows_live_jobs
            for link in task.links.values()
        )
    )
