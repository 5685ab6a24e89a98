"""Repositories whose members are files."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, overload

from pydatatask_core.errors import JobNotFoundError
from pydatatask_core.utils import AReadText, AWriteText, in_thread

from ._files.listing import Kind, is_there
from .blob import BlobMode, BlobRepository, check_mode
from .file_base import FileRepositoryBase

if TYPE_CHECKING:
    from ._files.atomic import AtomicFile
    from ._files.streams import FileReadStream, FileWriteStream

__all__ = ["FileRepository", "FileRepositoryBase"]

_TEXT_CHUNK = 64 * 1024


class FileRepository(FileRepositoryBase, BlobRepository):
    """A file repository whose members are files, treated as streamable blobs.

    A value is written to a temporary file beside its place, which is renamed when the stream is
    closed. It has the permissions of any new file, also where it replaces one; where a symbolic
    link stood, the link is replaced. Folders are no members, nor removed.
    """

    _KIND: ClassVar[Kind] = Kind.FILE

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
            return AReadText(source, chunksize=_TEXT_CHUNK) if mode == "r" else source
        from ._files.streams import FileWriteStream

        file = self._new_file(job)
        target = FileWriteStream(
            file, partial(self._publish, job, file), partial(self._errors, "write", job)
        )
        return AWriteText(target) if mode == "w" else target

    async def delete(self, job: str) -> None:
        self.check_job_id(job)
        await in_thread(self._delete, job)

    def _open_to_read(self, job: str) -> FileReadStream:
        from ._files.streams import FileReadStream

        with self._errors("read", job):
            path = str(self.fullpath(job))
            try:
                return FileReadStream(path, partial(self._errors, "read", job))
            except OSError:
                if is_there(path, Kind.FILE):
                    raise
                raise JobNotFoundError(job, self) from None

    def _new_file(self, job: str) -> AtomicFile:
        from ._files.atomic import AtomicFile

        # Which spelling it replaces is looked up when it is published; the folder is the same.
        path = self._folder.plain_path(job) if self.case_insensitive else str(self.fullpath(job))
        return AtomicFile(path, self.durable)

    def _publish(self, job: str, file: AtomicFile, data: bytes | bytearray) -> None:
        if not self.case_insensitive:
            file.commit(data)
            return
        with self._folder.changing():
            file.commit(data, path=str(self.fullpath(job)))

    def _delete(self, job: str) -> None:
        from ._files.atomic import sync_folder
        from ._files.removal import remove_file

        with self._errors("delete", job), self._folder.changing():
            path = self.fullpath(job)
            if remove_file(str(path)) and self.durable:
                sync_folder(str(path.parent))
