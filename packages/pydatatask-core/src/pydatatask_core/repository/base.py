"""The base class of all repositories."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from pydatatask_core.errors import InvalidJobIdError

from .concurrency import map_concurrently
from .job_ids import ALPHANUMERIC, job_id_pattern, job_id_rule
from .job_scope import instrument_methods

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterable,
        AsyncIterator,
        Awaitable,
        Callable,
        Collection,
        Iterable,
        Mapping,
    )
    from collections.abc import Set as AbstractSet

    from .location import Location
    from .views.filtered import MapRepository
    from .views.sets import AggregateAndRepository, AggregateOrRepository, BlockingRepository

__all__ = ["Repository"]

log = logging.getLogger("pydatatask.repository")


class Repository(ABC):
    """A key-value store whose keys are job ids.

    The meaning of the values is up to the subclass, so the operations common to all repositories
    are: list the keys, return some information for templates, and delete a key. Iterate a
    repository asynchronously for its keys.

    A subclass implements :meth:`unfiltered_iter`, :meth:`info` and :meth:`delete`, and overrides
    :meth:`contains`, :meth:`keys` and :meth:`info_all` if the store can do better than listing
    everything. ``pydatatask_core.testing`` has the laws that it must obey, as tests.
    """

    CHARSET: ClassVar[str] = ALPHANUMERIC
    """The characters allowed in a job id."""

    CHARSET_START_END: ClassVar[str] = ALPHANUMERIC
    """The characters allowed at the beginning and end of a job id."""

    MAX_JOB_ID_LENGTH: ClassVar[int] = 128
    """The maximum length of a job id, in characters."""

    looks_up_locally: ClassVar[bool] = False
    """True if :meth:`contains` reads only memory or files, so that it is cheap for each job.

    Otherwise :meth:`keys` is called once for many jobs."""

    _DEFAULTS_BUILT_ON: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "keys": ("unfiltered_iter", "filter_jobs", "__aiter__"),
        "info_many": ("info",),
        "info_all": ("keys", "info", "info_many"),
    }
    """The methods on which the default of another method is built, by the name of the latter.

    A subclass that overrides one of the former, but not the latter, gets the default of the latter,
    because an inherited one, such as a bulk request, does not call the override."""

    _warned_invalid_names = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Reset inherited methods that a subclass's overrides would make wrong.

        Also wrap the coroutine methods, so that a job's scope records their calls; see
        ``job_scope``.
        """
        super().__init_subclass__(**kwargs)
        for base in cls.__mro__[1:]:
            for name, basics in vars(base).get("_DEFAULTS_BUILT_ON", {}).items():
                default = vars(base)[name]
                if getattr(cls, name) is not default and _is_more_derived(cls, basics, name):
                    setattr(cls, name, default)
        instrument_methods(cls)

    @classmethod
    def is_valid_job_id(cls, job: str) -> bool:
        """Determine whether the given name can be a job id (numbers and letters by default)."""
        if not isinstance(job, str):
            return False
        if cls.CHARSET is ALPHANUMERIC and cls.CHARSET_START_END is ALPHANUMERIC:
            # The same result as the pattern, in a quarter of the time.
            return job.isascii() and job.isalnum() and len(job) <= cls.MAX_JOB_ID_LENGTH
        pattern = job_id_pattern(cls.CHARSET, cls.CHARSET_START_END, cls.MAX_JOB_ID_LENGTH)
        return pattern.fullmatch(job) is not None

    def check_job_id(self, job: str) -> None:
        """Raise if the name cannot be a job id. Every operation that accesses a store calls this.

        :param job: the name.
        :raises InvalidJobIdError: if it cannot be a job id.
        """
        if not self.is_valid_job_id(job):
            rule = job_id_rule(self.CHARSET, self.CHARSET_START_END, self.MAX_JOB_ID_LENGTH)
            raise InvalidJobIdError(job, self, rule)

    def invalid_names(self, names: Collection[str]) -> list[str]:
        """Return the names that :meth:`check_job_id` rejects.

        :param names: the names.
        """
        if self.plain_job_id_length and self._are_plain(list(names)):
            return []
        refused = []
        for name in names:
            try:
                self.check_job_id(name)
            except InvalidJobIdError:
                refused.append(name)
        return refused

    @property
    def plain_job_id_length(self) -> int:
        """The length up to which every name of ASCII letters and digits is a valid job id.

        0 if this is unknown, as in a class with its own rules.
        """
        return self._plain_length(Repository.check_job_id)

    def _plain_length(self, check: Callable[..., None]) -> int:
        """Return :attr:`plain_job_id_length` if the class checks job ids with this function."""
        kind = type(self)
        has_default_rules = (
            kind.CHARSET is ALPHANUMERIC
            and kind.CHARSET_START_END is ALPHANUMERIC
            and kind.check_job_id is check
            and getattr(kind.is_valid_job_id, "__func__", None)
            is Repository.is_valid_job_id.__func__  # type: ignore[attr-defined]
        )
        return kind.MAX_JOB_ID_LENGTH if has_default_rules else 0

    def valid_names(self, names: Iterable[str]) -> list[str]:
        """Return the valid job ids of a listing, in its order, and log the rest in one warning.

        :param names: the names listed by the store.
        """
        valid = self.is_valid_job_id
        if getattr(valid, "__func__", None) is Repository.is_valid_job_id.__func__:  # type: ignore[attr-defined]
            names = list(names)
            if self._are_plain(names):
                return names
            # Matching the pattern directly, without two calls per name, lists a million names in
            # a third of the time.
            match = job_id_pattern(
                self.CHARSET, self.CHARSET_START_END, self.MAX_JOB_ID_LENGTH
            ).fullmatch
            split = [(name, match(name)) for name in names]
            valid_ids = [name for name, matched in split if matched]
            if len(valid_ids) != len(split):
                self._warn_invalid_names([name for name, matched in split if not matched])
            return valid_ids
        kept: list[str] = []
        refused: list[str] = []
        for name in names:
            (kept if valid(name) else refused).append(name)
        self._warn_invalid_names(refused)
        return kept

    def _are_plain(self, names: list[str]) -> bool:
        """Return True if every name is a plain job id, with a few checks of all names at once."""
        if self.CHARSET is not ALPHANUMERIC or self.CHARSET_START_END is not ALPHANUMERIC:
            return False
        text = "".join(names)
        longest = max(map(len, names), default=0)
        plain = text.isascii() and (text.isalnum() or not text)
        return plain and all(names) and longest <= self.MAX_JOB_ID_LENGTH

    def _warn_invalid_names(self, refused: list[str]) -> None:
        if refused and not self._warned_invalid_names:
            self._warned_invalid_names = True
            log.warning(
                "%r: skipped %d names that are not job ids, for example %r (%s; "
                "pydatatask.encode_job_id() turns any text into one)",
                self,
                len(refused),
                refused[0],
                job_id_rule(self.CHARSET, self.CHARSET_START_END, self.MAX_JOB_ID_LENGTH),
                extra={"repository": repr(self), "skipped": len(refused)},
            )

    async def filter_jobs(self, iterator: AsyncIterable[str]) -> AsyncIterator[str]:
        """Apply :meth:`is_valid_job_id` as a filter to an async iterator.

        Rejected names are skipped and logged in one warning.
        """
        refused = []
        async for name in iterator:
            if self.is_valid_job_id(name):
                yield name
            else:
                refused.append(name)
        self._warn_invalid_names(refused)

    def __aiter__(self) -> AsyncIterator[str]:
        """Iterate the job ids, each once."""
        return self._iterate()

    async def _iterate(self) -> AsyncIterator[str]:
        seen: set[str] = set()
        async for job in self.filter_jobs(self.unfiltered_iter()):
            if job not in seen:
                seen.add(job)
                yield job

    async def contains(self, item: str) -> bool:
        """Return True if the job is present; False for a name that is not a valid job id.

        The default lists the whole repository; override it if the store can look up one job.
        """
        if not self.is_valid_job_id(item):
            return False
        async for job in self:
            if job == item:
                return True
        return False

    @abstractmethod
    def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        """Yield every string which could potentially be a job id present in this repository.

        This is the core method of a repository. Iteration over the repository itself is filtered
        by :meth:`filter_jobs`.
        """

    async def keys(self) -> AbstractSet[str]:
        """Return all job ids as an immutable set.

        Readiness is computed from these sets. Returning the same ``frozenset`` object as last time
        means that nothing has changed since, which makes an idle round cost nothing; never return
        it unless that is certain. Override this if the store can list in bulk.
        """
        return frozenset([job async for job in self])

    @abstractmethod
    async def info(self, job: str) -> Any:
        """Return information on the job, of any type; templates use it, among others.

        The result is meaningful even if the repository does not contain the job.
        """

    @abstractmethod
    async def delete(self, job: str) -> None:
        """Delete the given job from the repository; no-op if it is not there."""

    async def info_all(self) -> dict[str, Any]:
        """Return the info of every job in the repository, by job id.

        The default reads each value separately, several at once; override it if a listing
        includes the values.
        """
        return await self.info_many(await self.keys())

    async def info_many(self, jobs: Iterable[str]) -> dict[str, Any]:
        """Return the info of each of the given jobs, reading several at once.

        :param jobs: the jobs to read.
        """
        return await map_concurrently(list(jobs), self.info)

    async def validate(self) -> None:  # noqa: B027 - not every store has anything to check
        """Create the storage that the repository needs, and raise if it is misconfigured.

        A pipeline calls this when it opens, for every repository that it writes to.

        :raises RepositoryConfigurationError: if the repository cannot work as configured.
        """

    async def is_missing(self) -> bool:
        """Return True if the storage location does not exist yet.

        Such a repository is empty until its location is created. A pipeline that only reads it
        logs a warning and does not create it.
        """
        return False

    async def visibility_delay(self) -> float:
        """Return the seconds for which a value written by another machine may be invisible here."""
        return 0.0

    @property
    def identity(self) -> str | None:
        """The storage location, equal in every process, or None if it is local to this process.

        Two pipelines that write to the same identity cannot run at the same time.
        """
        return None

    @property
    def location(self) -> Location:
        """The storage location, for comparison with other repositories of this process.

        The default is :attr:`identity`, or this object if that is None. Override it if a location
        has several spellings, or if several repositories share a folder or a bucket.
        """
        from .location import Location

        return Location(self.identity or ("object", id(self)))

    def map(
        self,
        func: Callable[[Any], Any],
        filt: Callable[[str], Awaitable[bool] | bool] | None = None,
        allow_deletes: bool = False,
    ) -> MapRepository:
        """Return a :class:`MapRepository` based on this repository and the given parameters.

        :param func: converts the info of this repository to that of the result; sync or async.
        :param filt: returns True for jobs to include in the result; sync or async; all by default.
        :param allow_deletes: whether deleting from the result deletes from this repository.
        """
        from .views.filtered import MapRepository

        return MapRepository(self, func, filt, allow_deletes=allow_deletes)

    def __and__(self, other: Repository) -> AggregateAndRepository:
        """Return a view of the jobs that are in both repositories."""
        from .views.sets import AggregateAndRepository

        return (
            AggregateAndRepository(left=self, right=other)
            if isinstance(other, Repository)
            else NotImplemented
        )

    def __or__(self, other: Repository) -> AggregateOrRepository:
        """Return a view of the jobs that are in either repository."""
        from .views.sets import AggregateOrRepository

        return (
            AggregateOrRepository(left=self, right=other)
            if isinstance(other, Repository)
            else NotImplemented
        )

    def __sub__(self, other: Repository) -> BlockingRepository:
        """Return a view of the jobs that are in this repository and not in the other."""
        from .views.sets import BlockingRepository

        return BlockingRepository(self, other) if isinstance(other, Repository) else NotImplemented

    def __repr__(self) -> str:
        """Return the name of the repository for messages; never with a secret."""
        return f"{type(self).__name__}()"


def _is_more_derived(cls: type, names: Iterable[str], other: str) -> bool:
    """Return True if any of the names is overridden by a class that inherits the other name."""

    def distance(name: str) -> int:
        return next(i for i, base in enumerate(cls.__mro__) if name in vars(base))

    return min(map(distance, names)) < distance(other)


instrument_methods(Repository)
