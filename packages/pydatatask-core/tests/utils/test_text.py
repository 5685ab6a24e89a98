"""AReadText: every character once, in order, in bounded memory."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydatatask_core.errors import StreamClosedError
from pydatatask_core.utils import AReadStream, AReadText, ReadStream

ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-7", "gb18030", "hz"]


class Bytes(ReadStream):
    """Bytes in memory that arrive in short reads of the given sizes in turn."""

    def __init__(self, data: bytes, sizes: list[int] | None = None) -> None:
        self.source = io.BytesIO(data)
        self.sizes = sizes or []
        self.reads = 0
        self.largest = 0
        self.closed = 0

    async def read(self, n: int | None = None) -> bytes:
        assert n is not None, "AReadText must not read its whole base at once"
        self.largest = max(self.largest, n)
        size = self.sizes[self.reads % len(self.sizes)] if self.sizes else n
        self.reads += 1
        return self.source.read(min(n, size))

    async def close(self) -> None:
        self.closed += 1

    def __repr__(self) -> str:
        return "Bytes()"


def texts(encoding: str) -> st.SearchStrategy[str]:
    return st.text("ab\n汉字") if encoding == "hz" else st.text()


encoded = st.sampled_from(ENCODINGS).flatmap(lambda e: st.tuples(st.just(e), texts(e)))
sizes = st.lists(st.integers(1, 7), max_size=4)


@given(encoded, st.integers(1, 9), sizes, st.lists(st.integers(1, 6), min_size=1))
async def test_reading_by_counts_returns_the_text_once_and_at_most_the_count(
    encoded: tuple[str, str], chunksize: int, short: list[int], counts: list[int]
) -> None:
    encoding, original = encoded
    stream = AReadText(Bytes(original.encode(encoding), short), encoding, chunksize=chunksize)
    pieces: list[str] = []
    while True:
        count = counts[len(pieces) % len(counts)]
        piece = await stream.read(count)
        assert len(piece) <= count
        if not piece:
            break
        pieces.append(piece)
    assert "".join(pieces) == original
    assert all(len(p) == counts[i % len(counts)] for i, p in enumerate(pieces[:-1]))
    assert await stream.read(1) == ""
    assert await stream.read() == ""


@given(encoded, st.integers(1, 9), sizes, st.integers(0, 5))
async def test_reading_without_a_count_returns_the_rest(
    encoded: tuple[str, str], chunksize: int, short: list[int], first: int
) -> None:
    encoding, original = encoded
    stream = AReadText(Bytes(original.encode(encoding), short), encoding, chunksize=chunksize)
    assert await stream.read(first) == original[:first]
    assert await stream.read() == original[first:]


@given(st.text("ab\n\r", max_size=30), st.integers(1, 9), st.lists(st.integers(0, 3), max_size=5))
async def test_lines_and_counts_can_be_mixed(
    original: str, chunksize: int, counts: list[int]
) -> None:
    stream = AReadText(Bytes(original.encode()), chunksize=chunksize)
    model = io.StringIO(original, newline="\n")
    for count in counts:
        assert await stream.readline() == model.readline()
        assert await stream.read(count) == model.read(count)
    assert [line async for line in stream] == list(model)


@given(st.binary(max_size=20), st.integers(1, 9), st.sampled_from(["replace", "ignore"]))
async def test_the_argument_errors_applies_to_invalid_bytes(
    data: bytes, chunksize: int, errors: str
) -> None:
    stream = AReadText(Bytes(data), errors=errors, chunksize=chunksize)
    assert await stream.read() == data.decode(errors=errors)


async def test_an_invalid_byte_raises_on_each_read_with_its_position() -> None:
    stream = AReadText(Bytes(b"abcdefg\xffhi"), chunksize=3)
    assert await stream.read(4) == "abcd"
    for _ in range(2):
        with pytest.raises(UnicodeDecodeError) as caught:
            await stream.read()
        assert caught.value.__notes__ == ["This is byte 7 of Bytes()."]
    assert await stream.read(2) == "ef"


async def test_a_truncated_character_at_the_end_raises() -> None:
    stream = AReadText(Bytes("aé".encode()[:-1]))
    with pytest.raises(UnicodeDecodeError, match="unexpected end of data"):
        await stream.read()


async def test_newlines_are_not_translated() -> None:
    stream = AReadText(Bytes(b"a\r\nb\rc\n"), chunksize=2)
    assert await stream.read() == "a\r\nb\rc\n"


async def test_reading_zero_characters_reads_nothing_and_is_not_the_end() -> None:
    base = Bytes(b"abc")
    stream = AReadText(base)
    assert await stream.read(0) == ""
    assert base.reads == 0
    assert await stream.read() == "abc"


async def test_a_short_read_takes_at_most_one_chunk_from_the_base() -> None:
    base = Bytes(b"x" * 1_000_000)
    stream = AReadText(base, chunksize=100)
    assert await stream.read(5) == "xxxxx"
    assert (base.reads, base.largest) == (1, 100)


async def test_the_end_of_the_base_is_read_once() -> None:
    base = Bytes(b"ab")
    stream = AReadText(base)
    assert await stream.read() == "ab"
    reads = base.reads
    assert await stream.read() == ""
    assert base.reads == reads


async def test_a_cancelled_read_loses_nothing() -> None:
    class Stalling(Bytes):
        async def read(self, n: int | None = None) -> bytes:
            if self.reads == 1:
                self.reads += 1
                stalled.set()
                await asyncio.Event().wait()
            return await super().read(n)

    stalled = asyncio.Event()
    stream = AReadText(Stalling(b"abcdef"), chunksize=2)
    reader = asyncio.create_task(stream.read(6))
    await stalled.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert await stream.read(6) == "abcdef"


async def test_reading_after_closing_is_refused() -> None:
    base = Bytes(b"abc")
    stream = AReadText(base)
    await stream.close()
    await stream.close()
    assert base.closed == 1
    for use in (stream.read, stream.readline):
        with pytest.raises(StreamClosedError, match=r"AReadText\(Bytes\(\)\) is closed"):
            await use()


async def test_leaving_the_block_closes_the_base() -> None:
    base = Bytes(b"abc")
    async with AReadText(base) as stream:
        assert await stream.read(1) == "a"
    assert base.closed == 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"encoding": "klingon"}, "klingon"),
        ({"encoding": "hex"}, "not a text encoding"),
        ({"errors": "shrug"}, "shrug"),
    ],
)
def test_an_invalid_encoding_raises_at_once(arguments: dict[str, Any], error: str) -> None:
    with pytest.raises(LookupError, match=error):
        AReadText(Bytes(b""), **arguments)


def test_a_chunk_has_at_least_one_byte() -> None:
    with pytest.raises(ValueError, match="chunksize must be at least one byte, not 0"):
        AReadText(Bytes(b""), chunksize=0)


def test_any_class_with_the_methods_is_a_stream() -> None:
    assert isinstance(Bytes(b""), AReadStream)
    assert not isinstance(io.BytesIO(), AReadStream)


class Half(AReadStream):
    """A subclass of the protocol that lacks most methods."""

    async def close(self) -> None: ...


def test_an_incomplete_stream_cannot_be_created() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Half()  # type: ignore[abstract]
