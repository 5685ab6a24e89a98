"""Ready jobs, computed from one listing of each repository per round."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, NamedTuple

from pydatatask_core.repository.snapshot import (
    Snapshot,
    is_view,
    leaves,
    membership_depends_on_values,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from pydatatask_core.repository.base import Repository
    from pydatatask_core.task.base import Task

__all__ = ["Readiness", "ReadyJobs"]

log = logging.getLogger("pydatatask.pipeline")

_NO_JOBS: frozenset[str] = frozenset()


class ReadyJobs(NamedTuple):
    """The result of a round for one task."""

    jobs: AbstractSet[str]
    """The jobs that are ready and not live."""

    live: AbstractSet[str]
    """The jobs that repositories show as live."""


class _Leaves(NamedTuple):
    """The repositories that determine which jobs of a task are ready, until its links change."""

    ready: Repository
    live: list[Repository]
    live_leaves: list[Repository]
    ready_leaves: list[Repository]


class Readiness:
    """Finds the ready jobs of tasks, and caches them while no listing changes."""

    def __init__(self) -> None:
        self._cache: dict[Task, tuple[list[AbstractSet[str]], ReadyJobs]] = {}
        self._logged_failures: dict[Task, str] = {}
        self._leaves: dict[Task, _Leaves] = {}

    async def gather(self, tasks: Sequence[Task]) -> dict[Task, ReadyJobs | None]:
        """Return the ready jobs of each task, or None if a repository it needs cannot be listed.

        Repositories of live jobs are listed before records. A job leaves the former only after it
        has entered the latter, so in this order it is seen in at least one of them.

        :param tasks: the tasks.
        """
        snapshot = await self._take_snapshot(tasks)
        results: dict[Task, ReadyJobs | None] = {}
        for task in tasks:
            try:
                results[task] = await self._ready(task, snapshot)
                if self._logged_failures.pop(task, None):
                    log.info("%s: its repositories can be listed again", task.name)
            except Exception as e:  # noqa: BLE001 - logged below; the other tasks go on
                results[task] = None
                self._log_failure(task, e)
        return results

    async def find_ready(self, task: Task) -> ReadyJobs:
        """Return the ready jobs of one task.

        :param task: the task.
        :raises Exception: the error of a repository that cannot be listed.
        """
        return await self._ready(task, await self._take_snapshot([task]))

    async def _ready(self, task: Task, snapshot: Snapshot) -> ReadyJobs:
        repo, shows_live, live_leaves, ready_leaves = self._leaves[task]
        # List all of them, even those without effect: if one fails, the task is unknown.
        listings = [await snapshot.keys(leaf) for leaf in (*live_leaves, *ready_leaves)]
        cached = self._cache.get(task)
        if (
            cached is not None
            and _is_unchanged(listings, cached[0])
            and not _any_volatile(repo, *shows_live)
        ):
            return cached[1]
        jobs = await snapshot.candidates(repo)
        live_jobs = _NO_JOBS.union(*[await snapshot.negated.keys(repo) for repo in shows_live])
        jobs = jobs - live_jobs if live_jobs else jobs
        if jobs and membership_depends_on_values(repo):
            jobs = await snapshot.select(repo, jobs)
        result = ReadyJobs(jobs, live_jobs)
        self._cache[task] = listings, result
        return result

    async def _take_snapshot(self, tasks: Sequence[Task]) -> Snapshot:
        """List the repositories that tasks depend on: those of live jobs first, then the rest."""
        snapshot = Snapshot()
        found = [self._find_leaves(task) for task in tasks]
        await _list_all(snapshot, (repo for each in found for repo in each.live_leaves))
        await _list_all(snapshot, (repo for each in found for repo in each.ready_leaves))
        return snapshot

    def _find_leaves(self, task: Task) -> _Leaves:
        ready, live = task.ready, task.live_repositories
        known = self._leaves.get(task)
        if known is None or known.ready is not ready or known.live is not live:
            live_leaves = [leaf for repo in live for leaf in leaves(repo)]
            self._leaves[task] = known = _Leaves(ready, live, live_leaves, list(leaves(ready)))
        return known

    def _log_failure(self, task: Task, error: Exception) -> None:
        message = str(error)
        if self._logged_failures.get(task) != message:
            self._logged_failures[task] = message
            log.error(
                "%s: no job is launched while its repositories cannot be listed: %s",
                task.name,
                error,
                extra={"task": task.name},
            )


def _any_volatile(*repos: Repository) -> bool:
    return any(is_view(repo) and repo.volatile for repo in repos)


def _is_unchanged(new: list[AbstractSet[str]], old: list[AbstractSet[str]]) -> bool:
    return len(new) == len(old) and all(
        n is o and isinstance(n, frozenset) for n, o in zip(new, old, strict=True)
    )


async def _list_all(snapshot: Snapshot, repos: Iterable[Repository]) -> None:
    distinct = {id(repo): repo for repo in repos}
    # The snapshot remembers a failure, for every task that needs this repository.
    await asyncio.gather(
        *(snapshot.keys(repo) for repo in distinct.values()), return_exceptions=True
    )
