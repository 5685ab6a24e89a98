"""Set operations: repositories computed from the keys of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import InvalidJobIdError
from pydatatask_core.repository.base import Repository
from pydatatask_core.repository.concurrency import map_concurrently
from pydatatask_core.repository.snapshot import (
    Snapshot,
    View,
    is_view,
    leaves,
    membership_depends_on_values,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

__all__ = ["AggregateAndRepository", "AggregateOrRepository", "BlockingRepository"]

_NO_JOBS: frozenset[str] = frozenset()


def check_repository(owner: str, name: str, value: object) -> Repository:
    """Return the value, or raise if it is not a repository.

    :raises TypeError: with the parameter and the value.
    """
    if not isinstance(value, Repository):
        raise TypeError(f"{owner}: {name} must be a repository, not {value!r}")
    return value


def accepts_job_id(repo: Repository, job: str) -> bool:
    """Return True if a name is a valid job id for a repository; each has its own rules."""
    try:
        repo.check_job_id(job)
    except InvalidJobIdError:
        return False
    return True


class _Aggregate(View):
    """Base class of And and Or: named children."""

    def __init__(self, /, **children: Repository) -> None:
        self._children = {
            name: check_repository(type(self).__name__, name, child)
            for name, child in children.items()
        }

    @property
    def children(self) -> Mapping[str, Repository]:
        """The repositories of which it is composed, by name."""
        return self._children

    async def info(self, job: str) -> dict[str, Any]:
        """Return the info of each child by name, or None where the job id is not valid."""
        self.check_job_id(job)
        return {
            name: await child.info(job) if accepts_job_id(child, job) else None
            for name, child in self._children.items()
        }

    async def info_many(self, jobs: Iterable[str]) -> dict[str, Any]:
        wanted = list(jobs)
        for job in wanted:
            self.check_job_id(job)
        infos_by_job: dict[str, dict[str, Any]] = {job: {} for job in wanted}
        for name, child in self._children.items():
            infos = await child.info_many(
                [job for job in infos_by_job if accepts_job_id(child, job)]
            )
            for job, info in infos_by_job.items():
                info[name] = infos.get(job)
        return infos_by_job

    async def delete(self, job: str) -> None:
        """Delete the job from all children."""
        self.check_job_id(job)
        for child in self._children.values():
            if accepts_job_id(child, job):
                await child.delete(job)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={child!r}" for name, child in self._children.items())
        return f"{type(self).__name__}({arguments})"


class AggregateOrRepository(_Aggregate):
    """A repository which is said to contain a job if any of its children contains it.

    :param children: the repositories, by the names to use in ``info``.
    """

    async def contains(self, item: str) -> bool:
        for child in self._children.values():
            if await child.contains(item):
                return True
        return False

    async def candidates(self, snapshot: Snapshot) -> AbstractSet[str]:
        key_sets = [await snapshot.candidates(child) for child in self._children.values()]
        if len(key_sets) == 1:
            return key_sets[0]
        return _NO_JOBS.union(*key_sets)

    async def select(self, jobs: AbstractSet[str], snapshot: Snapshot) -> AbstractSet[str]:
        present: AbstractSet[str] = _NO_JOBS
        for child in _cheapest_first(self._children.values()):
            if jobs:
                selected = await snapshot.select(child, jobs)
                present, jobs = present | selected, jobs - selected
        return present


class AggregateAndRepository(_Aggregate):
    """A repository which is said to contain a job if all its children contain it.

    Without children it contains nothing.

    :param children: the repositories, by the names to use in ``info``.
    """

    async def contains(self, item: str) -> bool:
        for child in self._children.values():
            if not await child.contains(item):
                return False
        return bool(self._children)

    async def candidates(self, snapshot: Snapshot) -> AbstractSet[str]:
        key_sets = [await snapshot.candidates(child) for child in self._children.values()]
        key_sets.sort(key=len)
        present: AbstractSet[str] = key_sets[0] if key_sets else _NO_JOBS
        for keys in key_sets[1:]:
            if keys is not present:
                present = present & keys
        return present

    async def select(self, jobs: AbstractSet[str], snapshot: Snapshot) -> AbstractSet[str]:
        if not self._children:
            return _NO_JOBS
        for child in _cheapest_first(self._children.values()):
            if jobs:
                jobs = await snapshot.select(child, jobs)
        return jobs


class BlockingRepository(View):
    """A repository that is said to contain a job if ``source`` does and ``unless`` does not.

    :param source: the repository of the jobs, to which info and deletion apply.
    :param unless: the repository of blocked jobs.
    :param enumerate_unless: whether ``unless`` may be listed. If not, it is asked for each
        remaining job, which is better only if listing it is impossible or very slow.
    """

    def __init__(
        self, source: Repository, unless: Repository, enumerate_unless: bool = True
    ) -> None:
        self.source = check_repository("BlockingRepository", "source", source)
        self.unless = check_repository("BlockingRepository", "unless", unless)
        self.enumerate_unless = enumerate_unless

    @property
    def children(self) -> Mapping[str, Repository]:
        """The repositories ``source`` and ``unless``."""
        return {"source": self.source, "unless": self.unless}

    @property
    def depends_on_values(self) -> bool:
        return super().depends_on_values or not self.enumerate_unless

    @property
    def volatile(self) -> bool:
        return super().volatile or not self.enumerate_unless

    def listed_leaves(self) -> Iterator[Repository]:
        yield from leaves(self.source)
        if self.enumerate_unless:
            yield from leaves(self.unless)

    async def contains(self, item: str) -> bool:
        return await self.source.contains(item) and not await self.unless.contains(item)

    async def candidates(self, snapshot: Snapshot) -> AbstractSet[str]:
        keys = await snapshot.candidates(self.source)
        if self.enumerate_unless:
            for disjunct in _disjuncts(self.unless):
                blocked = await snapshot.candidates(disjunct)
                if keys and blocked and not membership_depends_on_values(disjunct):
                    keys = keys - blocked
        return keys

    async def select(self, jobs: AbstractSet[str], snapshot: Snapshot) -> AbstractSet[str]:
        jobs = await snapshot.select(self.source, jobs)
        if not jobs:
            return jobs
        if self.enumerate_unless:
            blocked_jobs = await snapshot.negated.select(self.unless, jobs)
            return jobs - blocked_jobs if blocked_jobs else jobs
        blocked = await map_concurrently(jobs, self.unless.contains)
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
        option = "" if self.enumerate_unless else ", enumerate_unless=False"
        return f"BlockingRepository({self.source!r}, {self.unless!r}{option})"


def _cheapest_first(children: Any) -> list[Repository]:
    return sorted(children, key=membership_depends_on_values)


def _disjuncts(repo: Repository) -> Iterator[Repository]:
    # By its real type: a ``RelatedItemRepository`` that acts as an Or is not one.
    if is_view(repo) and issubclass(type(repo), AggregateOrRepository):
        for child in repo.children.values():
            yield from _disjuncts(child)
    else:
        yield repo
