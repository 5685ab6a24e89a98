"""And, or, and "unless": repositories made of the keys of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import InvalidJobIdError

from .base import Repository
from .bulk import ask_each
from .listing import Combinator, Listing, by_value, is_combinator, leaves

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

__all__ = ["AggregateAndRepository", "AggregateOrRepository", "BlockingRepository"]

_NOTHING: frozenset[str] = frozenset()


def check_repository(owner: str, name: str, value: object) -> Repository:
    """Refuse something that is no repository where one belongs.

    :raises TypeError: naming the place and what was given.
    """
    if not isinstance(value, Repository):
        raise TypeError(f"{owner}: {name} has to be a repository, not {value!r}")
    return value


def may_have(repo: Repository, job: str) -> bool:
    """Tell whether a name is a job id for a repository; of several, each has its own rule."""
    try:
        repo.check_job_id(job)
    except InvalidJobIdError:
        return False
    return True


class _Aggregate(Combinator):
    """What And and Or share: named children."""

    def __init__(self, /, **children: Repository) -> None:
        self._children = {
            name: check_repository(type(self).__name__, name, child)
            for name, child in children.items()
        }

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Keep the bulk look-up true where a subclass has an info of its own."""
        super().__init_subclass__(**kwargs)
        if "info" in cls.__dict__ and "info_many" not in cls.__dict__:
            cls.info_many = Repository.info_many  # type: ignore[method-assign]

    @property
    def children(self) -> Mapping[str, Repository]:
        """The repositories it is made of, by name."""
        return self._children

    async def info(self, job: str) -> dict[str, Any]:
        """Map each child's name to that child's info; None where it can have no such job."""
        self.check_job_id(job)
        return {
            name: await child.info(job) if may_have(child, job) else None
            for name, child in self._children.items()
        }

    async def info_many(self, jobs: Iterable[str]) -> dict[str, Any]:
        wanted = list(jobs)
        for job in wanted:
            self.check_job_id(job)
        found: dict[str, dict[str, Any]] = {job: {} for job in wanted}
        for name, child in self._children.items():
            infos = await child.info_many([job for job in found if may_have(child, job)])
            for job, info in found.items():
                info[name] = infos.get(job)
        return found

    async def delete(self, job: str) -> None:
        """Delete the job from all children."""
        self.check_job_id(job)
        for child in self._children.values():
            if may_have(child, job):
                await child.delete(job)

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={child!r}" for name, child in self._children.items())
        return f"{type(self).__name__}({inside})"


class AggregateOrRepository(_Aggregate):
    """A repository which is said to contain a job if any of its children contains it.

    :param children: the repositories, under the names by which ``info`` shows them.
    """

    async def contains(self, item: str) -> bool:
        for child in self._children.values():
            if await child.contains(item):
                return True
        return False

    async def candidates(self, listing: Listing) -> AbstractSet[str]:
        found = [await listing.candidates(child) for child in self._children.values()]
        if len(found) == 1:
            return found[0]
        return _NOTHING.union(*found)

    async def select(self, jobs: AbstractSet[str], listing: Listing) -> AbstractSet[str]:
        present: AbstractSet[str] = _NOTHING
        for child in _cheapest_first(self._children.values()):
            if jobs:
                found = await listing.select(child, jobs)
                present, jobs = present | found, jobs - found
        return present


class AggregateAndRepository(_Aggregate):
    """A repository which is said to contain a job if all its children contain it.

    Without children it contains nothing.

    :param children: the repositories, under the names by which ``info`` shows them.
    """

    async def contains(self, item: str) -> bool:
        for child in self._children.values():
            if not await child.contains(item):
                return False
        return bool(self._children)

    async def candidates(self, listing: Listing) -> AbstractSet[str]:
        found = [await listing.candidates(child) for child in self._children.values()]
        found.sort(key=len)
        present: AbstractSet[str] = found[0] if found else _NOTHING
        for keys in found[1:]:
            if keys is not present:
                present = present & keys
        return present

    async def select(self, jobs: AbstractSet[str], listing: Listing) -> AbstractSet[str]:
        if not self._children:
            return _NOTHING
        for child in _cheapest_first(self._children.values()):
            if jobs:
                jobs = await listing.select(child, jobs)
        return jobs


class BlockingRepository(Combinator):
    """A repository that is said to contain a job if ``source`` does and ``unless`` does not.

    :param source: where the jobs come from; info and deletion are its.
    :param unless: which jobs are held back.
    :param enumerate_unless: whether ``unless`` may be listed. If not, it is asked for each job
        that is left, which is the better way only where listing it is impossible or very long.
    """

    def __init__(
        self, source: Repository, unless: Repository, enumerate_unless: bool = True
    ) -> None:
        self.source = check_repository("BlockingRepository", "source", source)
        self.unless = check_repository("BlockingRepository", "unless", unless)
        self.enumerate_unless = enumerate_unless

    @property
    def children(self) -> Mapping[str, Repository]:
        """``source`` and ``unless``."""
        return {"source": self.source, "unless": self.unless}

    @property
    def by_value(self) -> bool:
        return super().by_value or not self.enumerate_unless

    @property
    def volatile(self) -> bool:
        return super().volatile or not self.enumerate_unless

    def listed(self) -> Iterator[Repository]:
        yield from leaves(self.source)
        if self.enumerate_unless:
            yield from leaves(self.unless)

    async def contains(self, item: str) -> bool:
        return await self.source.contains(item) and not await self.unless.contains(item)

    async def candidates(self, listing: Listing) -> AbstractSet[str]:
        found = await listing.candidates(self.source)
        if self.enumerate_unless:
            for part in _disjuncts(self.unless):
                blocked = await listing.candidates(part)
                if found and blocked and not by_value(part):
                    found = found - blocked
        return found

    async def select(self, jobs: AbstractSet[str], listing: Listing) -> AbstractSet[str]:
        jobs = await listing.select(self.source, jobs)
        if not jobs:
            return jobs
        if self.enumerate_unless:
            held = await listing.opposite.select(self.unless, jobs)
            return jobs - held if held else jobs
        blocked = await ask_each(jobs, self.unless.contains)
        return {job for job in jobs if not blocked[job]}

    async def info(self, job: str) -> Any:
        return await self.source.info(job)

    async def info_many(self, jobs: Iterable[str]) -> dict[str, Any]:
        return await self.source.info_many(jobs)

    @property
    def written_children(self) -> Iterable[Repository]:
        return (self.source,)

    async def delete(self, job: str) -> None:
        """Delete the job from ``source``."""
        await self.source.delete(job)

    def __repr__(self) -> str:
        how = "" if self.enumerate_unless else ", enumerate_unless=False"
        return f"BlockingRepository({self.source!r}, {self.unless!r}{how})"


def _cheapest_first(children: Any) -> list[Repository]:
    return sorted(children, key=by_value)


def _disjuncts(repo: Repository) -> Iterator[Repository]:
    # Its real type: what stands in for an Or is none.
    if is_combinator(repo) and issubclass(type(repo), AggregateOrRepository):
        for child in repo.children.values():
            yield from _disjuncts(child)
    else:
        yield repo
