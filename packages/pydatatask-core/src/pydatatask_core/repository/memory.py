"""Repositories in memory, whose content is lost when the process ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import JobNotFoundError, StreamClosedError, UnsupportedValueError
from pydatatask_core.utils import AReadText, AtomicWriter, AWriteText
from pydatatask_core.utils.call_log import self_reporting

from .base import Repository
from .blob import BlobMode, BlobRepository, check_mode
from .data_model import copy_metadata
from .job_scope import current_scope
from .metadata import MetadataRepository

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from .location import Location

__all__ = ["InProcessBlobRepository", "InProcessBlobStream", "InProcessMetadataRepository"]


class _InProcessRepository(Repository):
    """Base class of the repositories in memory: the dict, and detection of changes of its keys.

    A dict that was passed in belongs to the user: it is used directly, and may be changed by the
    user at any time.
    """

    looks_up_locally = True

    def __init__(self, data: dict[str, Any] | None = None) -> None:
        if data is not None and not isinstance(data, dict):
            raise TypeError(
                f"{type(self).__name__}(data): expected a dict of job ids to values or None, "
                f"not {data!r}"
            )
        self._data: dict[str, Any] = {} if data is None else data
        self._shared = data is not None
        self._dirty = True
        self._keys: frozenset[str] = frozenset()
        self._size = 0

    @property
    def data(self) -> dict[str, Any]:
        """The dict with all values; it may be changed directly."""
        self._shared = True
        return self._data

    async def keys(self) -> frozenset[str]:
        data = self._data
        if self._dirty or len(data) != self._size or (self._shared and not self._unchanged()):
            # Names that were added by our own methods were checked then.
            self._keys = frozenset(self.valid_names(list(data)) if self._shared else data)
            self._size = len(data)
            self._dirty = False
        return self._keys

    def _unchanged(self) -> bool:
        keys = self._keys
        return len(keys) == len(self._data) and keys == self._data.keys()

    async def contains(self, item: str) -> bool:
        return isinstance(item, str) and item in self._data and self.is_valid_job_id(item)

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        for job in list(self._data):
            yield job

    async def delete(self, job: str) -> None:
        self.check_job_id(job)
        if self._data.pop(job, _ABSENT) is not _ABSENT:
            self._dirty = True

    def _store(self, job: str, value: Any) -> None:
        if not self.is_valid_job_id(job):
            self.check_job_id(job)
        data = self._data
        before = len(data)
        data[job] = value
        if len(data) != before:
            self._dirty = True

    @property
    def location(self) -> Location:
        from .location import Location

        return Location(("object", id(self._data)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(<{len(self._data)} jobs>)"

    def __reduce__(self) -> Any:
        raise TypeError(
            f"{self!r} lives in the memory of one process and cannot be sent to another; "
            "use a repository in files or on a server instead"
        )


_ABSENT: Any = object()


class InProcessMetadataRepository(_InProcessRepository, MetadataRepository):
    """A metadata repository which stores all its values in a dict.

    It accepts any Python object as a value, not only metadata. Lists and dicts are copied when they
    are stored and returned, so later changes by the caller do not change the stored value.

    :param data: the dict to use; a new one by default.
    """

    async def info(self, job: str) -> Any:
        """Return the value, or None if there is none."""
        self.check_job_id(job)
        return copy_metadata(self._data.get(job))

    async def info_all(self) -> dict[str, Any]:
        data = self._data
        return {job: copy_metadata(data[job]) for job in await self.keys()}

    @self_reporting
    async def dump(self, job: str, data: Any) -> None:
        scope = current_scope()
        if scope is not None:
            scope.check_publication(self, job)
        try:
            value = copy_metadata(data)
        except RecursionError:
            problem = "value contains itself, or is nested too deeply"
            raise UnsupportedValueError(job, self, problem) from None
        self._store(job, value)
        if scope is not None:
            scope.record_publication(self)


class InProcessBlobRepository(_InProcessRepository, BlobRepository):
    """A blob repository which stores all its values in a dict of bytes.

    :param data: the dict to use; a new one by default.
    """

    async def info(self, job: str) -> None:
        """Return None: an in-process blob has no info for templates."""
        self.check_job_id(job)

    async def info_all(self) -> dict[str, Any]:
        return dict.fromkeys(await self.keys())

    async def open(self, job: str, mode: BlobMode = "r") -> Any:
        self.check_job_id(job)
        check_mode(mode)
        if mode in ("r", "rb") and job not in self._data:
            raise JobNotFoundError(job, self)
        stream = InProcessBlobStream(self, job, write=mode in ("w", "wb"))
        if mode == "r":
            return AReadText(stream)
        return AWriteText(stream) if mode == "w" else stream


class InProcessBlobStream(AtomicWriter[bytes]):
    """A stream returned from ``InProcessBlobRepository.open``. Do not construct this manually.

    :param repo: the repository that holds the blob.
    :param job: the job of the blob.
    :param write: whether the stream is for writing and its data becomes the value on ``close``.
    """

    def __init__(self, repo: InProcessBlobRepository, job: str, write: bool = False) -> None:
        self.repo = repo
        self.job = job
        self._writable = write
        self._buffer = bytearray() if write else memoryview(repo._data.get(job, b""))
        self._position = 0

    async def read(self, n: int | None = None) -> bytes:
        """Read up to n bytes from the stream, or the rest of it."""
        self._check_usable()
        size = len(self._buffer)
        end = size if n is None or n < 0 else min(self._position + n, size)
        data = bytes(self._buffer[self._position : end])
        self._position = end
        return data

    async def _write(self, data: bytes) -> None:
        if not self._writable:
            raise StreamClosedError(f"the blob of job {self.job!r} was opened for reading only")
        self._buffer += data  # type: ignore[operator]

    async def _publish(self) -> None:
        if self._writable:
            self.repo._store(self.job, bytes(self._buffer))

    async def _discard(self) -> None:
        self._buffer = bytearray()

    def __repr__(self) -> str:
        return f"<the blob of job {self.job!r} in memory>"
