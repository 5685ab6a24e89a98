"""Repositories with another info, or with fewer jobs, than the one they show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydatatask_core.repository.concurrency import (
    map_collecting_problems,
    map_concurrently,
    read_many,
)
from pydatatask_core.repository.job_functions import call_for_job, function_name
from pydatatask_core.repository.snapshot import Snapshot, View, membership_depends_on_values
from pydatatask_core.repository.undecided_jobs import UndecidedJobs

from .sets import check_repository

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from pydatatask_core.repository.base import Repository
    from pydatatask_core.repository.concurrency import Problems
    from pydatatask_core.repository.metadata import MetadataRepository

__all__ = ["FilterRepository", "MapRepository", "SucceededRepository"]


class FilterRepository(View):
    """The jobs of another repository that pass a test of their values.

    A verdict is remembered while its job is asked for in every round; a job that vanishes from
    the repository below is judged anew when it comes back. Subclasses give :meth:`passes`.

    :param child: the repository that is shown.
    :param allow_deletes: whether deleting from here deletes from it; else it does nothing.
    """

    def __init__(self, child: Repository, allow_deletes: bool = False) -> None:
        self.child = check_repository(type(self).__name__, "child", child)
        self.allow_deletes = allow_deletes
        # As sets, so that a round is set algebra, and in two generations, so that what is no longer
        # asked for is forgotten without a search.
        self._passed: set[str] = set()
        self._refused: set[str] = set()
        self._previous_round: tuple[set[str], set[str]] = (set(), set())
        self._undecided = UndecidedJobs(self)
        self._round: object = None

    async def passes(self, job: str) -> bool:
        """Tell whether a job of the repository below is in this one; all are by default."""
        return True

    @property
    def children(self) -> Mapping[str, Repository]:
        """The repository below, as ``child``."""
        return {"child": self.child}

    @property
    def depends_on_values(self) -> bool:
        return True

    @property
    def volatile(self) -> bool:
        return bool(self._undecided) or super().volatile

    async def verdict(self, job: str) -> bool:
        """Tell what :meth:`passes` says of a job.

        :param job: a job of the repository below.
        :raises JobFunctionError: if it raises.
        """
        name = f"{type(self).__qualname__}.passes"
        return bool(await call_for_job(job, name, self.passes, job))

    async def contains(self, item: str) -> bool:
        return await self.child.contains(item) and await self.verdict(item)

    async def candidates(self, snapshot: Snapshot) -> AbstractSet[str]:
        if snapshot.round is not self._round:
            self._round, self._previous_round = snapshot.round, (self._passed, self._refused)
            self._passed, self._refused = set(), set()
            self._undecided.start_round()
        return await snapshot.candidates(self.child)

    async def select(self, jobs: AbstractSet[str], snapshot: Snapshot) -> AbstractSet[str]:
        jobs = frozenset(await snapshot.select(self.child, jobs))
        passed, refused = self._previous_round
        kept = passed & jobs  # this is the large one, so it is not copied once more
        kept -= self._refused
        kept |= self._passed
        self._passed = kept
        self._refused |= (refused & jobs) - kept
        unknown = self._without_verdict(jobs)
        if unknown:
            verdicts, problems = await self._evaluate(list(unknown))
            for job in self._without_verdict(verdicts.keys()):  # what was noted meanwhile is newer
                self.record_verdict(job, verdicts[job])
            self._undecided.add(problems)
            if not snapshot.unknown_is_present:
                jobs = jobs - self._without_verdict(unknown)
        return jobs - self._refused if self._refused else jobs

    def _without_verdict(self, jobs: AbstractSet[str]) -> AbstractSet[str]:
        return jobs - self._passed - self._refused

    def record_verdict(self, job: str, passed: bool) -> None:
        """Remember a verdict, from the first round on in which somebody asks for it.

        :param job: whose verdict it is.
        :param passed: whether the job is in this repository.
        """
        if self._round is None:
            return
        if passed:
            self._passed.add(job)
            self._refused.discard(job)
        else:
            self._passed.discard(job)
            self._refused.add(job)

    async def _evaluate(self, jobs: list[str]) -> tuple[dict[str, bool], Problems]:
        """Tell which of the jobs pass, and set those apart for which there is no saying."""
        return await map_collecting_problems(jobs, self.verdict)

    async def info(self, job: str) -> Any:
        return await self.child.info(job)

    async def info_many(self, jobs: Iterable[str]) -> dict[str, Any]:
        return await self.child.info_many(jobs)

    async def delete(self, job: str) -> None:
        self.check_job_id(job)
        if self.allow_deletes:
            await self.child.delete(job)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.child!r})"


class MapRepository(FilterRepository):
    """A repository that shows another one's info through a function, and some of its jobs.

    :param child: the repository that is shown.
    :param func: makes the info out of the info of ``child``; sync or async.
    :param filt: which jobs are shown, given a job id; sync or async; all by default.
    :param allow_deletes: whether deleting from here deletes from ``child``; else it does nothing.
    """

    def __init__(
        self,
        child: Repository,
        func: Callable[[Any], Any],
        filt: Callable[[str], Awaitable[bool] | bool] | None = None,
        allow_deletes: bool = False,
    ) -> None:
        super().__init__(child, allow_deletes)
        for name, value in (("func", func), ("filt", filt)):
            if not callable(value) and not (name == "filt" and value is None):
                raise TypeError(f"MapRepository: {name} has to be a function, not {value!r}")
        self.func = func
        self.filt = filt

    @property
    def depends_on_values(self) -> bool:
        return self.filt is not None or membership_depends_on_values(self.child)

    async def passes(self, job: str) -> bool:
        if self.filt is None:
            return True
        return bool(
            await call_for_job(job, f"the filter {function_name(self.filt)}", self.filt, job)
        )

    async def info(self, job: str) -> Any:
        return await self._map(job, await self.child.info(job))

    async def _map(self, job: str, value: Any) -> Any:
        return await call_for_job(job, f"the function {function_name(self.func)}", self.func, value)

    async def info_many(self, jobs: Iterable[str]) -> dict[str, Any]:
        return await self._map_all(await self.child.info_many(jobs))

    async def info_all(self) -> dict[str, Any]:
        if self.filt is not None:
            return await super().info_all()
        return await self._map_all(await self.child.info_all())

    async def _map_all(self, infos: dict[str, Any]) -> dict[str, Any]:
        return {job: await self._map(job, value) for job, value in infos.items()}


class SucceededRepository(FilterRepository):
    """The jobs of a ``done`` repository without evidence of failure.

    What ``plug`` links in the place of ``done``, so that a job that failed does not start the
    next stage. Evidence is a record with ``success`` false; an empty record and those of older
    releases, which do not have it, count as success.
    """

    child: MetadataRepository

    def __init__(self, child: Repository) -> None:
        super().__init__(child, allow_deletes=True)

    async def passes(self, job: str) -> bool:
        record = await self.child.info(job)
        # One that was just deleted, a failed one perhaps, reads like an empty one.
        return succeeded(record) and (bool(record) or await self.child.contains(job))

    async def _evaluate(self, jobs: list[str]) -> tuple[dict[str, bool], Problems]:
        records, problems = await read_many(self.child, jobs)
        verdicts = {job: succeeded(record) for job, record in records.items()}
        empty = [job for job, record in records.items() if not record]
        if empty:
            verdicts |= await map_concurrently(empty, self.child.contains)
        return verdicts, problems


def succeeded(record: Any) -> bool:
    """Tell whether a record of ``done`` holds no evidence of failure."""
    return not (isinstance(record, dict) and record.get("success") is False)
