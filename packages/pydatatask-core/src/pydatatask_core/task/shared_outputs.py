"""Places that the outputs of several tasks share: no task overwrites what another has published."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pydatatask_core.errors import OutputConflictError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from pydatatask_core.repository.base import Repository

    from .base import Task

__all__ = ["SharedOutputs"]


class _SharedStore:
    """A place that several tasks write to.

    :param writers: each of these tasks, with a repository by which it writes there.
    """

    def __init__(self, writers: Iterable[tuple[Task, Repository]]) -> None:
        self.writers = dict(writers)
        self.owners: dict[str, tuple[Task, str]] = {}
        """The task that has published each key or is about to, and its job, as far as known."""


class SharedOutputs:
    """Knows which task has published which key, for places that several tasks write to.

    :param stores: for each such place, the tasks and the repositories by which they write there.
    """

    def __init__(self, stores: Iterable[Iterable[tuple[Task, Repository]]]) -> None:
        self._stores: dict[int, _SharedStore] = {}
        self._of_task: dict[Task, list[_SharedStore]] = {}
        self._succeeded: dict[Task, AbstractSet[str]] = {}
        self._loading = asyncio.Lock()
        for writers in map(list, stores):
            store = _SharedStore(writers)
            self._stores |= {id(repo): store for _, repo in writers}
            for task in store.writers:
                self._of_task.setdefault(task, []).append(store)
                task.shared_outputs = self

    async def load(self) -> None:
        """Look up, once, which jobs of the tasks have ended well in earlier runs.

        :raises Exception: if a store could not be read.
        """
        async with self._loading:
            for task in self._of_task.keys() - self._succeeded.keys():
                views = task.outcome_views
                self._succeeded[task] = frozenset().union(*[await view.keys() for view in views])

    async def prepare(self, task: Task, job: str) -> None:
        """Find out whether another task has published a job under its own name.

        The stores are asked only if it seems so.

        :param task: the task that is about to publish.
        :param job: the job.
        :raises Exception: if a store could not be read.
        """
        if len(self._succeeded) < len(self._of_task):
            await self.load()  # a job of an earlier run may end while the pipeline still opens
        for store in self._of_task.get(task, ()):
            if job in store.owners:
                owner, by = store.owners[job]
                if owner is task or by in owner.running:
                    continue  # it may not have published yet what it has claimed
            elif job in self._succeeded[task]:
                continue
            else:
                owners = [writer for writer in store.writers if job in self._succeeded[writer]]
                if not owners:
                    continue
                owner, by = owners[0], job
            if await store.writers[owner].contains(job):
                store.owners[job] = owner, by
            else:  # it was deleted since then, or the job has published another key
                store.owners.pop(job, None)

    def claim(self, task: Task, job: str, repository: Repository, key: str) -> None:
        """Note that a task publishes a key, unless another one has.

        :param task: the task.
        :param job: the job of the task that publishes it.
        :param repository: the repository that it writes to, not a view of it.
        :param key: the key.
        :raises OutputConflictError: if another task has published it.
        """
        store = self._stores.get(id(repository))
        if store is not None:
            owner, _ = store.owners.setdefault(key, (task, job))
            if owner is not task:
                raise OutputConflictError(task.name, key, owner.name, repository)
