"""Correct repositories on a store that can be inspected, broken, littered and counted.

They are as small as the laws permit, so that a mutant has its fault in one place.
"""

from __future__ import annotations

import asyncio
import mmap
import pickle
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import (
    JobNotFoundError,
    MalformedValueError,
    RepositoryConfigurationError,
    StoreConnectionError,
)
from pydatatask_core.repository.base import Repository
from pydatatask_core.repository.blob import BlobRepository, check_mode
from pydatatask_core.repository.data_model import to_data_model
from pydatatask_core.repository.metadata import MetadataRepository
from pydatatask_core.utils import AReadText, AtomicWriter, AWriteText, ReadStream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

PAGE = 10
CAPACITY = 5 << 20


class Store:
    """A server in memory, with one table of names and values."""

    def __init__(self, *, exists: bool = True, fails: bool = False) -> None:
        self.exists = exists
        self.fails = fails
        self.requests = 0
        self._values: dict[str, Any] = {}

    async def _request(self) -> None:
        self.requests += 1
        await asyncio.sleep(0)
        if self.fails:
            raise ConnectionRefusedError("connection refused")

    async def create(self) -> None:
        await self._request()
        self.exists = True

    async def page(self, after: str) -> list[str]:
        await self._request()
        return sorted(name for name in self._values if name > after)[:PAGE]

    async def get(self, name: str) -> Any:
        await self._request()
        return self._values.get(name)

    async def put(self, name: str, value: Any) -> None:
        await self._request()
        if not self.exists:
            raise FileNotFoundError("no such table")
        self._values[name] = value

    async def remove(self, name: str) -> None:
        await self._request()
        self._values.pop(name, None)


class ReferenceRepository(Repository):
    """A repository in which values have no meaning."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @contextmanager
    def edge(self, action: str) -> Iterator[None]:
        try:
            yield
        except ConnectionError as e:
            raise StoreConnectionError(action, self, e) from e

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        after = ""
        while names := await self.page(after):
            for name in names:
                yield name
            after = names[-1]

    async def page(self, after: str) -> list[str]:
        with self.edge("list"):
            return await self.store.page(after)

    async def contains(self, item: str) -> bool:
        return self.is_valid_job_id(item) and await self.get(item) is not None

    async def get(self, job: str) -> Any:
        self.check_job_id(job)
        with self.edge(f"read job {job!r}"):
            return await self.store.get(job)

    async def put(self, job: str, value: Any = "present") -> None:
        self.check_job_id(job)
        with self.edge(f"write job {job!r}"):
            await self.store.put(job, value)

    async def info(self, job: str) -> Any:
        return await self.get(job)

    async def delete(self, job: str) -> None:
        self.check_job_id(job)
        with self.edge(f"delete job {job!r}"):
            await self.store.remove(job)

    async def validate(self) -> None:
        try:
            await self.store.create()
        except ConnectionError as e:
            raise RepositoryConfigurationError(f"{self!r} cannot be created: {e}") from e

    @property
    def identity(self) -> str:
        return f"memory:{id(self.store)}"


class MinimalRepository(Repository):
    """A repository with the three documented methods that an author has to write."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        after = ""
        while names := await self.store.page(after):
            for name in names:
                yield name
            after = names[-1]

    async def info(self, job: str) -> Any:
        self.check_job_id(job)
        return await self.store.get(job)

    async def delete(self, job: str) -> None:
        self.check_job_id(job)
        await self.store.remove(job)

    async def put(self, job: str) -> None:
        self.check_job_id(job)
        await self.store.put(job, "present")

    async def validate(self) -> None:
        await self.store.create()


class ReferenceMetadata(ReferenceRepository, MetadataRepository):
    """A repository of metadata, stored as pickles."""

    async def info(self, job: str) -> Any:
        stored = await self.get(job)
        return {} if stored is None else self.decode(job, stored)

    async def dump(self, job: str, data: Any) -> None:
        self.check_job_id(job)
        await self.put(job, self.encode(to_data_model(job, self, data)))

    def encode(self, data: Any) -> bytes:
        return pickle.dumps(data)

    def decode(self, job: str, stored: bytes) -> Any:
        try:
            return pickle.loads(stored)
        except pickle.UnpicklingError as e:
            raise MalformedValueError(job, self, str(e)) from e


class Blob:
    """Bytes outside the memory that tracemalloc measures."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, CAPACITY)
        self.size = 0

    def append(self, data: bytes) -> None:
        self.memory[self.size : self.size + len(data)] = data
        self.size += len(data)

    def read(self, size: int, position: int = 0) -> bytes:
        return self.memory[position : min(position + size, self.size)]


class Reader(ReadStream):
    """A reader that starts at the beginning of a blob."""

    def __init__(self, blob: Blob) -> None:
        self.blob = blob
        self.position = 0

    async def read(self, n: int | None = None) -> bytes:
        data = self.blob.read(self.blob.size if n is None else n, self.position)
        self.position += len(data)
        return data

    async def close(self) -> None:
        pass


class Writer(AtomicWriter[bytes]):
    """A writer that collects a blob and stores it when closed."""

    def __init__(self, repo: ReferenceBlobs, job: str) -> None:
        self.repo = repo
        self.job = job
        self.blob = Blob()

    async def _write(self, data: bytes) -> None:
        self.blob.append(data)

    async def _publish(self) -> None:
        await self.repo.put(self.job, self.blob)

    async def _discard(self) -> None:
        pass


class ReferenceBlobs(ReferenceRepository, BlobRepository):
    """A repository of blobs."""

    reader: Any = Reader
    writer: Any = Writer
    text_reader: Any = AReadText
    text_writer: Any = AWriteText

    async def info(self, job: str) -> None:
        self.check_job_id(job)

    async def open(self, job: str, mode: Any = "r") -> Any:
        check_mode(mode)
        self.check_job_id(job)
        if mode in ("w", "wb"):
            writer = self.writer(self, job)
            return self.text_writer(writer) if mode == "w" else writer
        blob = await self.get(job)
        if blob is None:
            raise JobNotFoundError(job, self)
        return self.text_reader(self.reader(blob)) if mode == "r" else self.reader(blob)
