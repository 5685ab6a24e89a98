"""Repositories whose members are files."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, overload

from pydatatask_core.errors import JobNotFoundError
from pydatatask_core.repository.blob import BlobMode, BlobRepository, check_mode
from pydatatask_core.repository.job_scope import current_scope
from pydatatask_core.utils import AReadText, AWriteText, in_thread, run_blocking
from pydatatask_core.utils.contexts import async_context

from .base import FileRepositoryBase
from .fs.listing import EntryKind, entry_exists

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable
    from pathlib import Path

    from .fs.atomic_file import AtomicFile
    from .fs.staging import StagedDirectory
    from .fs.streams import FileReadStream, FileWriteStream

__all__ = ["FileRepository", "FileRepositoryBase"]

_TEXT_CHUNK_BYTES = 64 * 1024

_BATCH_FILES = 200
"""Number of values that one thread reads before a cancellation takes effect."""

T = TypeVar("T")


class FileRepository(FileRepositoryBase, BlobRepository):
    """A file repository whose members are files, treated as streamable blobs.

    A value is written to a temporary file next to its destination, which is renamed when the stream
    is closed. It has the permissions of a new file, even if it replaces one; a symbolic link at the
    destination is replaced. Folders are neither members nor removed.
    """

    _KIND: ClassVar[EntryKind] = EntryKind.FILE

    @overload
    async def open(self, job: str, mode: Literal["r"] = ...) -> AReadText: ...
    @overload
    async def open(self, job: str, mode: Literal["rb"]) -> FileReadStream: ...
    @overload
    async def open(self, job: str, mode: Literal["w"]) -> AWriteText: ...
    @overload
    async def open(self, job: str, mode: Literal["wb"]) -> FileWriteStream: ...
    async def open(self, job: str, mode: BlobMode = "r") -> Any:
        self.check_job_id(job)
        check_mode(mode)
        if mode in ("r", "rb"):
            source = await asyncio.to_thread(self._open_to_read, job)
            return AReadText(source, chunksize=_TEXT_CHUNK_BYTES) if mode == "r" else source
        from .fs.streams import FileWriteStream

        file = self._new_file(job)
        target = FileWriteStream(
            file,
            partial(self._publish, job, file),
            partial(self._errors, "write", job),
            is_quick=self._is_quick,
        )
        return AWriteText(target) if mode == "w" else target

    @async_context
    async def local_file(self, job: str, mode: BlobMode = "r") -> AsyncGenerator[Path, None]:
        self.check_job_id(job)
        check_mode(mode)
        if mode[0] == "r":
            yield await asyncio.to_thread(self._existing_path, job)
            return
        from pathlib import Path

        scope = current_scope()
        staged = await in_thread(self._new_staged, job)
        try:
            path = Path(staged.path or "", self.local_name(job))
            yield path
            if scope is not None:
                scope.check_publication(self, job)
            await in_thread(self._publish_local, job, path)
            if scope is not None:
                scope.record_publication(self)
        finally:
            await in_thread(staged.discard)

    def local_name(self, job: str) -> str:
        return job + self.extension

    async def delete(self, job: str) -> None:
        self.check_job_id(job)
        await run_blocking(self._is_quick, self._delete, job)

    async def _read_values(
        self, jobs: Iterable[str], limit: int, parse: Callable[[str, bytes], T]
    ) -> dict[str, T]:
        queue = iter(jobs)
        values: dict[str, T] = {}
        while batch := list(islice(queue, _BATCH_FILES)):
            values |= await asyncio.to_thread(self._read_batch, batch, limit, parse)
        return values

    def _read_batch(
        self, jobs: list[str], limit: int, parse: Callable[[str, bytes], T]
    ) -> dict[str, T]:
        from .fs.regular_files import read_regular

        values = {}
        for job in jobs:
            with self._errors("read", job):
                data = read_regular(str(self.fullpath(job)), limit, self._kind)
            if data is not None:
                values[job] = parse(job, data)
        return values

    async def _write_value(
        self, job: str, encode: Callable[[], bytes], *, is_small: bool = False
    ) -> None:
        await run_blocking(is_small and self._is_quick, self._write_file, job, encode)

    def _write_file(self, job: str, encode: Callable[[], bytes]) -> None:
        data = encode()
        with self._errors("write", job):
            self._publish(job, self._new_file(job), data)

    def _describe_location(self, job: str) -> str:
        return repr(str(self.fullpath(job)))

    def _open_to_read(self, job: str) -> FileReadStream:
        from .fs.streams import FileReadStream

        with self._errors("read", job):
            path = str(self.fullpath(job))
            try:
                return FileReadStream(path, partial(self._errors, "read", job), self._kind)
            except OSError:
                if entry_exists(path, self._kind):
                    raise
                raise JobNotFoundError(job, self) from None

    def _existing_path(self, job: str) -> Path:
        with self._errors("read", job):
            path = self.fullpath(job)
            if not entry_exists(str(path), self._kind):
                raise JobNotFoundError(job, self)
            return path.absolute()

    def _new_staged(self, job: str) -> StagedDirectory:
        from .fs.staging import StagedDirectory

        # In a separate directory, so that the file has its final name from the beginning.
        with self._errors("write", job):
            return StagedDirectory(os.path.abspath(self._write_path(job)), self.durable)

    def _publish_local(self, job: str, path: Path) -> None:
        from pydatatask_core.repository.local_file import check_local_file

        from .fs.atomic_file import replace_file

        with self._errors("write", job):
            check_local_file(path, self, job)
            with self._folder.write_lock():
                replace_file(str(path), str(self.fullpath(job)), self.durable)

    def _new_file(self, job: str) -> AtomicFile:
        from .fs.atomic_file import AtomicFile

        return AtomicFile(self._write_path(job), self.durable)

    def _write_path(self, job: str) -> str:
        # The spelling to replace is determined on publication; the folder is the same.
        return self._folder.plain_path(job) if self.case_insensitive else self._path(job)

    def _publish(self, job: str, file: AtomicFile, data: bytes | bytearray) -> None:
        if not self.case_insensitive:
            file.commit(data)
            return
        with self._folder.write_lock():
            file.commit(data, path=self._path(job))

    def _delete(self, job: str) -> None:
        from .fs.atomic_file import sync_folder
        from .fs.removal import remove_file

        with self._errors("delete", job), self._folder.write_lock():
            path = self._path(job)
            if remove_file(path, self._kind) and self.durable:
                sync_folder(os.path.dirname(path))
