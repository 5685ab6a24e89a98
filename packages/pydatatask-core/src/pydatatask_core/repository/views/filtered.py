"""Views with another info, or with fewer jobs, than the underlying repository."""

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
    """The jobs of another repository whose values pass a test.

    A verdict is cached while its job is requested in every round; a job that disappears from the
    underlying repository is evaluated again when it returns. Subclasses override :meth:`passes`.

    :param child: the underlying repository.
    :param allow_deletes: whether deleting from this view deletes from ``child``, or does nothing.
    """

    def __init__(self, child: Repository, allow_deletes: bool = False) -> None:
        self.child = check_repository(type(self).__name__, "child", child)
        self.allow_deletes = allow_deletes
        # Sets, so that a round is set algebra; two generations, so that jobs which are no longer
        # requested are discarded without a search.
        self._passed: set[str] = set()
        self._refused: set[str] = set()
        self._previous_round: tuple[set[str], set[str]] = (set(), set())
        self._undecided = UndecidedJobs(self)
        self._round: object = None

    async def passes(self, job: str) -> bool:
        """Return True if a job of the underlying repository is in this view; True by default."""
        return True

    @property
    def children(self) -> Mapping[str, Repository]:
        """The underlying repository, as ``child``."""
        return {"child": self.child}

    @property
    def depends_on_values(self) -> bool:
        return True

    @property
    def volatile(self) -> bool:
        return bool(self._undecided) or super().volatile

    async def verdict(self, job: str) -> bool:
        """Return the result of :meth:`passes` for a job.

        :param job: a job of the underlying repository.
        :raises JobFunctionError: if :meth:`passes` raises.
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
        kept = passed & jobs  # usually large, so it is changed in place instead of copied again
        kept -= self._refused
        kept |= self._passed
        self._passed = kept
        self._refused |= (refused & jobs) - kept
        unknown = self._without_verdict(jobs)
        if unknown:
            verdicts, problems = await self._evaluate(list(unknown))
            for job in self._without_verdict(verdicts.keys()):  # verdicts set meanwhile are newer
                self.record_verdict(job, verdicts[job])
            self._undecided.add(problems)
            if not snapshot.unknown_is_present:
                jobs = jobs - self._without_verdict(unknown)
        return jobs - self._refused if self._refused else jobs

    def _without_verdict(self, jobs: AbstractSet[str]) -> AbstractSet[str]:
        return jobs - self._passed - self._refused

    def record_verdict(self, job: str, passed: bool) -> None:
        """Cache a verdict, once rounds have started.

        :param job: the job.
        :param passed: whether the job is in this view.
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
        """Return the verdicts on the jobs, and the problems of those that have none."""
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
    """A view that applies a function to another repository's info, and may filter its jobs.

    :param child: the underlying repository.
    :param func: converts the info of ``child``; sync or async.
    :param filt: returns True for job ids to include; sync or async; all are included by default.
    :param allow_deletes: whether deleting from this view deletes from ``child``, or does nothing.
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
                raise TypeError(f"MapRepository: {name} must be a function, not {value!r}")
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

    ``plug`` links it instead of ``done``, so that a failed job does not start the next stage.
    Evidence of failure is a record with ``success`` false; an empty record and those of older
    releases, which lack the field, count as success.
    """

    child: MetadataRepository

    def __init__(self, child: Repository) -> None:
        super().__init__(child, allow_deletes=True)

    async def passes(self, job: str) -> bool:
        record = await self.child.info(job)
        # A record that was just deleted, perhaps that of a failure, reads like an empty one.
        return succeeded(record) and (bool(record) or await self.child.contains(job))

    async def _evaluate(self, jobs: list[str]) -> tuple[dict[str, bool], Problems]:
        records, problems = await read_many(self.child, jobs)
        verdicts = {job: succeeded(record) for job, record in records.items()}
        empty = [job for job, record in records.items() if not record]
        if empty:
            verdicts |= await map_concurrently(empty, self.child.contains)
        return verdicts, problems


def succeeded(record: Any) -> bool:
    """Return True if a record of ``done`` contains no evidence of failure."""
    return not (isinstance(record, dict) and record.get("success") is False)
