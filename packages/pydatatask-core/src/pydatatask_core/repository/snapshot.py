"""Set algebra over repositories, based on one listing of each.

Readiness is computed from keys, and values are read only for the jobs that remain. A
:class:`Snapshot` lists each leaf repository once; a :class:`View` computes its keys from it.
"""

from __future__ import annotations

from abc import abstractmethod
from copy import copy
from typing import TYPE_CHECKING, TypeGuard

from pydatatask_core.errors import InvalidJobIdError

from .base import Repository

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterable,
        AsyncIterator,
        Iterable,
        Iterator,
        Mapping,
    )
    from collections.abc import Set as AbstractSet

__all__ = ["Snapshot", "View", "is_view", "leaves", "membership_depends_on_values", "stores"]


class Snapshot:
    """The keys of every repository as listed at one time.

    A failed listing is cached as well, so that each task that depends on it gets the error.
    """

    def __init__(self) -> None:
        # By id, because a third party's class may not be hashable; the tasks keep them alive.
        self._keys_by_repository: dict[int, AbstractSet[str] | Exception] = {}
        self.round = object()
        """The same object in this snapshot and in :attr:`negated`, and in no other."""
        self.unknown_is_present = False
        """True if a job counts as present when its presence is unknown."""

    @property
    def negated(self) -> Snapshot:
        """This snapshot for repositories that block jobs: a job of unknown presence is blocked."""
        other = copy(self)
        other.unknown_is_present = not self.unknown_is_present
        return other

    async def keys(self, repo: Repository) -> AbstractSet[str]:
        """Return exactly the jobs that are in a repository.

        :param repo: any repository.
        :raises Exception: the error of listing it or a repository that it depends on.
        """
        if is_view(repo):
            return await repo.keys_from(self)
        keys = self._keys_by_repository.get(id(repo))
        if keys is None:
            try:
                keys = await repo.keys()
            except Exception as e:
                self._keys_by_repository[id(repo)] = e
                raise
            self._keys_by_repository[id(repo)] = keys
        if isinstance(keys, Exception):
            raise keys
        return keys

    async def candidates(self, repo: Repository) -> AbstractSet[str]:
        """Return the jobs that may be in a repository, according to keys alone."""
        return await (repo.candidates(self) if is_view(repo) else self.keys(repo))

    async def select(self, repo: Repository, jobs: AbstractSet[str]) -> AbstractSet[str]:
        """Return those of the jobs that are in a repository.

        :param repo: any repository.
        :param jobs: the jobs to check.
        """
        if is_view(repo):
            return await repo.select(jobs, self)
        keys = await self.keys(repo)
        # Usually all candidates are there, and checking that takes a third of the time of a copy.
        return jobs if jobs <= keys else jobs & keys


class View(Repository):
    """A repository whose keys are computed from those of others. It never caches a listing.

    A subclass provides :attr:`children`, :meth:`candidates` and :meth:`select`, and
    :attr:`depends_on_values` if membership depends on more than keys.
    """

    @property
    @abstractmethod
    def children(self) -> Mapping[str, Repository]:
        """The repositories of which it is composed, by name."""

    @property
    def written_children(self) -> Iterable[Repository]:
        """The :attr:`children` that are written through this view."""
        return self.children.values()

    @abstractmethod
    async def candidates(self, snapshot: Snapshot) -> AbstractSet[str]:
        """Return an upper bound of the keys, without values; exact unless ``depends_on_values``.

        Every child is asked, even if its result does not matter, so that children which remember
        verdicts on jobs notice that jobs have disappeared.
        """

    @abstractmethod
    async def select(self, jobs: AbstractSet[str], snapshot: Snapshot) -> AbstractSet[str]:
        """Return exactly those of the jobs that are present; called after :meth:`candidates`."""

    @property
    def depends_on_values(self) -> bool:
        """True if membership depends on anything but the keys of the leaves."""
        return any(membership_depends_on_values(child) for child in self.children.values())

    @property
    def volatile(self) -> bool:
        """True if the keys may change although the listings of all leaves have not."""
        return any(is_view(c) and c.volatile for c in self.children.values())

    def listed_leaves(self) -> Iterator[Repository]:
        """Yield the leaves whose listings are needed to compute the keys."""
        for child in self.children.values():
            yield from leaves(child)

    async def keys_from(self, snapshot: Snapshot) -> AbstractSet[str]:
        """Return the keys, computed from a snapshot."""
        candidates = await self.candidates(snapshot)
        return (
            await self.select(candidates, snapshot)
            if candidates and self.depends_on_values
            else candidates
        )

    async def keys(self) -> AbstractSet[str]:
        return await self.keys_from(Snapshot())

    def check_job_id(self, job: str) -> None:
        """Raise if the name is not a valid job id for any of the children."""
        error = None
        for child in self.children.values():
            try:
                return child.check_job_id(job)
            except InvalidJobIdError as e:
                error = e
        if error is not None:
            raise error
        super().check_job_id(job)

    async def filter_jobs(self, iterator: AsyncIterable[str]) -> AsyncIterator[str]:
        """Yield every name, because the leaves have already filtered by their own rules."""
        async for job in iterator:
            yield job

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        # Not with keys(), because that uses this method in a subclass that changes iteration.
        for job in await self.keys_from(Snapshot()):
            yield job

    async def validate(self) -> None:
        """Validate the repositories that are written through this view."""
        for child in self.written_children:
            await child.validate()

    async def visibility_delay(self) -> float:
        """Return the longest delay of the children."""
        return max([await child.visibility_delay() for child in self.children.values()], default=0)

    @property
    def identity(self) -> str | None:
        """None, because a view stores nothing itself; its children have identities."""
        return None


def is_view(repo: Repository) -> TypeGuard[View]:
    """Return True if the keys of a repository are computed from a snapshot of others.

    A subclass of a view that overrides ``keys`` is a leaf.
    """
    return isinstance(repo, View) and type(repo).keys is View.keys


def membership_depends_on_values(repo: Repository) -> bool:
    """Return True if membership in a repository depends on more than keys."""
    return is_view(repo) and repo.depends_on_values


def leaves(repo: Repository) -> Iterator[Repository]:
    """Yield the leaf repositories whose listings a repository needs; some may occur twice."""
    if is_view(repo):
        yield from repo.listed_leaves()
    else:
        yield repo


def stores(*repos: Repository) -> Iterator[Repository]:
    """Yield the repositories that hold the data of the given ones; some may occur twice.

    Unlike :func:`leaves`, this includes repositories that need not be listed.

    :param repos: repositories, of which views are replaced by their children.
    """
    for repo in repos:
        if isinstance(repo, View):
            yield from stores(*repo.children.values())
        else:
            yield repo
