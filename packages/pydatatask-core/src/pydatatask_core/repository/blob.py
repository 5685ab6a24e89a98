"""Repositories whose values are streams of bytes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal, overload

from pydatatask_core.utils.contexts import async_context

from .base import Repository

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from typing import BinaryIO, TextIO

    from pydatatask_core.utils import AReadStream, AReadText, AWriteStream, AWriteText

__all__ = ["BlobMode", "BlobRepository", "check_mode"]

BlobMode = Literal["r", "rb", "w", "wb"]


class BlobRepository(Repository, ABC):
    """A repository of flat blobs of data that can be streamed for reading or writing.

    A value that is being written appears when its stream is closed, whole, and not before.
    Leaving ``async with`` by an exception, or ``await stream.abort()``, leaves things as they
    were.
    """

    @overload
    async def open(self, job: str, mode: Literal["r"] = ...) -> AReadText: ...
    @overload
    async def open(self, job: str, mode: Literal["rb"]) -> AReadStream: ...
    @overload
    async def open(self, job: str, mode: Literal["w"]) -> AWriteText: ...
    @overload
    async def open(self, job: str, mode: Literal["wb"]) -> AWriteStream: ...
    @abstractmethod
    async def open(self, job: str, mode: BlobMode = "r") -> Any:
        """Open the given job's value as a stream for reading or writing, in text or binary mode.

        Text is UTF-8, its newlines are left as they are.

        :param job: the key.
        :param mode: ``r`` and ``w`` for text, ``rb`` and ``wb`` for bytes.
        :raises JobNotFoundError: if it is to be read and is not there.
        """

    @async_context
    async def local_file(self, job: str, mode: BlobMode = "r") -> AsyncGenerator[Path, None]:
        """Give a local path to read or to write the given job's value through.

        For libraries that take a path, or do not await. The file has the name that the value has
        in the store, as far as it has one. For reading it is a private copy, or the value itself
        where that is a local file, so it must not be changed. For writing there is no file yet;
        what the block has created is published whole when the block ends. If the block raises or
        is cancelled, things are left as they were. The file is removed afterwards.

        :param job: the key.
        :param mode: ``r`` or ``rb`` to read, ``w`` or ``wb`` to write.
        :raises JobNotFoundError: if the value to read is not there.
        :raises LocalFileMissingError: if the block has not created the file to write.
        """
        from .local_file import download, upload

        self.check_job_id(job)
        check_mode(mode)
        async with download(self, job) if mode[0] == "r" else upload(self, job) as path:
            yield path

    @overload
    def open_sync(
        self, job: str, mode: Literal["r", "w"] = ...
    ) -> AbstractAsyncContextManager[TextIO]: ...
    @overload
    def open_sync(
        self, job: str, mode: Literal["rb", "wb"]
    ) -> AbstractAsyncContextManager[BinaryIO]: ...
    @async_context
    async def open_sync(self, job: str, mode: BlobMode = "r") -> AsyncGenerator[Any, None]:
        """Open the given job's value as an ordinary file, for code that does not await.

        Use ``async with``. Its methods block, so it is for small values; they may be read and
        written by ``json.dump``, ``csv.writer`` or ``print``. Otherwise as :meth:`local_file`.

        :param job: the key.
        :param mode: ``r`` and ``w`` for text, ``rb`` and ``wb`` for bytes.
        :raises JobNotFoundError: if the value to read is not there.
        """
        from .local_file import open_local

        self.check_job_id(job)
        check_mode(mode)
        async with open_local(self, job, mode) as file:
            yield file

    def local_name(self, job: str) -> str:
        """Return the name of the file that :meth:`local_file` gives.

        :param job: the key, which has been checked.
        """
        return job.replace("/", "_")


def check_mode(mode: str) -> None:
    """Refuse a mode that a blob repository does not have.

    :raises ValueError: naming the modes that it has.
    """
    if mode not in ("r", "rb", "w", "wb"):
        raise ValueError(
            f"{mode!r} is no mode of a blob repository; it has 'r', 'rb', 'w' and 'wb'"
        )
