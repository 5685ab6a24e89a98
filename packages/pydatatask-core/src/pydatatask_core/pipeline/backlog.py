"""Which job comes next. Pure: no I/O, no clock, no loop."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

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
    """

    def __init__(self, priority: Priority | None = None) -> None:
        self._priority = priority
        self._queues: dict[Task, deque[tuple[int, str]]] = {}
        self._scheduling: dict[Task, Counter[int]] = {}
        self._priority_of: dict[tuple[Task, str], int] = {}
        self.held: set[Task] = set()

    def replace(self, ready: Mapping[Task, Iterable[str]]) -> None:
        """Take what a new round found in the place of what is left of the last one."""
        self._queues = {}
        for task, jobs in ready.items():
            if self._priority is None:
                queue = [(0, job) for job in sorted(jobs)]
            else:
                queue = [(self._priority(task.name, job), job) for job in sorted(jobs)]
                queue.sort(key=lambda entry: -entry[0])
            if queue:
                self._queues[task] = deque(queue)

    def take(self, task: Task) -> str | None:
        """Take the task's next job if its turn has come; tell of its end by :meth:`scheduled`.

        :param task: whose job.
        """
        queue = self._queues.get(task)
        if not queue or task in self.held:
            return None
        priority, job = queue[0]
        if self._priority is not None:
            if self._higher_first(task, priority):
                return None
            self._scheduling.setdefault(task, Counter())[priority] += 1
            self._priority_of[task, job] = priority
        queue.popleft()
        return job

    def _higher_first(self, task: Task, priority: int) -> bool:
        for other, counts in self._scheduling.items():
            if counts and max(counts) > priority and (other is task or other not in self.held):
                return True
        for other, queue in self._queues.items():
            if other is not task and queue and queue[0][0] > priority:
                shares = set(other.quotas) & set(task.quotas)
                if other not in self.held or shares:
                    return True
        return False

    def scheduled(self, task: Task, job: str) -> None:
        """Say that the launch of a job that was taken has returned or raised."""
        if self._priority is None:
            return
        priority = self._priority_of.pop((task, job), None)
        if priority is not None:
            counts = self._scheduling[task]
            counts[priority] -= 1
            if not counts[priority]:
                del counts[priority]

    def put_back(self, task: Task, job: str) -> None:
        """Put a job whose launch was refused back where it was."""
        priority = self._priority_of.get((task, job), 0)
        self.scheduled(task, job)
        self._queues.setdefault(task, deque()).appendleft((priority, job))

    def count(self, task: Task) -> int:
        """Count the jobs of a task that wait."""
        return len(self._queues.get(task, ()))

    def tasks(self) -> list[Task]:
        """List the tasks that have jobs waiting."""
        return [task for task, queue in self._queues.items() if queue]

    def clear(self) -> None:
        """Forget what waits."""
        self._queues = {}
