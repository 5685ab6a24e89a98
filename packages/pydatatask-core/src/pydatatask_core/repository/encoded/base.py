"""Metadata repositories whose values are encoded as text, one blob each."""

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
"""Default limit of the size of a value, in bytes of text."""

_BLOCK_BYTES = 1024 * 1024


class EncodedMetadataRepository(BlobRepository, MetadataRepository, ABC):
    """A metadata repository on top of a blob repository, which a subclass has to provide.

    The value is loaded into memory and decoded by ``info``. The info of a missing job is ``{}``.
    """

    max_bytes: int = MAX_BYTES
    """The maximum size of a value in bytes of text; a larger one is neither read nor written."""

    @staticmethod
    @abstractmethod
    def _encode(data: Any) -> bytes:
        """Encode a value of the data model as text; see ``codecs``."""

    @staticmethod
    @abstractmethod
    def _decode(data: bytes) -> Any:
        """Decode a value from text; see ``codecs``."""

    async def info(self, job: str) -> Any:
        """Load and decode the value of a job; return ``{}`` if it does not exist.

        :raises MalformedValueError: if it cannot be parsed; the message has the line and column.
        """
        self.check_job_id(job)
        try:
            stream = await self.open(job, "rb")
        except FileNotFoundError:  # the base class of JobNotFoundError
            return {}
        async with stream:
            data = await _read(stream, self.max_bytes + 1)
        return await asyncio.to_thread(self._parse, job, data)

    # Not the bulk methods of the blob repository, which return other information.
    info_many = Repository.info_many
    info_all = Repository.info_all

    async def dump(self, job: str, data: Any) -> None:
        """Encode and store a value, which must not be changed until this has returned."""
        self.check_job_id(job)
        encoded = await asyncio.to_thread(self._serialize, job, data)
        async with await self.open(job, "wb") as stream:
            await stream.write(encoded)

    def _describe_location(self, job: str) -> str:
        """Return where in the store a value is, or an empty string if that does not help."""
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
    """Read a stream to its end, but at most ``size`` bytes."""
    blocks = []
    while size > 0 and (block := await stream.read(min(size, _BLOCK_BYTES))):
        size -= len(block)
        blocks.append(block)
    return b"".join(blocks)


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
