"""AtomicWriter and AWriteText: written data takes effect as a whole or not at all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydatatask_core.errors import StreamClosedError
from pydatatask_core.utils import AAbortable, AtomicWriter, AWriteStream, AWriteText

if TYPE_CHECKING:
    from typing import Self

ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-32-be", "utf-7", "gb18030", "iso2022_jp"]


class Staged(AtomicWriter[bytes]):
    """A stream that collects the written data, and fails at a given call."""

    def __init__(self, fail_at: str | None = None, error: BaseException | None = None) -> None:
        self.staged = b""
        self.published: bytes | None = None
        self.calls: list[str] = []
        self.fail_at = fail_at
        self.error = error or OSError("no space left")

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name == self.fail_at:
            raise self.error

    async def _write(self, data: bytes) -> None:
        self._call("write")
        self.staged += data

    async def _publish(self) -> None:
        self._call("publish")
        self.published = self.staged

    async def _discard(self) -> None:
        self._call("discard")


class Plain:
    """A third party's stream, without abort()."""

    def __init__(self) -> None:
        self.data = b""
        self.closed = 0

    async def write(self, data: bytes) -> int:
        self.data += data
        return len(data)

    async def close(self) -> None:
        self.closed += 1

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *args: object) -> None:
        await self.close()


async def fail_after(stream: Any, *pieces: Any) -> None:
    async with stream:
        for piece in pieces:
            await stream.write(piece)
        raise KeyError


async def test_written_data_is_published_by_closing_and_not_earlier() -> None:
    stream = Staged()
    async with stream:
        await stream.write(b"one ")
        await stream.write(b"two")
        assert stream.published is None
    assert stream.published == b"one two"


async def test_leaving_with_an_exception_discards() -> None:
    stream = Staged()
    with pytest.raises(KeyError):
        await fail_after(stream, b"half")
    assert stream.published is None
    assert stream.calls == ["write", "discard"]


async def test_a_failure_to_discard_does_not_hide_the_cause() -> None:
    stream = Staged(fail_at="discard")
    with pytest.raises(KeyError) as caught:
        async with stream:
            raise KeyError
    assert caught.value.__notes__ == [
        "The data written to <Staged> was not discarded: no space left"
    ]


async def test_cancelling_the_writer_discards() -> None:
    stream = Staged()
    started = asyncio.Event()

    async def write() -> None:
        async with stream:
            await stream.write(b"half")
            started.set()
            await asyncio.Event().wait()

    writer = asyncio.create_task(write())
    await started.wait()
    writer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writer
    assert stream.calls == ["write", "discard"]


async def test_closing_after_a_failed_write_discards_and_raises() -> None:
    stream = Staged(fail_at="write")
    with pytest.raises(OSError, match="no space left"):
        await stream.write(b"half")
    with pytest.raises(StreamClosedError, match=r"accepts no more data.*OSError: no space left"):
        await stream.write(b"the other half")
    with pytest.raises(StreamClosedError, match=r"discarded instead of closed.*no space left"):
        await stream.close()
    assert stream.calls == ["write", "discard"]


async def test_a_failed_publication_discards() -> None:
    stream = Staged(fail_at="publish")
    with pytest.raises(OSError, match="no space left"):
        async with stream:
            await stream.write(b"whole")
    assert stream.calls == ["write", "publish", "discard"]
    await stream.close()
    assert stream.published is None


async def test_failures_to_publish_and_to_discard_are_both_reported() -> None:
    class Stuck(Staged):
        async def _discard(self) -> None:
            raise PermissionError("read-only")

    with pytest.raises(OSError, match="no space left") as caught:
        await Stuck(fail_at="publish").close()
    assert "read-only" in caught.value.__notes__[0]


async def test_only_the_first_close_or_abort_counts() -> None:
    published, discarded = Staged(), Staged()
    await published.close()
    await published.close()
    await published.abort()
    async with discarded:
        await discarded.abort()
        await discarded.abort()
    assert published.calls == ["publish"]
    assert discarded.calls == ["discard"]


@pytest.mark.parametrize("end", ["close", "abort"])
async def test_writing_to_a_closed_or_aborted_stream_is_refused(end: str) -> None:
    stream = Staged()
    await getattr(stream, end)()
    state = {"close": "closed", "abort": "discarded"}[end]
    with pytest.raises(StreamClosedError, match=f"<Staged> is already {state}; open it again"):
        await stream.write(b"late")


def texts(encoding: str) -> st.SearchStrategy[str]:
    return st.text("ab\nあ漢ア") if encoding == "iso2022_jp" else st.text()


encoded = st.sampled_from(ENCODINGS).flatmap(lambda e: st.tuples(st.just(e), st.lists(texts(e))))


@given(encoded)
async def test_text_is_encoded_as_a_whole(written: tuple[str, list[str]]) -> None:
    encoding, pieces = written
    base = Staged()
    async with AWriteText(base, encoding) as stream:
        for piece in pieces:
            await stream.write(piece)
    assert base.published is not None
    assert base.published.decode(encoding) == "".join(pieces)
    if encoding != "utf-7":  # whose encoding is not unique
        assert base.published == "".join(pieces).encode(encoding)


async def test_text_that_cannot_be_encoded_publishes_nothing() -> None:
    base = Staged()
    with pytest.raises(UnicodeEncodeError):
        await fail_after(AWriteText(base), "whole ", "broken \ud800")
    assert base.published is None
    assert base.calls == ["write", "discard"]


async def test_text_that_cannot_be_encoded_publishes_nothing_even_if_closed_by_hand() -> None:
    base = Staged()
    stream = AWriteText(base)
    await stream.write("whole ")
    with pytest.raises(UnicodeEncodeError):
        await stream.write("\ud800")
    with pytest.raises(StreamClosedError, match="surrogates not allowed"):
        await stream.close()
    assert base.published is None


async def test_the_argument_errors_applies_to_characters_that_cannot_be_encoded() -> None:
    base = Staged()
    async with AWriteText(base, "ascii", "xmlcharrefreplace") as stream:
        await stream.write("é")
    assert base.published == b"&#233;"


async def test_newlines_are_not_translated() -> None:
    base = Staged()
    async with AWriteText(base) as stream:
        await stream.write("a\nb\r\nc\r")
    assert base.published == b"a\nb\r\nc\r"


async def test_bytes_are_refused_by_a_text_stream() -> None:
    with pytest.raises(TypeError, match="accepts str, not bytes; for bytes open it with mode 'wb'"):
        await AWriteText(Staged()).write(b"bytes")  # type: ignore[arg-type]


async def test_aborting_a_text_stream_discards_its_base() -> None:
    base = Staged()
    stream = AWriteText(base)
    await stream.write("half")
    await stream.abort()
    await stream.close()
    assert base.calls == ["write", "discard"]


@pytest.mark.parametrize("fail_at", ["write", "publish"])
async def test_a_base_that_fails_is_discarded(fail_at: str) -> None:
    base = Staged(fail_at=fail_at)
    with pytest.raises(OSError, match="no space left"):
        async with AWriteText(base, "utf-16") as stream:
            await stream.write("text")
    assert base.published is None
    assert base.calls.count("discard") == 1


async def test_a_base_that_cannot_be_discarded_is_closed() -> None:
    base = Plain()
    with pytest.raises(KeyError):
        await fail_after(AWriteText(base), "half")
    assert base.closed == 1


async def test_a_base_that_failed_to_close_is_not_closed_again() -> None:
    class Failing(Plain):
        async def close(self) -> None:
            await super().close()
            raise OSError("no space left")

    base = Failing()
    with pytest.raises(OSError, match="no space left"):
        async with AWriteText(base) as stream:
            await stream.write("whole")
    assert base.closed == 1


def test_any_class_with_the_methods_is_a_stream() -> None:
    assert isinstance(Plain(), AWriteStream)
    assert isinstance(Staged(), AWriteStream)
    assert isinstance(Staged(), AAbortable)
    assert not isinstance(Plain(), AAbortable)
