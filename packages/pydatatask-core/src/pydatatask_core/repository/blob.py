"""Repositories whose values are streams of bytes."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, overload

from pydatatask_core.utils.contexts import async_context

from .base import Repository
from .concurrency import map_concurrently

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Collection, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from typing import BinaryIO, TextIO

    from pydatatask_core.utils import AReadStream, AReadText, AWriteStream, AWriteText

__all__ = ["BlobMode", "BlobRepository", "check_mode"]

_BLOCK_BYTES = 1024 * 1024

T = TypeVar("T")

BlobMode = Literal["r", "rb", "w", "wb"]


class BlobRepository(Repository, ABC):
    """A repository of flat blobs of data that can be streamed for reading or writing.

    A value becomes visible as a whole when its stream is closed, and not before. Leaving ``async
    with`` by an exception, or ``await stream.abort()``, leaves the repository unchanged.
    """

    _DEFAULTS_BUILT_ON: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "local_file": ("open",),
        "_read_values": ("open",),
        "_write_value": ("open",),
    }

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

        Text is UTF-8, and newlines are not translated.

        :param job: the key.
        :param mode: ``r`` and ``w`` for text, ``rb`` and ``wb`` for bytes.
        :raises JobNotFoundError: if the value to read does not exist.
        """

    @async_context
    async def local_file(self, job: str, mode: BlobMode = "r") -> AsyncGenerator[Path, None]:
        """Return a context manager with a local path for reading or writing the job's value.

        This is for libraries that need a path, or do not await. The file has the name of the value
        in the store, if it has one. For reading it is a private copy, or the value itself if that
        is a local file, so it must not be changed. For writing, the file does not exist yet; the
        file that the block creates is published as a whole when the block ends. If the block
        raises or is cancelled, the repository is unchanged. The file is removed afterwards.

        :param job: the key.
        :param mode: ``r`` or ``rb`` to read, ``w`` or ``wb`` to write.
        :raises JobNotFoundError: if the value to read does not exist.
        :raises LocalFileMissingError: if the block did not create the file to write.
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

        Use it with ``async with``. The methods of the file block, so this is for small values, for
        example with ``json.dump``, ``csv.writer`` or ``print``. Otherwise as :meth:`local_file`.

        :param job: the key.
        :param mode: ``r`` and ``w`` for text, ``rb`` and ``wb`` for bytes.
        :raises JobNotFoundError: if the value to read does not exist.
        """
        from .local_file import open_local

        self.check_job_id(job)
        check_mode(mode)
        async with open_local(self, job, mode) as file:
            yield file

    def local_name(self, job: str) -> str:
        """Return the name of the file of :meth:`local_file`.

        :param job: a valid key.
        """
        return job.replace("/", "_")

    async def _read_values(
        self, jobs: Collection[str], limit: int, parse: Callable[[str, bytes], T]
    ) -> dict[str, T]:
        """Read whole values, and return those that exist, parsed in a thread.

        :param jobs: the keys.
        :param limit: the maximum number of bytes to read of each value.
        :param parse: converts the beginning of the value of a job, up to the limit.
        """
        values: dict[str, T] = {}

        async def read(job: str) -> None:
            try:
                stream = await self.open(job, "rb")
            except FileNotFoundError:  # the base class of JobNotFoundError
                return
            async with stream:
                data = await _read(stream, limit)
            values[job] = await asyncio.to_thread(parse, job, data)

        await map_concurrently(jobs, read)
        return values

    async def _write_value(
        self, job: str, encode: Callable[[], bytes], *, is_small: bool = False
    ) -> None:
        """Write a whole value.

        :param job: the key.
        :param encode: returns the value, in a thread.
        :param is_small: whether encoding and writing it takes well below a millisecond.
        """
        data = await asyncio.to_thread(encode)
        async with await self.open(job, "wb") as stream:
            await stream.write(data)

    def _describe_location(self, job: str) -> str:
        """Return where in the store a value is, or an empty string if that does not help."""
        return ""


async def _read(stream: AReadStream, size: int) -> bytes:
    """Read a stream to its end, but at most ``size`` bytes."""
    blocks = []
    while size > 0 and (block := await stream.read(min(size, _BLOCK_BYTES))):
        size -= len(block)
        blocks.append(block)
    return b"".join(blocks)


def check_mode(mode: str) -> None:
    """Raise if a blob repository does not support the mode.

    :raises ValueError: with the supported modes.
    """
    if mode not in ("r", "rb", "w", "wb"):
        raise ValueError(
            f"{mode!r} is not a mode of a blob repository, which has 'r', 'rb', 'w' and 'wb'"
        )
