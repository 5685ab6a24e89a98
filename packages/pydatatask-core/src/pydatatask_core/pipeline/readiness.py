"""Which jobs are ready, from one listing of each repository a round."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, NamedTuple

from pydatatask_core.repository.listing import Listing, by_value, is_combinator, leaves

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
        self._last: dict[Task, tuple[list[AbstractSet[str] | None], Found]] = {}
        self._complaints: dict[Task, str] = {}

    async def gather(self, tasks: Sequence[Task]) -> dict[Task, Found | None]:
        """Give the ready jobs of each task, or None if a repository it needs could not be listed.

        What runs is listed before what is done. A job leaves the one only after it has entered
        the other, so in this order it is seen in at least one of them.

        :param tasks: the tasks to ask for.
        """
        listing = Listing()
        await _list(listing, (repo for task in tasks for repo in _live(task)))
        await _list(listing, (repo for task in tasks for repo in leaves(task.ready)))
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
        listing = Listing()
        await _list(listing, _live(task))
        return await self._ready(task, listing)

    async def _ready(self, task: Task, listing: Listing) -> Found:
        repo = task.ready
        needed = [*_live(task), *leaves(repo)]
        basis = [listing.known(leaf) for leaf in needed]
        last = self._last.get(task)
        if last is not None and not _volatile(repo) and _same(basis, last[0]):
            return last[1]
        jobs = await listing.candidates(repo)
        live = _NOTHING.union(*[await listing.keys(repo) for repo in task.live_repositories])
        jobs = jobs - live if live else jobs
        if jobs and by_value(repo):
            jobs = await listing.select(repo, jobs)
        found = Found(jobs, live)
        if None not in basis:
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


def _volatile(repo: Repository) -> bool:
    return is_combinator(repo) and repo.volatile


def _same(new: list[AbstractSet[str] | None], old: list[AbstractSet[str] | None]) -> bool:
    return len(new) == len(old) and all(
        n is not None and n is o and isinstance(n, frozenset) for n, o in zip(new, old, strict=True)
    )


async def _list(listing: Listing, repos: Iterable[Repository]) -> None:
    distinct = {id(repo): repo for repo in repos}
    # A failure is remembered by the listing, for every task that needs this repository.
    await asyncio.gather(
        *(listing.keys(repo) for repo in distinct.values()), return_exceptions=True
    )
