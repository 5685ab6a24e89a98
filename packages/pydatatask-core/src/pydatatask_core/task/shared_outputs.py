"""Places that the outputs of several tasks share: no task overwrites what another has published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.errors import OutputConflictError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from pydatatask_core.repository.base import Repository

    from .base import Task

__all__ = ["SharedOutputs"]


class _Place:
    """A place that several tasks write to.

    :param writers: each of these tasks, with a repository by which it writes there.
    """

    def __init__(self, writers: Iterable[tuple[Task, Repository]]) -> None:
        self.writers = dict(writers)
        self.owners: dict[str, Task] = {}
        """The task that has published each key, as far as that is known."""


class SharedOutputs:
    """Knows which task has published which key, for places that several tasks write to.

    :param places: for each such place, the tasks and the repositories by which they write there.
    """

    def __init__(self, places: Iterable[Iterable[tuple[Task, Repository]]]) -> None:
        self._places: dict[int, _Place] = {}
        self._of_task: dict[Task, list[_Place]] = {}
        self._succeeded: dict[Task, AbstractSet[str]] = {}
        for writers in map(list, places):
            place = _Place(writers)
            self._places |= {id(repo): place for _, repo in writers}
            for task in place.writers:
                self._of_task.setdefault(task, []).append(place)

    async def load(self) -> None:
        """Look up which jobs of the tasks have ended well in earlier runs, and share this."""
        for task in self._of_task:
            views = task.outcome_views
            self._succeeded[task] = frozenset().union(*[await view.keys() for view in views])
            task.shared_outputs = self

    async def prepare(self, task: Task, job: str) -> None:
        """Find out whether another task has published a job under its own name.

        The stores are asked only if it seems so.

        :param task: the task that is about to publish.
        :param job: the job.
        """
        for place in self._of_task.get(task, ()):
            owner = place.owners.get(job)
            if owner is None and job not in self._succeeded[task]:
                owner = next((it for it in place.writers if job in self._succeeded[it]), None)
            if owner is None or owner is task:
                continue
            if await place.writers[owner].contains(job):
                place.owners[job] = owner
            else:  # it was deleted since then, or the job has published another key
                place.owners.pop(job, None)

    def claim(self, task: Task, repository: Repository, key: str) -> None:
        """Note that a task publishes a key, unless another one has.

        :param task: the task.
        :param repository: the repository that it writes to, not a view of it.
        :param key: the key.
        :raises OutputConflictError: if another task has published it.
        """
        place = self._places.get(id(repository))
        if place is not None:
            owner = place.owners.setdefault(key, task)
            if owner is not task:
                raise OutputConflictError(task.name, key, owner.name, repository)
