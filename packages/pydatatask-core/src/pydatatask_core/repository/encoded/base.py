"""Methods of metadata repositories whose values are encoded as text, one blob each.

They are functions, which a class of each format has as its methods, because a common base class
would be one more between that class and its documented bases.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from pydatatask_core.errors import (
    MalformedValueError,
    RepositoryConfigurationError,
    UnsupportedValueError,
)
from pydatatask_core.repository.metadata import encode_checked

from .codecs.decode_error import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from collections.abc import Set as AbstractSet

__all__ = ["MAX_BYTES", "check_max_bytes", "dump", "info", "info_all", "info_many"]

_SCALARS = frozenset({bool, int, float, datetime, type(None)})
_MAX_SMALL_ITEMS = 64
_MAX_SMALL_LENGTH = 4096

MAX_BYTES = 64 * 1024 * 1024
"""Default limit of the size of a value, in bytes of text."""


class Codec(Protocol):
    """A text format of the values of the data model; see ``codecs``."""

    def encode(self, data: Any) -> bytes: ...
    def decode(self, data: bytes) -> Any: ...


class EncodedRepository(Protocol):
    """A blob repository whose values are encoded metadata."""

    max_bytes: int

    def check_job_id(self, job: str) -> None: ...
    async def keys(self) -> AbstractSet[str]: ...
    async def _read_values(
        self, jobs: Collection[str], limit: int, parse: Callable[[str, bytes], Any]
    ) -> dict[str, Any]: ...
    async def _write_value(
        self, job: str, encode: Callable[[], bytes], *, is_small: bool = False
    ) -> None: ...
    def _describe_location(self, job: str) -> str: ...

    @staticmethod
    def _codec() -> Codec: ...


async def info(self: EncodedRepository, job: str) -> Any:
    """Load and decode the value of a job; return ``{}`` if it does not exist.

    :raises MalformedValueError: if it cannot be parsed; the message has the line and column.
    """
    self.check_job_id(job)
    return (await _read(self, [job])).get(job, {})


async def info_many(self: EncodedRepository, jobs: Iterable[str]) -> dict[str, Any]:
    """Load and decode the values of some jobs; ``{}`` for those that do not exist."""
    wanted = list(jobs)
    values = await _read(self, wanted)
    return {job: values.get(job, {}) for job in wanted}


async def info_all(self: EncodedRepository) -> dict[str, Any]:
    """Load and decode all values."""
    return await _read(self, await self.keys())


async def dump(self: EncodedRepository, job: str, data: Any) -> None:
    """Encode and store a value, which must not be changed until this has returned."""
    self.check_job_id(job)
    encode = partial(_serialize, self, job, data)
    await self._write_value(job, encode, is_small=_is_small(data))


def _is_small(data: Any) -> bool:
    """Return whether encoding and writing a value takes well below a millisecond."""
    return (
        type(data) is dict
        and len(data) <= _MAX_SMALL_ITEMS
        and all(
            type(value) in _SCALARS or (type(value) is str and len(value) <= _MAX_SMALL_LENGTH)
            for value in data.values()
        )
    )


async def _read(repo: EncodedRepository, jobs: Collection[str]) -> dict[str, Any]:
    return await repo._read_values(jobs, repo.max_bytes + 1, partial(_parse, repo))


def _parse(repo: EncodedRepository, job: str, data: bytes) -> Any:
    try:
        if len(data) > repo.max_bytes:
            raise DecodeError(f"it has more bytes than max_bytes={repo.max_bytes:,}")
        return repo._codec().decode(data)
    except DecodeError as e:
        location = repo._describe_location(job)
        raise MalformedValueError(job, repo, f"{location}, {e}" if location else str(e)) from e


def _serialize(repo: EncodedRepository, job: str, data: Any) -> bytes:
    encoded = encode_checked(job, repo, data, repo._codec().encode)
    if len(encoded) > repo.max_bytes:
        problem = f"it takes {len(encoded):,} bytes, more than max_bytes={repo.max_bytes:,}"
        raise UnsupportedValueError(job, repo, problem)
    return encoded


def check_max_bytes(owner: str, max_bytes: object) -> int:
    """Return the limit, or raise if it is not a positive number of bytes.

    :param owner: the class name for messages.
    :param max_bytes: the argument.
    :raises TypeError: if it is not an integer.
    :raises RepositoryConfigurationError: if it is less than 1.
    """
    if not isinstance(max_bytes, int) or isinstance(max_bytes, bool):
        raise TypeError(f"{owner}: max_bytes must be a number of bytes, not {max_bytes!r}")
    if max_bytes < 1:
        raise RepositoryConfigurationError(
            f"{owner}: max_bytes must be at least 1, not {max_bytes}"
        )
    return max_bytes
