"""Metadata repositories whose values are texts in a format, one blob each."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import (
    MalformedValueError,
    RepositoryConfigurationError,
    UnsupportedValueError,
)
from pydatatask_core.repository.base import Repository
from pydatatask_core.repository.blob import BlobRepository
from pydatatask_core.repository.metadata import MetadataRepository, encode_checked

from .codecs.decode_error import DecodeError

if TYPE_CHECKING:
    from pydatatask_core.utils import AReadStream

__all__ = ["MAX_BYTES", "EncodedMetadataRepository", "check_max_bytes"]

MAX_BYTES = 64 * 1024 * 1024
"""How many bytes of text a value may have by default."""

_BLOCK_BYTES = 1024 * 1024


class EncodedMetadataRepository(BlobRepository, MetadataRepository, ABC):
    """A metadata repository based on a blob repository, which is what a subclass has to add.

    The value is loaded into memory and decoded when its info is asked for. ``{}`` stands for a
    job that is not there.
    """

    max_bytes: int = MAX_BYTES
    """How many bytes of text a value may have; a larger one is neither read nor written."""

    @staticmethod
    @abstractmethod
    def _encode(data: Any) -> bytes:
        """Turn a value of the data model into text; see ``_codecs``."""

    @staticmethod
    @abstractmethod
    def _decode(data: bytes) -> Any:
        """Turn text into a value; see ``_codecs``."""

    async def info(self, job: str) -> Any:
        """Load and decode the value of a job; ``{}`` if it is not there.

        :raises MalformedValueError: if it does not parse, naming line and column.
        """
        self.check_job_id(job)
        try:
            stream = await self.open(job, "rb")
        except FileNotFoundError:  # what a JobNotFoundError is
            return {}
        async with stream:
            data = await _read(stream, self.max_bytes + 1)
        return await asyncio.to_thread(self._parse, job, data)

    # Not what the blobs have to say about themselves, which they may say in bulk.
    info_many = Repository.info_many
    info_all = Repository.info_all

    async def dump(self, job: str, data: Any) -> None:
        """Encode and store a value; it must not be changed before this is done."""
        self.check_job_id(job)
        encoded = await asyncio.to_thread(self._serialize, job, data)
        async with await self.open(job, "wb") as stream:
            await stream.write(encoded)

    def _describe_location(self, job: str) -> str:
        """Say where in the store a value is, if that helps to find it."""
        return ""

    def _parse(self, job: str, data: bytes) -> Any:
        try:
            if len(data) > self.max_bytes:
                raise DecodeError(f"it has more bytes than max_bytes={self.max_bytes:,}")
            return self._decode(data)
        except DecodeError as e:
            location = self._describe_location(job)
            raise MalformedValueError(job, self, f"{location}, {e}" if location else str(e)) from e

    def _serialize(self, job: str, data: Any) -> bytes:
        encoded = encode_checked(job, self, data, self._encode)
        if len(encoded) > self.max_bytes:
            problem = f"it takes {len(encoded):,} bytes, more than max_bytes={self.max_bytes:,}"
            raise UnsupportedValueError(job, self, problem)
        return encoded


async def _read(stream: AReadStream, size: int) -> bytes:
    """Read a stream to its end, or as many bytes."""
    blocks = []
    while size > 0 and (block := await stream.read(min(size, _BLOCK_BYTES))):
        size -= len(block)
        blocks.append(block)
    return b"".join(blocks)


def check_max_bytes(owner: str, max_bytes: object) -> int:
    """Refuse a limit that is not a positive number of bytes; return it.

    :param owner: the class to name.
    :param max_bytes: the argument.
    :raises TypeError: if it is not an integer.
    :raises RepositoryConfigurationError: if no value would be small enough.
    """
    if not isinstance(max_bytes, int) or isinstance(max_bytes, bool):
        raise TypeError(f"{owner}: max_bytes is a number of bytes, not {max_bytes!r}")
    if max_bytes < 1:
        raise RepositoryConfigurationError(f"{owner}: max_bytes is at least 1, not {max_bytes}")
    return max_bytes
