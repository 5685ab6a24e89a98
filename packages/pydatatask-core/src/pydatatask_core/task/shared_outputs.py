"""Stores that several tasks write to: no task overwrites a key that another task published."""

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
    """A store that several tasks write to.

    :param writers: each of these tasks, with the repository through which it writes.
    """

    def __init__(self, writers: Iterable[tuple[Task, Repository]]) -> None:
        self.writers = dict(writers)
        self.owners: dict[str, tuple[Task, str]] = {}
        """The known owner of each key: the task that published it or is about to, and its job."""


class SharedOutputs:
    """Records which task published which key, for stores that several tasks write to.

    :param stores: for each such store, its tasks and the repositories through which they write.
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
        """Look up, once, which jobs of the tasks succeeded in earlier runs.

        :raises Exception: if a store cannot be read.
        """
        async with self._loading:
            for task in self._of_task.keys() - self._succeeded.keys():
                views = task.outcome_views
                self._succeeded[task] = frozenset().union(*[await view.keys() for view in views])

    async def prepare(self, task: Task, job: str) -> None:
        """Check whether another task has published a key equal to the job.

        The stores are queried only if the records suggest it.

        :param task: the task that is about to publish.
        :param job: the job.
        :raises Exception: if a store cannot be read.
        """
        if len(self._succeeded) < len(self._of_task):
            await self.load()  # a job of an earlier run may end while the pipeline is being opened
        for store in self._of_task.get(task, ()):
            if job in store.owners:
                owner, by = store.owners[job]
                if owner is task or by in owner.running:
                    continue  # the owner may not have published the key yet
            elif job in self._succeeded[task]:
                continue
            else:
                owners = [writer for writer in store.writers if job in self._succeeded[writer]]
                if not owners:
                    continue
                owner, by = owners[0], job
            if await store.writers[owner].contains(job):
                store.owners[job] = owner, by
            else:  # the key was deleted since then, or the job published another key
                store.owners.pop(job, None)

    def claim(self, task: Task, job: str, repository: Repository, key: str) -> None:
        """Claim a key for a task before it publishes it.

        :param task: the task.
        :param job: the job of the task that publishes the key.
        :param repository: the repository that it writes to, not a view of it.
        :param key: the key.
        :raises OutputConflictError: if the key belongs to another task.
        """
        store = self._stores.get(id(repository))
        if store is not None:
            owner, _ = store.owners.setdefault(key, (task, job))
            if owner is not task:
                raise OutputConflictError(task.name, key, owner.name, repository)
