"""async_copyfile and async_copyfile_str."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydatatask_core.utils import (
    AReadText,
    AWriteText,
    ReadStream,
    WriteStream,
    async_copyfile,
    async_copyfile_str,
)


class Source(ReadStream):
    """Bytes that arrive in reads of a maximum size."""

    def __init__(self, data: bytes, most: int) -> None:
        self.source = io.BytesIO(data)
        self.most = most
        self.asked: set[int | None] = set()

    async def read(self, n: int | None = None) -> bytes:
        self.asked.add(n)
        return self.source.read(min(self.most, self.most if n is None else n))

    async def close(self) -> None:
        self.source.close()


class Sink(WriteStream):
    """A stream that keeps the written data."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.ended = False

    async def write(self, data: bytes) -> None:
        self.writes.append(data)

    async def close(self) -> None:
        self.ended = True

    async def abort(self) -> None:
        self.ended = True


@given(st.binary(max_size=50), st.integers(1, 60), st.integers(1, 60))
async def test_bytes_are_copied_in_blocks(data: bytes, most: int, blocksize: int) -> None:
    source, sink = Source(data, most), Sink()
    await async_copyfile(source, sink, blocksize)
    assert b"".join(sink.writes) == data
    assert source.asked == {blocksize}
    assert not sink.ended
    assert not source.source.closed


@given(st.text(max_size=50), st.integers(1, 60), st.integers(1, 60))
async def test_text_is_copied_in_blocks(text: str, most: int, blocksize: int) -> None:
    source, sink = Source(text.encode(), most), Sink()
    await async_copyfile_str(AReadText(source, chunksize=7), AWriteText(sink), blocksize)
    assert b"".join(sink.writes).decode() == text
    assert all(len(data.decode()) <= blocksize for data in sink.writes)
    assert not sink.ended


@pytest.mark.parametrize("copy", [async_copyfile, async_copyfile_str])
@pytest.mark.parametrize("blocksize", [0, -1])
async def test_a_block_has_at_least_one_element(copy: Any, blocksize: int) -> None:
    with pytest.raises(ValueError, match=f"blocksize must be at least 1, not {blocksize}"):
        await copy(Source(b"", 1), Sink(), blocksize)
