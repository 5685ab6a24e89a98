"""Which jobs are ready, from one listing of each repository a round."""

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

__all__ = ["Found", "Readiness"]

log = logging.getLogger("pydatatask.pipeline")

_NOTHING: frozenset[str] = frozenset()


class Found(NamedTuple):
    """What a round found out about a task."""

    jobs: AbstractSet[str]
    """The jobs that are ready and not live."""

    live: AbstractSet[str]
    """The jobs that are live, as far as repositories show it."""


class Readiness:
    """Finds the ready jobs of tasks, and remembers them while no listing changes."""

    def __init__(self) -> None:
        self._last: dict[Task, tuple[list[AbstractSet[str]], Found]] = {}
        self._complaints: dict[Task, str] = {}

    async def gather(self, tasks: Sequence[Task]) -> dict[Task, Found | None]:
        """Give the ready jobs of each task, or None if a repository it needs could not be listed.

        What runs is listed before what is done. A job leaves the one only after it has entered
        the other, so in this order it is seen in at least one of them.

        :param tasks: the tasks to ask for.
        """
        listing = await _listing_of(tasks)
        found: dict[Task, Found | None] = {}
        for task in tasks:
            try:
                found[task] = await self._ready(task, listing)
                if self._complaints.pop(task, None):
                    log.info("%s: its repositories can be listed again", task.name)
            except Exception as e:  # noqa: BLE001 - told below; the other tasks go on
                found[task] = None
                self._complain(task, e)
        return found

    async def ask(self, task: Task) -> Found:
        """Give the ready jobs of one task.

        :param task: the task to ask for.
        :raises Exception: whatever kept a repository it needs from being listed.
        """
        return await self._ready(task, await _listing_of([task]))

    async def _ready(self, task: Task, listing: Snapshot) -> Found:
        repo, shows_live = task.ready, task.live_repositories
        # Each of them, whether it matters or not: one that fails makes the task unknown.
        basis = [await listing.keys(leaf) for leaf in (*_live(task), *leaves(repo))]
        last = self._last.get(task)
        if last is not None and _same(basis, last[0]) and not _volatile(repo, *shows_live):
            return last[1]
        jobs = await listing.candidates(repo)
        live = _NOTHING.union(*[await listing.negated.keys(repo) for repo in shows_live])
        jobs = jobs - live if live else jobs
        if jobs and membership_depends_on_values(repo):
            jobs = await listing.select(repo, jobs)
        found = Found(jobs, live)
        self._last[task] = basis, found
        return found

    def _complain(self, task: Task, error: Exception) -> None:
        told = str(error)
        if self._complaints.get(task) != told:
            self._complaints[task] = told
            log.error(
                "%s: nothing is launched while its repositories cannot be listed: %s",
                task.name,
                error,
                extra={"task": task.name},
            )


def _live(task: Task) -> Iterable[Repository]:
    return (leaf for repo in task.live_repositories for leaf in leaves(repo))


def _volatile(*repos: Repository) -> bool:
    return any(is_view(repo) and repo.volatile for repo in repos)


def _same(new: list[AbstractSet[str]], old: list[AbstractSet[str]]) -> bool:
    return len(new) == len(old) and all(
        n is o and isinstance(n, frozenset) for n, o in zip(new, old, strict=True)
    )


async def _listing_of(tasks: Sequence[Task]) -> Snapshot:
    """List what tasks depend on: what shows live jobs first, then the rest."""
    listing = Snapshot()
    await _list(listing, (repo for task in tasks for repo in _live(task)))
    await _list(listing, (repo for task in tasks for repo in leaves(task.ready)))
    return listing


async def _list(listing: Snapshot, repos: Iterable[Repository]) -> None:
    distinct = {id(repo): repo for repo in repos}
    # A failure is remembered by the listing, for every task that needs this repository.
    await asyncio.gather(
        *(listing.keys(repo) for repo in distinct.values()), return_exceptions=True
    )
