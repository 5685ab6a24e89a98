"""Repositories of blobs that publish data that was not written (R3)."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydatatask_core.repository.blob import check_mode

from .harness import Mutants
from .reference import Blob, ReferenceBlobs, Writer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

MUTANTS = Mutants()
breaks = MUTANTS.breaks


class Uncounted(Writer):
    async def write(self, data: bytes) -> None:
        self._check_usable()
        await self._write(data)


@breaks(
    "R3",
    "a_write_that_is_not_awaited_leaves_no_key",
    "a_write_that_is_not_awaited_leaves_the_old_value",
)
class PublishesWithoutForgottenWrites(ReferenceBlobs):
    writer = Uncounted


class OneTask(Writer):
    task: Any = None

    async def _write(self, data: bytes) -> None:
        self.task = self.task or asyncio.current_task()
        if self.task is not asyncio.current_task():
            self._called += 1
        await super()._write(data)


@breaks("R3", "writes_can_be_awaited_in_any_way")
class CountsWritesOfOtherTasksTwice(ReferenceBlobs):
    writer = OneTask


class Forgiving(Writer):
    async def write(self, data: bytes) -> None:
        try:
            await super().write(data)
        except BaseException:
            self._failure = None
            self._called = self._stored
            raise


@breaks("R3", "a_failed_write_is_not_published")
class PublishesAfterAFailedWrite(ReferenceBlobs):
    writer = Forgiving


class LocalFiles(ReferenceBlobs):
    """Repositories that handle local files incorrectly."""

    @asynccontextmanager
    async def local_file(self, job: str, mode: Any = "r") -> AsyncGenerator[Path, None]:
        async with super().local_file(job, mode) as path:
            yield path


@breaks("R3", "a_local_file_is_published_when_its_block_ends")
class PublishesAnEmptyFileFirst(LocalFiles):
    @asynccontextmanager
    async def local_file(self, job: str, mode: Any = "r") -> AsyncGenerator[Path, None]:
        if mode[:1] == "w" and not await self.contains(job):
            await self.put(job, Blob())
        async with super().local_file(job, mode) as path:
            yield path


@breaks(
    "R3",
    "an_abandoned_local_file_leaves_no_key",
    "an_abandoned_local_file_leaves_the_old_value",
)
class PublishesWhateverIsLeft(LocalFiles):
    @asynccontextmanager
    async def local_file(self, job: str, mode: Any = "r") -> AsyncGenerator[Path, None]:
        failure = None
        async with super().local_file(job, mode) as path:
            try:
                yield path
            except BaseException as e:
                failure = e
                if mode[:1] == "r" or not path.is_file():
                    raise
        if failure is not None:
            raise failure


@breaks("R4", "a_local_file_holds_the_value")
class GivesTheFirstLineOnly(LocalFiles):
    @asynccontextmanager
    async def local_file(self, job: str, mode: Any = "r") -> AsyncGenerator[Path, None]:
        async with super().local_file(job, mode) as path:
            if mode == "rb" and path.read_bytes()[:1] == b"\r":
                path.write_bytes(b"\r\n")
            yield path


@breaks("R4", "synchronous_code_reads_and_writes")
class TranslatesNewlinesOfFiles(LocalFiles):
    @asynccontextmanager
    async def open_sync(self, job: str, mode: Any = "r") -> AsyncGenerator[Any, None]:
        check_mode(mode)
        async with self.local_file(job, mode) as path:
            with path.open(mode, encoding=None if "b" in mode else "utf-8") as file:
                yield file


@breaks("R6", "an_unsupported_mode_of_a_local_file_is_refused")
class TakesAnyModeForReading(LocalFiles):
    @asynccontextmanager
    async def local_file(self, job: str, mode: Any = "r") -> AsyncGenerator[Path, None]:
        self.check_job_id(job)
        if mode in ("a", "x", "rw", "r+", ""):
            yield Path("nothing")
            return
        async with super().local_file(job, mode) as path:
            yield path


@breaks("R5", "a_local_file_takes_bounded_memory")
class LoadsLocalFiles(LocalFiles):
    @asynccontextmanager
    async def local_file(self, job: str, mode: Any = "r") -> AsyncGenerator[Path, None]:
        async with super().local_file(job, mode) as path:
            yield path
            if await asyncio.to_thread(path.is_file):
                await asyncio.to_thread(path.read_bytes)
