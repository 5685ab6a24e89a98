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

__all__ = ["Holds"]

log = logging.getLogger("pydatatask.pipeline")

_NOTHING: frozenset[str] = frozenset()
_MOST_SHOWN = 5
_ENOUGH_FAILURES = 3
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0
_GROWTH = 2


class _Failed:
    def __init__(self) -> None:
        self.count = 0
        self.not_before = 0.0


class _Held:
    def __init__(self, task: str) -> None:
        self.unmarked = False
        self.launched: set[str] = set()
        self.again: set[str] = set()
        self.failed: dict[str, _Failed] = {}
        self.errors = LaunchErrors(task)
        self.next_try: float | None = None


class Holds:
    """Keeps a run from spinning on jobs whose launch fails, or which nothing marks as done.

    :param clock: gives seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.watched: dict[Task, _Held] = {}
        """What is known of a task; without an entry its launches need not be told of."""
        self._screened: dict[Task, AbstractSet[str]] = {}
        self._refusals: dict[Task, LaunchErrors] = {}
        self._refused: dict[Task, AbstractSet[str]] = {}

    def watch(self, tasks: Iterable[Task]) -> None:
        """Watch those of the tasks whose ended jobs nothing marks.

        :param tasks: the tasks of the pipeline.
        """
        for task in tasks:
            if not marks_ended_jobs(task):
                self.watched.setdefault(task, _Held(task.name)).unmarked = True

    def launched(self, task: Task, job: str) -> None:
        """Note that a job was launched."""
        held = self.watched.get(task)
        if held is not None:
            if held.failed.pop(job, None) is not None:
                held.errors.forget([job])
            if held.unmarked:
                held.launched.add(job)

    def failed(self, task: Task, job: str, error: BaseException) -> None:
        """Note that the launch of a job raised; it is tried again, less and less often.

        A job that cannot be recorded is not. An error that several jobs have, a broken executor for
        instance, is logged once, and then with the number of jobs by :meth:`report`.
        """
        if isinstance(error, UnrecordableJobError):
            self._refused[task] = self._refused.get(task, _NOTHING) | {job}
            errors = self._refusals.setdefault(task, LaunchErrors(task.name))
            errors.note(job, error, None, trace=False)
            return
        held = self.watched.setdefault(task, _Held(task.name))
        failed = held.failed.setdefault(job, _Failed())
        lasting = isinstance(error, TemplateError | TaskConfigurationError)
        failed.count = max(failed.count + 1, _ENOUGH_FAILURES if lasting else 0)
        wait = min(_FIRST_WAIT * 2 ** min(failed.count - 1, 10), _LONGEST_WAIT)
        failed.not_before = self._clock() + wait
        held.next_try = min(held.next_try or failed.not_before, failed.not_before)
        held.errors.note(job, error, wait, trace=not lasting)

    def report(self, *, growth: int = 1) -> None:
        """Log how many jobs have one launch error; see :meth:`LaunchErrors.report`.

        :param growth: how many times as many as were logged last there have to be.
        """
        for errors in (*(held.errors for held in self.watched.values()), *self._refusals.values()):
            errors.report(growth=growth)

    def allowed(
        self, task: Task, jobs: AbstractSet[str], live: AbstractSet[str]
    ) -> AbstractSet[str]:
        """Give those of the ready jobs that may be launched now.

        :param task: whose jobs.
        :param jobs: the jobs that are ready and have no instance.
        :param live: the jobs that have one.
        """
        refused = self._screen(task, jobs, live)
        if refused:
            jobs = jobs - refused
        held = self.watched.get(task)
        if held is None:
            return jobs
        held.launched &= jobs | live  # what was not ready in between is no repetition
        gone = [job for job in held.failed if job not in jobs and job not in live]
        for job in gone:
            del held.failed[job]
        held.errors.forget(gone)
        held.errors.report(growth=_GROWTH)
        again = (held.launched & jobs) - held.again
        if again:
            held.again |= again
            log.error(
                "%s: %d jobs have ended and are ready again at once, %r for one; they are not "
                "launched again in this run. Link a repository that inhibits start and that the "
                "task writes, such as `done`",
                task.name,
                len(again),
                min(again),
                extra={"task": task.name, "jobs": len(again)},
            )
        held.again &= held.launched
        now = self._clock()
        waiting = {job: f.not_before for job, f in held.failed.items() if f.not_before > now}
        held.next_try = min(waiting.values(), default=None)
        return jobs - held.launched - waiting.keys()

    def _screen(
        self, task: Task, jobs: AbstractSet[str], live: AbstractSet[str]
    ) -> AbstractSet[str]:
        """Return the ready jobs whose end could not be recorded; they are told once."""
        new = jobs - self._screened.get(task, _NOTHING)
        self._screened[task] = jobs
        known = self._refused.get(task, _NOTHING)
        if known:
            known = known & (jobs | live)
        found = task.find_unrecordable(new) if new else _NOTHING
        if found:
            names = sorted(found)
            shown = ", ".join(map(repr, names[:_MOST_SHOWN]))
            rest = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
            try:
                task.check_recordable(names[0])
            except UnrecordableJobError as e:
                log.error(
                    "%s: %d ready jobs are refused, %s%s. %s",
                    *(task.name, len(names), shown, rest, e),
                    extra={"task": task.name, "jobs": len(names)},
                )
            known = known | found
        self._refused[task] = known
        return known

    def unknown(self, task: Task) -> None:
        """Note that nothing is known of a task, so that no time is of any use to try it again."""
        if task in self.watched:
            self.watched[task].next_try = None

    def next_try(self) -> float | None:
        """Give the seconds until the next job whose launch failed is tried again, if any."""
        times = [held.next_try for held in self.watched.values() if held.next_try is not None]
        return max(0.0, min(times) - self._clock()) if times else None

    @property
    def hopeful(self) -> bool:
        """Whether a job waits whose launch did not fail often enough yet to give it up."""
        return any(
            failed.count < _ENOUGH_FAILURES
            for held in self.watched.values()
            for failed in held.failed.values()
        )

    def given_up(self) -> dict[str, list[str]]:
        """Give the jobs of each task that could not be launched, or not again."""
        found: dict[Task, AbstractSet[str]] = dict(self._refused)
        for task, held in self.watched.items():
            found[task] = held.again | held.failed.keys() | found.get(task, _NOTHING)
        return {task.name: sorted(jobs) for task, jobs in found.items() if jobs}


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
