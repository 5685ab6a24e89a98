"""Jobs of another repository, found by following a look-up."""

from __future__ import annotations

import functools
import inspect
import logging
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import JobNotFoundError, MalformedValueError

from .listing import Combinator, Listing
from .metadata import MetadataRepository
from .setops import check_repository

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from .base import Repository

__all__ = ["RelatedItemRepository"]

log = logging.getLogger("pydatatask.repository")

_JOB_PARAMETERS = frozenset({"job", "item", "job_id"})


class RelatedItemRepository(Combinator):
    """A repository which returns items from another one based on following a related-item look-up.

    It has a job if the translator has it and the base has what it translates to. It stands in for
    its base: ``isinstance`` says that it is one, and every method of the base that takes a job
    (``open``, ``dump``, those of a class of your own) is there and gets the translated job.

    :param base_repository: the repository from which to return results based on translated keys.
    :param translator_repository: a repository whose ``info`` gives the translated job.
    :param allow_deletes: whether deleting does anything; if so, it deletes from the base only.
    :param prefetch_lookup: whether to keep the translations in memory. Those of new jobs are read
        once a round; otherwise each is read every time it is needed.
    """

    def __init__(
        self,
        base_repository: Repository,
        translator_repository: Repository,
        allow_deletes: bool = False,
        prefetch_lookup: bool = True,
    ) -> None:
        owner = "RelatedItemRepository"
        self.base_repository = check_repository(owner, "base_repository", base_repository)
        self.translator_repository = check_repository(
            owner, "translator_repository", translator_repository
        )
        self.allow_deletes = allow_deletes
        self.prefetch_lookup = prefetch_lookup
        self._lookup: dict[str, str | None] = {}
        self._translated: AbstractSet[str] = frozenset()

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # the idiom of unittest.mock for a stand-in
        """The class of the base as far as ``isinstance`` is concerned."""
        base = self.__dict__.get("base_repository")
        return RelatedItemRepository if base is None else base.__class__

    @property
    def children(self) -> Mapping[str, Repository]:
        """``base`` and ``translator``."""
        return {"base": self.base_repository, "translator": self.translator_repository}

    @property
    def by_value(self) -> bool:
        return True

    @property
    def volatile(self) -> bool:
        return not self.prefetch_lookup or super().volatile

    def check_job_id(self, job: str) -> None:
        """Refuse what is no job id of the translator."""
        self.translator_repository.check_job_id(job)

    async def translate(self, job: str) -> str | None:
        """Give the job of the base that a job stands for, or None if there is none.

        :param job: a job of the translator.
        :raises MalformedValueError: if the translator holds something that is no job id.
        """
        self.check_job_id(job)
        if self.prefetch_lookup and job in self._lookup:
            return self._lookup[job]
        translated = self._as_job(job, await self.translator_repository.info(job))
        if self.prefetch_lookup and translated is not None:
            self._lookup[job] = translated
        return translated

    def _as_job(self, job: str, value: Any) -> str | None:
        if value is None or value == {}:
            return None
        if not isinstance(value, str) or not self.base_repository.is_valid_job_id(value):
            problem = f"expected a job id of {self.base_repository!r}, found {value!r}"
            raise MalformedValueError(job, self.translator_repository, problem)
        return value

    async def contains(self, item: str) -> bool:
        if not await self.translator_repository.contains(item):
            return False
        translated = await self.translate(item)
        return translated is not None and await self.base_repository.contains(translated)

    async def candidates(self, listing: Listing) -> AbstractSet[str]:
        return await listing.candidates(self.translator_repository)

    async def select(self, jobs: AbstractSet[str], listing: Listing) -> AbstractSet[str]:
        jobs = await listing.select(self.translator_repository, jobs)
        lookup = await self._translations(jobs, listing)
        pairs = {job: lookup[job] for job in jobs if lookup.get(job) is not None}
        wanted = {translated for translated in pairs.values() if translated is not None}
        found = await listing.select(self.base_repository, wanted)
        return {job for job, translated in pairs.items() if translated in found}

    async def _translations(
        self, jobs: AbstractSet[str], listing: Listing
    ) -> Mapping[str, str | None]:
        """Read the translations that are not known yet, and forget those whose job is gone."""
        lookup = self._lookup if self.prefetch_lookup else {}
        if self.prefetch_lookup:
            present = await listing.candidates(self.translator_repository)
            if present is not self._translated:
                for job in [job for job in lookup if job not in present]:
                    del lookup[job]
                self._translated = present
        unknown = [job for job in jobs if job not in lookup]
        if unknown:
            for job, value in (await self.translator_repository.info_many(unknown)).items():
                try:
                    lookup[job] = self._as_job(job, value)
                except MalformedValueError as e:
                    log.warning("left out: %s", e, extra={"job": job})
                    lookup[job] = None
        return lookup

    async def info(self, job: str) -> Any:
        translated = await self.translate(job)
        if translated is None:
            return self._absent_info()
        return await self.base_repository.info(translated)

    def _absent_info(self) -> Any:
        """Give the info of a job without a translation: what most bases give of absent jobs."""
        return {} if isinstance(self.base_repository, MetadataRepository) else None

    async def info_many(self, jobs: Iterable[str]) -> dict[str, Any]:
        lookup = {job: await self.translate(job) for job in jobs}
        values = await self.base_repository.info_many({t for t in lookup.values() if t is not None})
        absent = self._absent_info()
        return {job: absent if t is None else values[t] for job, t in lookup.items()}

    async def delete(self, job: str) -> None:
        self.check_job_id(job)
        if self.allow_deletes:
            translated = await self.translate(job)
            if translated is not None:
                await self.base_repository.delete(translated)

    async def validate(self) -> None:
        await self.base_repository.validate()

    def __getattr__(self, name: str) -> Any:
        """Give what the base has, its job-taking methods with the job translated."""
        base = self.__dict__.get("base_repository")
        if base is None or name.startswith("__"):
            raise AttributeError(name)
        value = getattr(base, name)
        return _translating(self, value) if _takes_job(value) else value

    def __reduce__(self) -> Any:
        return RelatedItemRepository, (
            self.base_repository,
            self.translator_repository,
            self.allow_deletes,
            self.prefetch_lookup,
        )

    def __repr__(self) -> str:
        return f"RelatedItemRepository({self.base_repository!r}, {self.translator_repository!r})"

    def known_translation(self, job: str) -> str:
        """Give a translation that is known already, for methods that cannot wait for one.

        :param job: a job of the translator.
        :raises JobNotFoundError: if it was not looked up yet, or there is none.
        """
        self.check_job_id(job)
        translated = self._lookup.get(job)
        if translated is None:
            error = JobNotFoundError(job, self)
            error.add_note(
                "call `await repository.translate(job)` before a method that is not async"
            )
            raise error
        return translated


def _takes_job(value: Any) -> bool:
    if not inspect.ismethod(value) or isinstance(value.__self__, type):
        return False
    first = next(iter(inspect.signature(value).parameters), None)
    return first in _JOB_PARAMETERS


def _translating(repo: RelatedItemRepository, method: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a method of the base so that its first parameter, the job, is translated."""
    first = next(iter(inspect.signature(method).parameters))

    def split(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
        if args:
            return args[0], args[1:]
        return kwargs.pop(first), ()

    async def translated(job: str) -> str:
        found = await repo.translate(job)
        if found is None:
            raise JobNotFoundError(job, repo.translator_repository)
        return found

    if inspect.isasyncgenfunction(method):

        @functools.wraps(method)
        async def generate(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
            job, rest = split(args, kwargs)
            async for value in method(await translated(job), *rest, **kwargs):
                yield value

        return generate
    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def call(*args: Any, **kwargs: Any) -> Any:
            job, rest = split(args, kwargs)
            return await method(await translated(job), *rest, **kwargs)

        return call

    @functools.wraps(method)
    def call_now(*args: Any, **kwargs: Any) -> Any:
        job, rest = split(args, kwargs)
        return method(repo.known_translation(job), *rest, **kwargs)

    return call_now
