"""Jobs of another repository, found by a lookup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import InvalidJobIdError, JobNotFoundError, MalformedValueError
from pydatatask_core.repository.concurrency import map_concurrently, read_many
from pydatatask_core.repository.job_functions import call_for_job
from pydatatask_core.repository.metadata import MetadataRepository
from pydatatask_core.repository.snapshot import Snapshot, View
from pydatatask_core.repository.undecided_jobs import UndecidedJobs

from .sets import check_repository
from .translation import job_parameter, translate_job_argument

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from pydatatask_core.repository.base import Repository
    from pydatatask_core.repository.concurrency import Problems

__all__ = ["RelatedItemRepository"]


class RelatedItemRepository(View):
    """A repository which returns items from another one based on following a related-item look-up.

    It contains a job if the translator contains it and the base contains its translation. It acts
    as its base: ``isinstance`` returns True for the base's class, and every method of the base with
    a parameter ``job`` (``open``, ``dump``, those of the user's own class) is available and gets
    the translated job. For methods that are not async, call ``await repository.translate(job)``
    first.

    :param base_repository: the repository from which to return results based on translated keys.
    :param translator_repository: a repository whose ``info`` returns the translated job.
    :param allow_deletes: whether deletion has any effect; if so, it deletes only from the base.
    :param prefetch_lookup: whether to keep the translations in memory. Those of new jobs are read
        once per round; otherwise each is read whenever it is needed.
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
        self._last_candidates: AbstractSet[str] = frozenset()
        self._undecided = UndecidedJobs(self)
        self._round: object = None

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # as unittest.mock does with ``spec``
        """The class of the base, for ``isinstance``."""
        base = self.__dict__.get("base_repository")
        return RelatedItemRepository if base is None else base.__class__

    @property
    def children(self) -> Mapping[str, Repository]:
        """The repositories ``base`` and ``translator``."""
        return {"base": self.base_repository, "translator": self.translator_repository}

    @property
    def written_children(self) -> tuple[Repository]:
        return (self.base_repository,)

    @property
    def depends_on_values(self) -> bool:
        return True

    @property
    def volatile(self) -> bool:
        return not self.prefetch_lookup or bool(self._undecided) or super().volatile

    def check_job_id(self, job: str) -> None:
        """Raise if the name is not a valid job id of the translator."""
        self.translator_repository.check_job_id(job)

    async def translate(self, job: str) -> str | None:
        """Return the job of the base for a job, or None if there is none.

        :param job: a job of the translator.
        :raises MalformedValueError: if the translator's value is not a job id.
        """
        self.check_job_id(job)
        known = self._lookup.get(job) if self.prefetch_lookup else None
        if known is not None:
            return known
        translator = self.translator_repository
        name = f"{type(translator).__qualname__}.info"
        translated = self._parse_translation(
            job, await call_for_job(job, name, translator.info, job)
        )
        if translated is not None:
            self._lookup[job] = translated
        return translated

    async def require_translation(self, job: str) -> str:
        """Return the job of the base for a job.

        :param job: a job of the translator.
        :raises JobNotFoundError: if there is none.
        """
        translated = await self.translate(job)
        if translated is None:
            raise JobNotFoundError(job, self.translator_repository)
        return translated

    def _parse_translation(self, job: str, value: Any) -> str | None:
        if value is None or value == {}:
            return None
        try:
            self.base_repository.check_job_id(value)
        except InvalidJobIdError as e:
            problem = f"expected a job id of {self.base_repository!r}, found {value!r}"
            raise MalformedValueError(job, self.translator_repository, problem) from e
        return str(value)

    async def contains(self, item: str) -> bool:
        if not await self.translator_repository.contains(item):
            return False
        translated = await self.translate(item)
        return translated is not None and await self.base_repository.contains(translated)

    async def candidates(self, snapshot: Snapshot) -> AbstractSet[str]:
        present = await snapshot.candidates(self.translator_repository)
        await snapshot.candidates(self.base_repository)
        if snapshot.round is not self._round:
            self._round = snapshot.round
            self._undecided.start_round()
            if present is not self._last_candidates or not isinstance(present, frozenset):
                self._last_candidates = present
                for job in self._lookup.keys() - present:
                    del self._lookup[job]
        return present

    async def select(self, jobs: AbstractSet[str], snapshot: Snapshot) -> AbstractSet[str]:
        jobs = await snapshot.select(self.translator_repository, jobs)
        lookup, problems = await self._translations(jobs)
        self._undecided.add(problems)
        wanted_jobs = {translated for translated in lookup.values() if translated is not None}
        base_jobs = await snapshot.select(self.base_repository, wanted_jobs)
        present = {job for job, translated in lookup.items() if translated in base_jobs}
        return present | problems.keys() if snapshot.unknown_is_present else present

    async def _translations(self, jobs: Collection[str]) -> tuple[dict[str, str | None], Problems]:
        """Return the translations of jobs, and the problems of those that have none."""
        lookup: dict[str, str | None] = {}
        if self.prefetch_lookup:
            lookup = {job: self._lookup[job] for job in jobs if job in self._lookup}
        unknown = [job for job in jobs if job not in lookup]
        if not unknown:
            return lookup, {}
        values, problems = await read_many(self.translator_repository, unknown)
        for job, value in values.items():
            try:
                lookup[job] = self._parse_translation(job, value)
            except MalformedValueError as e:
                problems[job] = e
        await self._cache_translations({job: lookup[job] for job in unknown if job in lookup})
        return lookup, problems

    async def _cache_translations(self, lookup: dict[str, str | None]) -> None:
        """Cache translations; that a job has none is cached only if that is certain.

        A missing job reads like one without a translation, and may still be created.
        """
        empty = [job for job, translated in lookup.items() if translated is None]
        is_present: dict[str, bool] = {}
        if empty and self.prefetch_lookup:
            is_present = await map_concurrently(empty, self.translator_repository.contains)
        for job, translated in lookup.items():
            if translated is not None or is_present.get(job):
                self._lookup[job] = translated

    async def info(self, job: str) -> Any:
        translated = await self.translate(job)
        if translated is None:
            return self._info_of_absent_job()
        return await self.base_repository.info(translated)

    def _info_of_absent_job(self) -> Any:
        """Return the info of a job without a translation, as most bases do for missing jobs."""
        return {} if isinstance(self.base_repository, MetadataRepository) else None

    async def info_many(self, jobs: Iterable[str]) -> dict[str, Any]:
        wanted = list(jobs)
        for job in wanted:
            self.check_job_id(job)
        lookup, problems = await self._translations(wanted)
        for problem in problems.values():
            raise problem
        values = await self.base_repository.info_many({t for t in lookup.values() if t is not None})
        absent = self._info_of_absent_job()
        return {job: absent if t is None else values[t] for job, t in lookup.items()}

    async def delete(self, job: str) -> None:
        self.check_job_id(job)
        if self.allow_deletes:
            translated = await self.translate(job)
            if translated is not None:
                await self.base_repository.delete(translated)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the base; for a method with a job parameter, with translation."""
        base = self.__dict__.get("base_repository")
        if base is None or name.startswith("__"):
            raise AttributeError(name)
        value = getattr(base, name)
        parameter = job_parameter(value)
        return value if parameter is None else translate_job_argument(self, value, parameter)

    def __reduce__(self) -> Any:
        return RelatedItemRepository, (
            self.base_repository,
            self.translator_repository,
            self.allow_deletes,
            self.prefetch_lookup,
        )

    def __repr__(self) -> str:
        return f"RelatedItemRepository({self.base_repository!r}, {self.translator_repository!r})"

    def cached_translation(self, job: str) -> str:
        """Return a translation that is already known, for methods that cannot await one.

        :param job: a job of the translator.
        :raises JobNotFoundError: if it has not been looked up, or does not exist.
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
