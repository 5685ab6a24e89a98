"""Repositories with another info, or with fewer jobs, than the one they show."""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import MalformedValueError

from .base import PARALLEL_READS, Repository
from .listing import Combinator, Listing, by_value
from .setops import check_repository

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from collections.abc import Set as AbstractSet

    from .metadata import MetadataRepository

__all__ = ["FilterRepository", "MapRepository", "SucceededRepository"]

log = logging.getLogger("pydatatask.repository")


class FilterRepository(Combinator):
    """The jobs of another repository that pass a test of their values.

    A verdict is remembered while its job is asked for in every round; a job that vanishes from
    the repository below is judged anew when it comes back. Subclasses give :meth:`passes`.

    :param child: the repository that is shown.
    :param allow_deletes: whether deleting from here deletes from it; else it does nothing.
    """

    def __init__(self, child: Repository, allow_deletes: bool = False) -> None:
        self.child = check_repository(type(self).__name__, "child", child)
        self.allow_deletes = allow_deletes
        # Two generations, so that what is no longer asked for is forgotten without a search.
        self._verdicts: dict[str, bool] = {}
        self._older: dict[str, bool] = {}
        self._listing: Listing | None = None

    async def passes(self, job: str) -> bool:
        """Tell whether a job of the repository below is in this one; all are by default."""
        return True

    @property
    def children(self) -> Mapping[str, Repository]:
        """The repository below, as ``child``."""
        return {"child": self.child}

    @property
    def by_value(self) -> bool:
        return True

    async def contains(self, item: str) -> bool:
        return await self.child.contains(item) and await self.passes(item)

    async def candidates(self, listing: Listing) -> AbstractSet[str]:
        return await listing.candidates(self.child)

    async def select(self, jobs: AbstractSet[str], listing: Listing) -> AbstractSet[str]:
        jobs = await listing.select(self.child, jobs)
        if listing is not self._listing:
            self._listing, self._older, self._verdicts = listing, self._verdicts, {}
        verdicts, older = self._verdicts, self._older
        unknown = []
        for job in jobs:
            if job not in verdicts:
                if job in older:
                    verdicts[job] = older[job]
                else:
                    unknown.append(job)
        if unknown:
            await self._judge(unknown, verdicts)
        return {job for job in jobs if verdicts.get(job)}

    async def _judge(self, jobs: list[str], verdicts: dict[str, bool]) -> None:
        queue = iter(jobs)

        async def judge() -> None:
            for job in queue:
                try:
                    verdicts[job] = await self.passes(job)
                except MalformedValueError as e:
                    log.warning("%r: left out job %r: %s", self, job, e, extra={"job": job})

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(PARALLEL_READS, len(jobs))):
                    group.create_task(judge())
        except ExceptionGroup as e:
            raise e.exceptions[0] from None

    async def info(self, job: str) -> Any:
        return await self.child.info(job)

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
    def by_value(self) -> bool:
        return self.filt is not None or by_value(self.child)

    async def passes(self, job: str) -> bool:
        return True if self.filt is None else bool(await _result(self.filt(job)))

    async def info(self, job: str) -> Any:
        return await _result(self.func(await self.child.info(job)))

    async def info_all(self) -> dict[str, Any]:
        if self.filt is not None:
            return await self.info_many(await self.keys())
        found = await self.child.info_all()
        return {job: await _result(self.func(value)) for job, value in found.items()}


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
        return succeeded(await self.child.info(job))

    def note(self, job: str, success: bool) -> None:
        """Remember a verdict that is known because the record was just written."""
        self._verdicts[job] = success


def succeeded(record: Any) -> bool:
    """Tell whether a record of ``done`` holds no evidence of failure."""
    return not (isinstance(record, dict) and record.get("success") is False)


async def _result(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
