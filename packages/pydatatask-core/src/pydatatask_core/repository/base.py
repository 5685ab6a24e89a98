"""The contract of every repository."""

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
    )
    from collections.abc import Set as AbstractSet

    from .location import Location
    from .views.filtered import MapRepository
    from .views.sets import AggregateAndRepository, AggregateOrRepository, BlockingRepository

__all__ = ["Repository"]

log = logging.getLogger("pydatatask.repository")


class Repository(ABC):
    """A key-value store whose keys are the names of jobs.

    Its values have no agreed meaning, so all that can be asked of any repository is which keys it
    has, some information for templates, and to delete a key. Iterate it asynchronously for its
    keys.

    To write one, implement :meth:`unfiltered_iter`, :meth:`info` and :meth:`delete`, and, where
    the store can do better than a listing, override :meth:`contains`, :meth:`keys` and
    :meth:`info_all`. The laws it has to obey are in ``pydatatask_core.testing``, as tests.
    """

    CHARSET: ClassVar[str] = ALPHANUMERIC
    """The characters a job id may consist of."""

    CHARSET_START_END: ClassVar[str] = ALPHANUMERIC
    """The characters a job id may begin and end with."""

    MAX_JOB_ID_LENGTH: ClassVar[int] = 128
    """The most characters a job id may have."""

    looks_up_locally: ClassVar[bool] = False
    """Whether :meth:`contains` asks only memory or files, so that it may be called for each job.

    Otherwise :meth:`keys` is called once for many jobs."""

    _warned_invalid_names = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Keep the bulk listing true where a subclass changes what is listed.

        Also let a job's scope learn of calls of the coroutine methods; see ``job_scope``.
        """
        super().__init_subclass__(**kwargs)
        changed = {"unfiltered_iter", "filter_jobs", "__aiter__"} & cls.__dict__.keys()
        if changed and "keys" not in cls.__dict__:
            cls.keys = Repository.keys  # type: ignore[method-assign]
        instrument_methods(cls)

    @classmethod
    def is_valid_job_id(cls, job: str) -> bool:
        """Determine whether the given name can be a job id (numbers and letters by default)."""
        if not isinstance(job, str):
            return False
        if cls.CHARSET is ALPHANUMERIC and cls.CHARSET_START_END is ALPHANUMERIC:
            # The same answer as the pattern's, in a quarter of the time.
            return job.isascii() and job.isalnum() and len(job) <= cls.MAX_JOB_ID_LENGTH
        pattern = job_id_pattern(cls.CHARSET, cls.CHARSET_START_END, cls.MAX_JOB_ID_LENGTH)
        return pattern.fullmatch(job) is not None

    def check_job_id(self, job: str) -> None:
        """Refuse a name that cannot be a job id. Every entry that touches a store calls this.

        :param job: the name.
        :raises InvalidJobIdError: if it cannot be a job id.
        """
        if not self.is_valid_job_id(job):
            rule = job_id_rule(self.CHARSET, self.CHARSET_START_END, self.MAX_JOB_ID_LENGTH)
            raise InvalidJobIdError(job, self, rule)

    def invalid_names(self, names: Collection[str]) -> list[str]:
        """Return those of the names that :meth:`check_job_id` refuses.

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
        """Up to how many characters every name of ASCII letters and digits is a valid job id.

        It is 0 where that is not known, as in a class with rules of its own.
        """
        return self._plain_length(Repository.check_job_id)

    def _plain_length(self, check: Callable[..., None]) -> int:
        """Return :attr:`plain_job_id_length` if the class checks job ids by this function."""
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
        """Keep the valid job ids of a listing, in its order; the rest is summed up in one warning.

        :param names: the names that the store lists.
        """
        valid = self.is_valid_job_id
        if getattr(valid, "__func__", None) is Repository.is_valid_job_id.__func__:  # type: ignore[attr-defined]
            names = list(names)
            if self._are_plain(names):
                return names
            # The pattern itself, without two calls a name, lists a million names in a third of
            # the time.
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
        """Determine in a few looks at all names at once whether each is a plain job id."""
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
                "%r: skipped %d names that are no job ids, %r for one (%s; "
                "pydatatask.encode_job_id() turns any text into one)",
                self,
                len(refused),
                refused[0],
                job_id_rule(self.CHARSET, self.CHARSET_START_END, self.MAX_JOB_ID_LENGTH),
                extra={"repository": repr(self), "skipped": len(refused)},
            )

    async def filter_jobs(self, iterator: AsyncIterable[str]) -> AsyncIterator[str]:
        """Apply :meth:`is_valid_job_id` as a filter to an async iterator.

        Names that it refuses are skipped and summed up in one warning.
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
        """Determine whether the given job is present; a name that is no job id never is.

        The default lists the whole repository; override it where the store can look one up.
        """
        if not self.is_valid_job_id(item):
            return False
        async for job in self:
            if job == item:
                return True
        return False

    @abstractmethod
    def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        """Iterate every string which could potentially be a job id present in this repository.

        The core method of a repository. Iteration over the repository itself is filtered by
        :meth:`filter_jobs`.
        """

    async def keys(self) -> AbstractSet[str]:
        """List the whole repository as a set that does not change any more.

        Readiness is computed on these. The same ``frozenset`` object as the last time says that
        nothing has changed since, which makes a round with nothing to do cost nothing; never
        return it if that is not certain. Override this where the store can list in bulk.
        """
        return frozenset([job async for job in self])

    @abstractmethod
    async def info(self, job: str) -> Any:
        """Return an arbitrary piece of data related to job; notably, templates see this.

        It does something meaningful even if the repository does not contain the job.
        """

    @abstractmethod
    async def delete(self, job: str) -> None:
        """Delete the given job from the repository; succeed if it is not there."""

    async def info_all(self) -> dict[str, Any]:
        """Map every job present in the repository to its info.

        The default reads one value a key, several at once; override it where a listing carries
        the values.
        """
        return await self.info_many(await self.keys())

    async def info_many(self, jobs: Iterable[str]) -> dict[str, Any]:
        """Map each of the given jobs to its info, reading several at once.

        :param jobs: the jobs to read.
        """
        return await map_concurrently(list(jobs), self.info)

    async def validate(self) -> None:  # noqa: B027 - not every store has anything to check
        """Create what the repository needs, and raise if it is misconfigured.

        A pipeline calls this when it opens, for every repository that it writes to.

        :raises RepositoryConfigurationError: if it cannot work as it is configured.
        """

    async def is_missing(self) -> bool:
        """Determine whether the place where the data lives does not exist yet.

        Such a repository is empty until somebody makes its place; a pipeline that only reads it
        warns of that and does not make it.
        """
        return False

    async def visibility_delay(self) -> float:
        """Return the seconds for which a value that another machine wrote may not be seen here."""
        return 0.0

    @property
    def identity(self) -> str | None:
        """Where the data lives, the same in every process, or None if it ends with this one.

        Two pipelines that write to one identity are kept from running at the same time.
        """
        return None

    @property
    def location(self) -> Location:
        """Where the data lives, for comparison with other repositories of this process.

        The default is :attr:`identity`, or this object where that is None. Override it where one
        place has several spellings, or where several repositories share a folder or a bucket.
        """
        from .location import Location

        return Location(self.identity or ("object", id(self)))

    def map(
        self,
        func: Callable[[Any], Any],
        filt: Callable[[str], Awaitable[bool] | bool] | None = None,
        allow_deletes: bool = False,
    ) -> MapRepository:
        """Generate a :class:`MapRepository` based on this repository and the given parameters.

        :param func: makes the info of the result out of the info found here; sync or async.
        :param filt: which jobs the result has; sync or async; all by default.
        :param allow_deletes: whether deleting from the result deletes from here.
        """
        from .views.filtered import MapRepository

        return MapRepository(self, func, filt, allow_deletes=allow_deletes)

    def __and__(self, other: Repository) -> AggregateAndRepository:
        """Combine into the jobs that are in both."""
        from .views.sets import AggregateAndRepository

        return (
            AggregateAndRepository(left=self, right=other)
            if isinstance(other, Repository)
            else NotImplemented
        )

    def __or__(self, other: Repository) -> AggregateOrRepository:
        """Combine into the jobs that are in either."""
        from .views.sets import AggregateOrRepository

        return (
            AggregateOrRepository(left=self, right=other)
            if isinstance(other, Repository)
            else NotImplemented
        )

    def __sub__(self, other: Repository) -> BlockingRepository:
        """Combine into the jobs that are here and not in the other."""
        from .views.sets import BlockingRepository

        return BlockingRepository(self, other) if isinstance(other, Repository) else NotImplemented

    def __repr__(self) -> str:
        """Name the repository as messages do; never with a secret."""
        return f"{type(self).__name__}()"


instrument_methods(Repository)
