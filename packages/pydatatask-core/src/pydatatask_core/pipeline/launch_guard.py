"""Jobs that are ready and yet not to be launched for now."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from pydatatask_core.errors import TaskConfigurationError, TemplateError, UnrecordableJobError

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
        self.count = 0
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
    """Keeps a run from spinning on jobs whose launch fails, or which nothing marks as done.

    :param clock: gives seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.watched: dict[Task, _TaskState] = {}
        """What is known of a task; without an entry its launches need not be told of."""
        self._checked: dict[Task, AbstractSet[str]] = {}
        self._unrecordable_errors: dict[Task, LaunchErrors] = {}
        self._unrecordable: dict[Task, AbstractSet[str]] = {}

    def watch(self, tasks: Iterable[Task]) -> None:
        """Watch those of the tasks whose ended jobs nothing marks.

        :param tasks: the tasks of the pipeline.
        """
        for task in tasks:
            if not marks_ended_jobs(task):
                self.watched.setdefault(task, _TaskState(task.name)).unmarked = True

    def launched(self, task: Task, job: str) -> None:
        """Note that a job was launched."""
        state = self.watched.get(task)
        if state is not None:
            if state.failed.pop(job, None) is not None:
                state.errors.forget([job])
            if state.unmarked:
                state.launched.add(job)

    def failed(self, task: Task, job: str, error: BaseException) -> None:
        """Note that the launch of a job raised; it is tried again, less and less often.

        A job that cannot be recorded is not. An error that several jobs have, a broken executor for
        instance, is logged once, and then with the number of jobs by :meth:`report`.
        """
        if isinstance(error, UnrecordableJobError):
            self._unrecordable[task] = self._unrecordable.get(task, _NO_JOBS) | {job}
            errors = self._unrecordable_errors.setdefault(task, LaunchErrors(task.name))
            errors.add(job, error, None, with_traceback=False)
            return
        state = self.watched.setdefault(task, _TaskState(task.name))
        failed = state.failed.setdefault(job, _FailedLaunch())
        permanent = isinstance(error, TemplateError | TaskConfigurationError)
        failed.count = max(failed.count + 1, _MAX_FAILURES if permanent else 0)
        delay = min(_INITIAL_BACKOFF_SECONDS * 2 ** min(failed.count - 1, 10), _MAX_BACKOFF_SECONDS)
        failed.retry_at = self._clock() + delay
        state.retry_at = min(state.retry_at or failed.retry_at, failed.retry_at)
        state.errors.add(job, error, delay, with_traceback=not permanent)

    def report(self, *, growth: int = 1) -> None:
        """Log how many jobs have one launch error; see :meth:`LaunchErrors.report`.

        :param growth: how many times as many as were logged last there have to be.
        """
        for errors in (
            *(state.errors for state in self.watched.values()),
            *self._unrecordable_errors.values(),
        ):
            errors.report(growth=growth)

    def allowed(
        self, task: Task, jobs: AbstractSet[str], live_jobs: AbstractSet[str]
    ) -> AbstractSet[str]:
        """Give those of the ready jobs that may be launched now.

        :param task: whose jobs.
        :param jobs: the jobs that are ready and have no instance.
        :param live_jobs: the jobs that have one.
        """
        unrecordable = self._find_unrecordable(task, jobs, live_jobs)
        if unrecordable:
            jobs = jobs - unrecordable
        state = self.watched.get(task)
        if state is None:
            return jobs
        state.launched &= jobs | live_jobs  # what was not ready in between is no repetition
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
                "launched again in this run. Link a repository that inhibits start and that the "
                "task writes, such as `done`",
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
        """Return the ready jobs whose end could not be recorded; they are told once."""
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
        """Note that nothing is known of a task, so that no time is of any use to try it again."""
        if task in self.watched:
            self.watched[task].retry_at = None

    def seconds_until_retry(self) -> float | None:
        """Give the seconds until the next job whose launch failed is tried again, if any."""
        times = [state.retry_at for state in self.watched.values() if state.retry_at is not None]
        return max(0.0, min(times) - self._clock()) if times else None

    @property
    def has_pending_retries(self) -> bool:
        """Whether a job waits whose launch did not fail often enough yet to give it up."""
        return any(
            failed.count < _MAX_FAILURES
            for state in self.watched.values()
            for failed in state.failed.values()
        )

    def abandoned(self) -> dict[str, list[str]]:
        """Give the jobs of each task that could not be launched, or not again."""
        abandoned: dict[Task, AbstractSet[str]] = dict(self._unrecordable)
        for task, state in self.watched.items():
            abandoned[task] = state.repeated | state.failed.keys() | abandoned.get(task, _NO_JOBS)
        return {task.name: sorted(jobs) for task, jobs in abandoned.items() if jobs}


def marks_ended_jobs(task: Task) -> bool:
    """Tell whether something that outlives a job keeps it from being launched again."""
    return (
        task.default_ready
        and task.metadata
        and any(
            link.inhibits_start and (link.is_status or link.is_output) and not link.shows_live_jobs
            for link in task.links.values()
        )
    )
