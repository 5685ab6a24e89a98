"""Which job comes next. Pure: no I/O, no clock, no loop."""

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
    """The jobs that were found ready, in the order in which they are to be launched.

    With priorities, a job comes only after every job of a higher one has been scheduled (that is:
    its launch has returned or raised). A task that is *held*, since a quota is used up or it has
    as many jobs as it may, keeps back only jobs of the same task or the same quota.

    :param priority: gives the priority of a task's name and a job; larger numbers come first.
    :param on_error: called with a task, a job and an error in the place of offering a job of which
        ``priority`` raises.
    """

    def __init__(
        self,
        priority: Priority | None = None,
        on_error: Callable[[Task, str, BaseException], None] | None = None,
    ) -> None:
        self._priority = priority
        self._on_error = on_error
        self._queues: dict[Task, deque[str]] = {}
        # With priorities only: of what waits, and of what was taken and is being scheduled.
        self._priorities: dict[Task, dict[str, int]] = {}
        self._scheduling: dict[Task, dict[str, int]] = {}
        self.refused: set[Task] = set()
        """The tasks of which a job was refused, so that no other is worth trying for now."""
        self.full: set[Task] = set()
        """The tasks that have as many jobs as they may."""

    def replace(self, ready: Mapping[Task, Iterable[str]]) -> None:
        """Take what a new round found in the place of what is left of the last one.

        :param ready: the jobs of each task that was asked for; of others, what waits stays.
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
        """Find the priorities of jobs, and refuse those of which that raises."""
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
                f"priority({task.name!r}, {job!r}) has to give a number, and gave {priority!r}"
            )
        return priority

    def has_next(self, task: Task) -> bool:
        """Tell whether the turn of a job of the task has come.

        :param task: whose job.
        """
        return self._eligible_queue(task) is not None

    def take(self, task: Task) -> str | None:
        """Take the task's next job if its turn has come; tell of its end by :meth:`mark_scheduled`.

        :param task: whose job.
        """
        queue = self._eligible_queue(task)
        if queue is None:
            return None
        job = queue.popleft()
        if self._priority is not None:
            self._scheduling.setdefault(task, {})[job] = self._priorities[task][job]
        return job

    def _eligible_queue(self, task: Task) -> deque[str] | None:
        """Give the queue of the task if the turn of its first job has come."""
        queue = self._queues.get(task)
        if not queue or task in self.refused or task in self.full:
            return None
        if self._priority is None or not self._must_wait(task, self._priorities[task][queue[0]]):
            return queue
        return None

    def _must_wait(self, task: Task, priority: int) -> bool:
        """Tell whether a job of a higher priority has to be scheduled before one of this task."""
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
        """Say that the launch of a job that was taken has returned or raised."""
        if self._scheduling:
            self._scheduling.get(task, {}).pop(job, None)

    def requeue(self, task: Task, job: str) -> None:
        """Put a job whose launch was refused back where it was."""
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
        """Count the jobs of a task that wait."""
        return len(self._queues.get(task, ()))

    def tasks(self) -> list[Task]:
        """List the tasks that have jobs waiting."""
        return [task for task, queue in self._queues.items() if queue]

    def retain(self, tasks: Collection[Task]) -> None:
        """Forget the waiting jobs of all other tasks.

        :param tasks: the tasks whose jobs go on waiting.
        """
        self._queues = {task: queue for task, queue in self._queues.items() if task in tasks}

    def clear(self) -> None:
        """Forget what waits, and what was taken: who launches it may never tell of its end."""
        self._queues = {}
        self._scheduling = {}
