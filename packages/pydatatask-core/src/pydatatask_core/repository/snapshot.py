"""Set algebra over repositories, on one listing of each.

Readiness is computed on keys, and on values only for the jobs that are left (DESIGN: "keys
first, values last"). A :class:`Snapshot` asks each leaf repository once; a :class:`View`
answers out of it.
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

__all__ = ["Snapshot", "View"]


class Snapshot:
    """The keys of every repository as they were found once.

    A listing that failed is remembered as well, so that each task that depends on it learns of it.
    """

    def __init__(self) -> None:
        # By id, since a third party's class need not be hashable; the tasks keep them alive.
        self._keys_by_repository: dict[int, AbstractSet[str] | Exception] = {}
        self.round = object()
        """The same for this listing and its :attr:`negated`, another for any other."""
        self.unknown_is_present = False
        """Whether a job counts as present if nothing can be said of it."""

    @property
    def negated(self) -> Snapshot:
        """This listing for what holds jobs back, where not to know has to hold them back, too."""
        other = copy(self)
        other.unknown_is_present = not self.unknown_is_present
        return other

    async def keys(self, repo: Repository) -> AbstractSet[str]:
        """Give exactly the jobs that are in a repository.

        :param repo: any repository.
        :raises Exception: whatever kept a repository it depends on from being listed.
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
        """Give the jobs that may be in a repository, for all that keys alone can say."""
        return await (repo.candidates(self) if is_view(repo) else self.keys(repo))

    async def select(self, repo: Repository, jobs: AbstractSet[str]) -> AbstractSet[str]:
        """Give those of the jobs that are in a repository.

        :param repo: any repository.
        :param jobs: which jobs to ask about.
        """
        if is_view(repo):
            return await repo.select(jobs, self)
        keys = await self.keys(repo)
        # Mostly these are candidates, and to see that they are all there takes a third of a copy.
        return jobs if jobs <= keys else jobs & keys


class View(Repository):
    """A repository whose keys follow from those of others. It never caches a listing.

    A subclass gives :attr:`children`, :meth:`candidates` and :meth:`select`; where membership
    depends on more than keys it says so by :attr:`depends_on_values`.
    """

    @property
    @abstractmethod
    def children(self) -> Mapping[str, Repository]:
        """The repositories it is made of, by name."""

    @property
    def written_children(self) -> Iterable[Repository]:
        """Those of :attr:`children` that are written through this view."""
        return self.children.values()

    @abstractmethod
    async def candidates(self, snapshot: Snapshot) -> AbstractSet[str]:
        """Return an upper bound of the keys, without values; exact unless ``depends_on_values``.

        Every child is asked, whether its answer matters or not: so what remembers something about
        jobs learns which have vanished.
        """

    @abstractmethod
    async def select(self, jobs: AbstractSet[str], snapshot: Snapshot) -> AbstractSet[str]:
        """Give exactly those of the jobs that are present; called after :meth:`candidates`."""

    @property
    def depends_on_values(self) -> bool:
        """Whether membership depends on anything but the keys of the leaves."""
        return any(membership_depends_on_values(child) for child in self.children.values())

    @property
    def volatile(self) -> bool:
        """Whether the answer may change although the listings of all leaves have not."""
        return any(is_view(c) and c.volatile for c in self.children.values())

    def listed_leaves(self) -> Iterator[Repository]:
        """Iterate the leaves whose listing the answer needs."""
        for child in self.children.values():
            yield from leaves(child)

    async def keys_from(self, snapshot: Snapshot) -> AbstractSet[str]:
        """Give the keys as they follow from a listing."""
        candidates = await self.candidates(snapshot)
        return (
            await self.select(candidates, snapshot)
            if candidates and self.depends_on_values
            else candidates
        )

    async def keys(self) -> AbstractSet[str]:
        return await self.keys_from(Snapshot())

    def check_job_id(self, job: str) -> None:
        """Refuse a name that is no job id for any of the repositories below."""
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
        """Let everything pass; the leaves have filtered, each by its own rule."""
        async for job in iterator:
            yield job

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        # Not by keys(), which in a subclass that changes the iteration is made of this.
        for job in await self.keys_from(Snapshot()):
            yield job

    async def validate(self) -> None:
        """Validate the repositories that are written to through this one."""
        for child in self.written_children:
            await child.validate()

    async def visibility_delay(self) -> float:
        """Return the longest delay of the repositories below."""
        return max([await child.visibility_delay() for child in self.children.values()], default=0)

    @property
    def identity(self) -> str | None:
        """A combinator stores nothing itself; its children say where the data lives."""
        return None


def is_view(repo: Repository) -> TypeGuard[View]:
    """Tell whether the keys of a repository follow from a listing of others.

    A subclass of a combinator that lists in a way of its own is a leaf.
    """
    return isinstance(repo, View) and type(repo).keys is View.keys


def membership_depends_on_values(repo: Repository) -> bool:
    """Tell whether membership in a repository depends on more than keys."""
    return is_view(repo) and repo.depends_on_values


def leaves(repo: Repository) -> Iterator[Repository]:
    """Iterate the leaf repositories whose listing a repository needs; some may come twice."""
    if is_view(repo):
        yield from repo.listed_leaves()
    else:
        yield repo
