"""R3 and R9 for blobs: a blob appears whole or not at all."""

from __future__ import annotations

import asyncio
import gc
import warnings
from typing import Any

import pytest

from pydatatask_core.errors import JobNotFoundError, StreamClosedError
from pydatatask_core.testing.jobs import JOB, MANY

from .hooks import RepositoryHooks
from .queries import assert_absent, jobs_of

__all__ = ["PublicationLaws", "read_blob", "write_blob"]

OLD, NEW = b"the old value", b"the new value, which is longer"


async def write_blob(repo: Any, job: str, data: bytes) -> None:
    """Store a blob."""
    async with await repo.open(job, "wb") as stream:
        await stream.write(data)


async def read_blob(repo: Any, job: str) -> bytes | None:
    """Read a blob; return None if it is absent."""
    try:
        async with await repo.open(job, "rb") as stream:
            data: bytes = await stream.read()
            return data
    except JobNotFoundError:
        return None


class _Interrupted(Exception):
    pass


async def _half(repo: Any, mode: str) -> Any:
    """Open a stream and write to it several times."""
    stream = await repo.open(JOB, mode)
    for _ in range(3):
        await stream.write("half" if mode == "w" else b"half")
    return stream


async def raises_in_the_block(repo: Any, mode: str) -> None:
    """Leave ``async with`` with an exception."""
    with pytest.raises(_Interrupted):
        async with await _half(repo, mode):
            raise _Interrupted


async def aborts(repo: Any, mode: str) -> None:
    """Abort the stream."""
    stream = await _half(repo, mode)
    await stream.abort()


async def is_cancelled(repo: Any, mode: str) -> None:
    """Cancel the writing task within the block."""
    written = asyncio.Event()

    async def write() -> None:
        async with await _half(repo, mode):
            written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await written.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


async def is_dropped(repo: Any, mode: str) -> None:
    """Drop the last reference to the stream, as a faulty or exiting program does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        await _half(repo, mode)
        for _ in range(10):
            await asyncio.sleep(0)
        gc.collect()


WRITERS = pytest.mark.parametrize(
    "give_up", [raises_in_the_block, aborts, is_cancelled, is_dropped], ids=lambda way: way.__name__
)
MODES = pytest.mark.parametrize("mode", ["w", "wb"])


class PublicationLaws(RepositoryHooks):
    """R3: only closing publishes a value. R9: concurrent writers leave one whole value."""

    @MODES
    async def test_a_key_never_appears_before_its_value_is_whole(
        self, repo: Any, mode: str
    ) -> None:
        """R3: no query shows it before close()."""
        stream = await repo.open(JOB, mode)
        await assert_absent(repo, JOB)
        await stream.write("half" if mode == "w" else b"half")
        await assert_absent(repo, JOB)
        assert await read_blob(repo, JOB) is None
        await stream.write("whole" if mode == "w" else b"whole")
        await stream.close()
        assert await read_blob(repo, JOB) == b"halfwhole"

    @WRITERS
    @MODES
    async def test_a_failed_writer_leaves_no_key(self, repo: Any, give_up: Any, mode: str) -> None:
        """R3: it never appears in a listing, and does not hinder the next writer."""
        await give_up(repo, mode)
        await assert_absent(repo, JOB)
        assert await read_blob(repo, JOB) is None
        await write_blob(repo, JOB, NEW)
        assert await read_blob(repo, JOB) == NEW

    @WRITERS
    @MODES
    async def test_a_failed_writer_leaves_the_old_value(
        self, repo: Any, give_up: Any, mode: str
    ) -> None:
        """R3: unchanged, under its key."""
        await write_blob(repo, JOB, OLD)
        await give_up(repo, mode)
        assert await read_blob(repo, JOB) == OLD
        assert await jobs_of(repo) == {JOB}

    async def test_the_old_value_stays_until_the_new_one_is_whole(self, repo: Any) -> None:
        """R3: an overwritten key is never absent, empty or mixed."""
        await write_blob(repo, JOB, OLD)
        async with await repo.open(JOB, "wb") as stream:
            assert await read_blob(repo, JOB) == OLD
            await stream.write(NEW)
            assert await read_blob(repo, JOB) == OLD
            assert await repo.contains(JOB)
        assert await read_blob(repo, JOB) == NEW

    async def test_a_shorter_value_replaces_a_longer_one(self, repo: Any) -> None:
        """R3: no part of the old value is left."""
        await write_blob(repo, JOB, NEW)
        await write_blob(repo, JOB, OLD)
        assert await read_blob(repo, JOB) == OLD

    async def test_a_reader_is_not_disturbed_by_a_new_value(self, repo: Any) -> None:
        """R3: it continues with the value for which it was opened."""
        await write_blob(repo, JOB, OLD)
        async with await repo.open(JOB, "rb") as stream:
            start = await stream.read(4)
            await write_blob(repo, JOB, NEW)
            assert start + await stream.read() == OLD

    async def test_closing_again_publishes_nothing(self, repo: Any) -> None:
        """R3: the second close() does nothing."""
        stream = await _half(repo, "wb")
        await stream.close()
        await write_blob(repo, JOB, NEW)
        await stream.close()
        assert await read_blob(repo, JOB) == NEW

    async def test_writing_to_a_closed_or_aborted_stream_raises(self, repo: Any) -> None:
        """R3: and does not change the published value."""
        closed, aborted = await _half(repo, "wb"), await _half(repo, "wb")
        await aborted.abort()
        await closed.close()
        for stream in (closed, aborted):
            with pytest.raises(StreamClosedError):
                await stream.write(b"more")
        assert await read_blob(repo, JOB) == b"halfhalfhalf"

    async def test_published_values_survive(self, repo: Any) -> None:
        """R3: another instance finds them, and nothing of abandoned writes."""
        await raises_in_the_block(repo, "wb")
        other = await self.reopen(repo)
        await assert_absent(other, JOB)
        await write_blob(repo, JOB, NEW)
        assert await read_blob(other, JOB) == NEW

    async def test_a_cancelled_writer_publishes_nothing_later(self, repo: Any) -> None:
        """R9: after a cancelled close() has ended, the value of the next writer stays."""
        for turn in range(24):
            stream = await _half(repo, "wb")
            closing = asyncio.create_task(stream.close())
            for _ in range(turn % 8):
                await asyncio.sleep(0)
            closing.cancel()
            await asyncio.wait({closing})
            await write_blob(repo, JOB, b"turn %d" % turn)
            assert await read_blob(repo, JOB) == b"turn %d" % turn

    async def test_different_keys_can_be_written_concurrently(self, repo: Any) -> None:
        """R9: their values are never mixed."""

        async def write(job: str) -> None:
            async with await repo.open(job, "wb") as stream:
                for _ in range(5):
                    await stream.write(job.encode())
                    await asyncio.sleep(0)

        await asyncio.gather(*(write(job) for job in MANY))
        found = {job: await read_blob(repo, job) for job in MANY}
        assert found == {job: job.encode() * 5 for job in MANY}

    async def test_concurrent_writers_of_a_key_leave_one_whole_value(self, repo: Any) -> None:
        """R9: in any order of their steps."""
        values = {bytes([65 + writer]) * 40 for writer in range(8)}

        async def write(value: bytes) -> None:
            async with await repo.open(JOB, "wb") as stream:
                for start in range(0, len(value), 10):
                    await stream.write(value[start : start + 10])
                    await asyncio.sleep(0)

        await asyncio.gather(*(write(value) for value in values))
        assert await read_blob(repo, JOB) in values
        assert await jobs_of(repo) == {JOB}

    async def test_the_writer_that_closes_last_wins(self, repo: Any) -> None:
        """R9: not the writer that opened or wrote last."""
        first, second = await repo.open(JOB, "wb"), await repo.open(JOB, "wb")
        await first.write(b"first")
        await second.write(b"second")
        await second.close()
        assert await read_blob(repo, JOB) == b"second"
        await first.close()
        assert await read_blob(repo, JOB) == b"first"
