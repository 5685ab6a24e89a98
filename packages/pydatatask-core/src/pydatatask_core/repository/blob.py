"""Repositories whose values are streams of bytes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal, overload

from .base import Repository

if TYPE_CHECKING:
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


def check_mode(mode: str) -> None:
    """Refuse a mode that a blob repository does not have.

    :raises ValueError: naming the modes that it has.
    """
    if mode not in ("r", "rb", "w", "wb"):
        raise ValueError(
            f"{mode!r} is no mode of a blob repository; it has 'r', 'rb', 'w' and 'wb'"
        )
