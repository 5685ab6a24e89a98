"""Copying from one stream to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .streams import AReadStream, AWriteStream
    from .text import AReadText, AWriteText

__all__ = ["async_copyfile", "async_copyfile_str"]


async def async_copyfile(
    copyfrom: AReadStream, copyto: AWriteStream, blocksize: int = 1048576
) -> None:
    """Copy data from ``copyfrom`` to ``copyto``, without closing them.

    :param blocksize: the maximum number of bytes to hold in memory.
    """
    _check_blocksize(blocksize)
    while data := await copyfrom.read(blocksize):
        await copyto.write(data)


async def async_copyfile_str(
    copyfrom: AReadText, copyto: AWriteText, blocksize: int = 1048576
) -> None:
    """Copy text from ``copyfrom`` to ``copyto``, without closing them.

    :param blocksize: the maximum number of characters to hold in memory.
    """
    _check_blocksize(blocksize)
    while text := await copyfrom.read(blocksize):
        await copyto.write(text)


def _check_blocksize(blocksize: int) -> None:
    if blocksize < 1:
        raise ValueError(f"blocksize must be at least 1, not {blocksize!r}")
