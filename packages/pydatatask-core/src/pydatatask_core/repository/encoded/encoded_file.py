"""Metadata repositories whose values are text files, each read and written in one step."""

from __future__ import annotations

import asyncio
from abc import ABC
from itertools import islice
from typing import TYPE_CHECKING, Any

from pydatatask_core.repository.files.file import FileRepository
from pydatatask_core.utils import run_blocking

from .base import MAX_BYTES, EncodedMetadataRepository, check_max_bytes

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

__all__ = ["EncodedFileRepository"]

_BATCH_FILES = 200
"""Number of values that one thread reads before a cancellation takes effect."""

_ABSENT: Any = object()


class EncodedFileRepository(EncodedMetadataRepository, FileRepository, ABC):
    """Base class of metadata repositories in files, which runs a whole operation in one thread.

    If a subclass overrides ``open``, values are read and written through that instead.
    """

    def __init__(
        self,
        basedir: str | os.PathLike[str],
        extension: str = "",
        case_insensitive: bool = False,
        *,
        durable: bool = False,
        max_bytes: int = MAX_BYTES,
        follow_links: bool = True,
    ) -> None:
        super().__init__(
            basedir, extension, case_insensitive, durable=durable, follow_links=follow_links
        )
        self.max_bytes = check_max_bytes(type(self).__name__, max_bytes)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Use ``open`` to read and write values if a subclass overrides it."""
        super().__init_subclass__(**kwargs)
        if "open" in cls.__dict__:
            for name in ("info", "dump", "info_many", "info_all"):
                if name not in cls.__dict__:
                    setattr(cls, name, getattr(EncodedMetadataRepository, name))

    async def info(self, job: str) -> Any:
        self.check_job_id(job)
        value = await asyncio.to_thread(self._load, job)
        return {} if value is _ABSENT else value

    async def info_many(self, jobs: Iterable[str]) -> dict[str, Any]:
        values = await self._load_all(jobs)
        return {job: {} if value is _ABSENT else value for job, value in values.items()}

    async def info_all(self) -> dict[str, Any]:
        values = await self._load_all(await self.keys())
        return {job: value for job, value in values.items() if value is not _ABSENT}

    async def dump(self, job: str, data: Any) -> None:
        self.check_job_id(job)
        await run_blocking(self._is_quick, self._store, job, data)

    def _load(self, job: str) -> Any:
        from pydatatask_core.repository.files.fs.regular_files import read_regular

        with self._errors("read", job):
            data = read_regular(str(self.fullpath(job)), self.max_bytes + 1, self._kind)
        return _ABSENT if data is None else self._parse(job, data)

    async def _load_all(self, jobs: Iterable[str]) -> dict[str, Any]:
        queue = iter(jobs)
        values: dict[str, Any] = {}
        while batch := list(islice(queue, _BATCH_FILES)):
            values |= await asyncio.to_thread(self._load_batch, batch)
        return values

    def _load_batch(self, jobs: list[str]) -> dict[str, Any]:
        return {job: self._load(job) for job in jobs}

    def _store(self, job: str, data: Any) -> None:
        encoded = self._serialize(job, data)
        with self._errors("write", job):
            self._publish(job, self._new_file(job), encoded)

    def _describe_location(self, job: str) -> str:
        return repr(str(self.fullpath(job)))
