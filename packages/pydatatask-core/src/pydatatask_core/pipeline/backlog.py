"""The order of ready jobs. Pure: no I/O, no clock, no loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from pydatatask_core.errors import JobFunctionError, PipelineConfigurationError

if TYPE_CHECKING:
    from pydatatask_core.task.base import Task

__all__ = ["Backlog"]

Priority = Callable[[str, str], int]


class Backlog:
    """The ready jobs, in the order in which they should be launched.

    With priorities, a job is offered only after every job of a higher priority has been scheduled,
    that is, after its launch has returned or raised. If a quota of a task is exhausted or the task
    has reached its concurrency limit, only jobs of the same task or the same quota are held back.

    :param priority: function of a task's name and a job; jobs with larger numbers come first.
    :param on_error: called with a task, a job and an error if ``priority`` raises for the job,
        which is then not offered.
    """

    def __init__(
        self,
        priority: Priority | None = None,
        on_error: Callable[[Task, str, BaseException], None] | None = None,
    ) -> None:
        self._priority = priority
        self._on_error = on_error
        self._queues: dict[Task, deque[str]] = {}
        # Only with priorities: those of waiting jobs, and those of jobs that are being scheduled.
        self._priorities: dict[Task, dict[str, int]] = {}
        self._scheduling: dict[Task, dict[str, int]] = {}
        self.refused: set[Task] = set()
        """The tasks with a refused job; no other job of theirs is tried for now."""
        self.full: set[Task] = set()
        """The tasks that have reached their concurrency limit."""

    def replace(self, ready: Mapping[Task, Iterable[str]]) -> None:
        """Replace the remaining jobs of the last round by those of a new round.

        :param ready: the ready jobs of each task; waiting jobs of tasks not in it are kept.
        """
        for task, jobs in ready.items():
            if not jobs:
                self._queues.pop(task, None)
                continue
            queue = sorted(jobs)
            if self._priority is not None:
                priorities = self._compute_priorities(task, queue)
                queue = list(priorities)
                self._priorities[task] = priorities
                queue.sort(key=priorities.__getitem__, reverse=True)
            self._queues[task] = deque(queue)

    def _compute_priorities(self, task: Task, jobs: list[str]) -> dict[str, int]:
        """Return the priorities of jobs, without those for which ``priority`` raises."""
        priorities: dict[str, int] = {}
        for job in jobs:
            try:
                priorities[job] = self._compute_priority(task, job)
            except (KeyboardInterrupt, GeneratorExit, PipelineConfigurationError):
                raise
            except BaseException as e:
                if self._on_error is None:
                    raise
                error = JobFunctionError(job, f"priority of task {task.name}", e)
                error.__cause__ = e
                self._on_error(task, job, error)
        return priorities

    def _compute_priority(self, task: Task, job: str) -> int:
        assert self._priority is not None
        priority = self._priority(task.name, job)
        if not isinstance(priority, int | float):
            raise PipelineConfigurationError(
                f"priority({task.name!r}, {job!r}) has to return a number, not {priority!r}"
            )
        return priority

    def has_next(self, task: Task) -> bool:
        """Return whether a job of the task may be launched next.

        :param task: the task.
        """
        return self._eligible_queue(task) is not None

    def take(self, task: Task) -> str | None:
        """Remove and return the task's next job, or None if none may be launched next.

        The caller reports the end of its launch with :meth:`mark_scheduled`.

        :param task: the task.
        """
        queue = self._eligible_queue(task)
        if queue is None:
            return None
        job = queue.popleft()
        if self._priority is not None:
            self._scheduling.setdefault(task, {})[job] = self._priorities[task][job]
        return job

    def _eligible_queue(self, task: Task) -> deque[str] | None:
        """Return the queue of the task if its first job may be launched next."""
        queue = self._queues.get(task)
        if not queue or task in self.refused or task in self.full:
            return None
        if self._priority is None or not self._must_wait(task, self._priorities[task][queue[0]]):
            return queue
        return None

    def _must_wait(self, task: Task, priority: int) -> bool:
        """Return whether a job of a higher priority has to be scheduled before one of this task."""
        for other, scheduling in self._scheduling.items():
            if any(p > priority for p in scheduling.values()) and self._blocks(other, task):
                return True
        for other, queue in self._queues.items():
            higher = other is not task and queue and self._priorities[other][queue[0]] > priority
            if higher and self._blocks(other, task):
                return True
        return False

    def _blocks(self, other: Task, task: Task) -> bool:
        return (
            other is task
            or not (other in self.refused or other in self.full)
            or not set(other.quotas).isdisjoint(task.quotas)
        )

    def mark_scheduled(self, task: Task, job: str) -> None:
        """Record that the launch of a job from :meth:`take` has returned or raised."""
        if self._scheduling:
            self._scheduling.get(task, {}).pop(job, None)

    def requeue(self, task: Task, job: str) -> None:
        """Put a job whose launch was refused back to the head of the queue."""
        if self._priority is not None:
            taken = self._scheduling.get(task, {}).pop(job, None)
            priorities = self._priorities.setdefault(task, {})
            if taken is None and job not in priorities:
                priorities.update(self._compute_priorities(task, [job]))
                if job not in priorities:
                    return
            elif taken is not None:
                priorities[job] = taken
        self._queues.setdefault(task, deque()).appendleft(job)

    def count(self, task: Task) -> int:
        """Return the number of waiting jobs of a task."""
        return len(self._queues.get(task, ()))

    def tasks(self) -> list[Task]:
        """Return the tasks that have waiting jobs."""
        return [task for task, queue in self._queues.items() if queue]

    def retain(self, tasks: Collection[Task]) -> None:
        """Remove the waiting jobs of all other tasks.

        :param tasks: the tasks whose jobs are kept.
        """
        self._queues = {task: queue for task, queue in self._queues.items() if task in tasks}

    def clear(self) -> None:
        """Remove all jobs, including those from :meth:`take`, whose end may never be reported."""
        self._queues = {}
        self._scheduling = {}
