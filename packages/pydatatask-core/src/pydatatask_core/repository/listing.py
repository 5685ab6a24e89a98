"""Set algebra over repositories, on one listing of each.

Readiness is computed on keys, and on values only for the jobs that are left (DESIGN: "keys
first, values last"). A :class:`Listing` asks each leaf repository once; a :class:`Combinator`
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

__all__ = ["Combinator", "Listing"]


class Listing:
    """The keys of every repository as they were found once.

    A listing that failed is remembered as well, so that each task that depends on it learns of it.
    """

    def __init__(self) -> None:
        # By id, since a third party's class need not be hashable; the tasks keep them alive.
        self._found: dict[int, AbstractSet[str] | Exception] = {}
        self.round = object()
        """The same for this listing and its :attr:`opposite`, another for any other."""
        self.doubt_counts = False
        """Whether a job counts as present if nothing can be said of it."""

    @property
    def opposite(self) -> Listing:
        """This listing for what holds jobs back, where not to know has to hold them back, too."""
        other = copy(self)
        other.doubt_counts = not self.doubt_counts
        return other

    async def keys(self, repo: Repository) -> AbstractSet[str]:
        """Give exactly the jobs that are in a repository.

        :param repo: any repository.
        :raises Exception: whatever kept a repository it depends on from being listed.
        """
        if is_combinator(repo):
            return await repo.keys_in(self)
        found = self._found.get(id(repo))
        if found is None:
            try:
                found = await repo.keys()
            except Exception as e:
                self._found[id(repo)] = e
                raise
            self._found[id(repo)] = found
        if isinstance(found, Exception):
            raise found
        return found

    async def candidates(self, repo: Repository) -> AbstractSet[str]:
        """Give the jobs that may be in a repository, for all that keys alone can say."""
        return await (repo.candidates(self) if is_combinator(repo) else self.keys(repo))

    async def select(self, repo: Repository, jobs: AbstractSet[str]) -> AbstractSet[str]:
        """Give those of the jobs that are in a repository.

        :param repo: any repository.
        :param jobs: which jobs to ask about.
        """
        if is_combinator(repo):
            return await repo.select(jobs, self)
        keys = await self.keys(repo)
        # Mostly these are candidates, and to see that they are all there takes a third of a copy.
        return jobs if jobs <= keys else jobs & keys


class Combinator(Repository):
    """A repository whose keys follow from those of others. It never caches a listing.

    A subclass gives :attr:`children`, :meth:`candidates` and :meth:`select`; where membership
    depends on more than keys it says so by :attr:`by_value`.
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
    async def candidates(self, listing: Listing) -> AbstractSet[str]:
        """Give an upper bound of the keys that asks for no value; exact unless ``by_value``.

        Every child is asked, whether its answer matters or not: so what remembers something about
        jobs learns which have vanished.
        """

    @abstractmethod
    async def select(self, jobs: AbstractSet[str], listing: Listing) -> AbstractSet[str]:
        """Give exactly those of the jobs that are present; called after :meth:`candidates`."""

    @property
    def by_value(self) -> bool:
        """Whether membership depends on anything but the keys of the leaves."""
        return any(by_value(child) for child in self.children.values())

    @property
    def volatile(self) -> bool:
        """Whether the answer may change although the listings of all leaves have not."""
        return any(is_combinator(c) and c.volatile for c in self.children.values())

    def listed(self) -> Iterator[Repository]:
        """Iterate the leaves whose listing the answer needs."""
        for child in self.children.values():
            yield from leaves(child)

    async def keys_in(self, listing: Listing) -> AbstractSet[str]:
        """Give the keys as they follow from a listing."""
        found = await self.candidates(listing)
        return await self.select(found, listing) if found and self.by_value else found

    async def keys(self) -> AbstractSet[str]:
        return await self.keys_in(Listing())

    def check_job_id(self, job: str) -> None:
        """Refuse a name that is no job id for any of the repositories below."""
        refusal = None
        for child in self.children.values():
            try:
                return child.check_job_id(job)
            except InvalidJobIdError as e:
                refusal = e
        if refusal is not None:
            raise refusal
        super().check_job_id(job)

    async def filter_jobs(self, iterator: AsyncIterable[str]) -> AsyncIterator[str]:
        """Let everything pass; the leaves have filtered, each by its own rule."""
        async for job in iterator:
            yield job

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        # Not by keys(), which in a subclass that changes the iteration is made of this.
        for job in await self.keys_in(Listing()):
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


def is_combinator(repo: Repository) -> TypeGuard[Combinator]:
    """Tell whether the keys of a repository follow from a listing of others.

    A subclass of a combinator that lists in a way of its own is a leaf.
    """
    return isinstance(repo, Combinator) and type(repo).keys is Combinator.keys


def by_value(repo: Repository) -> bool:
    """Tell whether membership in a repository depends on more than keys."""
    return is_combinator(repo) and repo.by_value


def leaves(repo: Repository) -> Iterator[Repository]:
    """Iterate the leaf repositories whose listing a repository needs; some may come twice."""
    if is_combinator(repo):
        yield from repo.listed()
    else:
        yield repo
