"""Metadata repositories whose values are texts in a format, one blob each."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Any

from pydatatask_core.errors import MalformedValueError

from ._codecs.problem import DecodeError
from .base import Repository
from .blob import BlobRepository
from .metadata import MetadataRepository, encode_checked

__all__ = ["EncodedMetadataRepository"]


class EncodedMetadataRepository(BlobRepository, MetadataRepository, ABC):
    """A metadata repository based on a blob repository, which is what a subclass has to add.

    The value is loaded into memory and decoded when its info is asked for. ``{}`` stands for a
    job that is not there.
    """

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
            data = await stream.read()
        return await asyncio.to_thread(self._parse, job, data)

    # Not what the blobs have to say about themselves, which they may say in bulk.
    info_many = Repository.info_many
    info_all = Repository.info_all

    async def dump(self, job: str, data: Any) -> None:
        """Encode and store a value; it must not be changed before this is done."""
        self.check_job_id(job)
        encoded = await asyncio.to_thread(self._serialise, job, data)
        async with await self.open(job, "wb") as stream:
            await stream.write(encoded)

    def _describe_place(self, job: str) -> str:
        """Say where in the store a value is, if that helps to find it."""
        return ""

    def _parse(self, job: str, data: bytes) -> Any:
        try:
            return self._decode(data)
        except DecodeError as e:
            place = self._describe_place(job)
            raise MalformedValueError(job, self, f"{place}, {e}" if place else str(e)) from e

    def _serialise(self, job: str, data: Any) -> bytes:
        return encode_checked(job, self, data, self._encode)
