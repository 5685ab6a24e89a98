"""R3 and R9 for blobs: a blob appears whole, or not at all."""

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
    """Store a blob as one does."""
    async with await repo.open(job, "wb") as stream:
        await stream.write(data)


async def read_blob(repo: Any, job: str) -> bytes | None:
    """Read a blob, or give None if there is none."""
    try:
        async with await repo.open(job, "rb") as stream:
            data: bytes = await stream.read()
            return data
    except JobNotFoundError:
        return None


class _Interrupted(Exception):
    pass


async def _half(repo: Any, mode: str) -> Any:
    """Open a stream and write to it, more than once."""
    stream = await repo.open(JOB, mode)
    for _ in range(3):
        await stream.write("half" if mode == "w" else b"half")
    return stream


async def raises_in_the_block(repo: Any, mode: str) -> None:
    """Leave ``async with`` by an exception."""
    with pytest.raises(_Interrupted):
        async with await _half(repo, mode):
            raise _Interrupted


async def aborts(repo: Any, mode: str) -> None:
    """Give up on purpose."""
    stream = await _half(repo, mode)
    await stream.abort()


async def is_cancelled(repo: Any, mode: str) -> None:
    """Be cancelled in the middle of the block."""
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
    """Forget the stream, as a program does that has a fault or ends."""
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
    """R3: closing publishes, nothing else does. R9: on one key, a whole value wins."""

    @MODES
    async def test_a_key_never_appears_before_its_value_is_whole(
        self, repo: Any, mode: str
    ) -> None:
        """R3: no way to ask knows it before close()."""
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
    async def test_a_writer_that_fails_leaves_no_key(
        self, repo: Any, give_up: Any, mode: str
    ) -> None:
        """R3: nothing that is ever listed, and nothing in the way of the next writer."""
        await give_up(repo, mode)
        await assert_absent(repo, JOB)
        assert await read_blob(repo, JOB) is None
        await write_blob(repo, JOB, NEW)
        assert await read_blob(repo, JOB) == NEW

    @WRITERS
    @MODES
    async def test_a_writer_that_fails_leaves_the_old_value(
        self, repo: Any, give_up: Any, mode: str
    ) -> None:
        """R3: whole, under its key."""
        await write_blob(repo, JOB, OLD)
        await give_up(repo, mode)
        assert await read_blob(repo, JOB) == OLD
        assert await jobs_of(repo) == {JOB}

    async def test_the_old_value_is_there_until_the_new_one_is_whole(self, repo: Any) -> None:
        """R3: an overwritten key is never absent, empty or mixed."""
        await write_blob(repo, JOB, OLD)
        async with await repo.open(JOB, "wb") as stream:
            assert await read_blob(repo, JOB) == OLD
            await stream.write(NEW)
            assert await read_blob(repo, JOB) == OLD
            assert await repo.contains(JOB)
        assert await read_blob(repo, JOB) == NEW

    async def test_a_shorter_value_replaces_a_longer_one(self, repo: Any) -> None:
        """R3: nothing of the old one is left."""
        await write_blob(repo, JOB, NEW)
        await write_blob(repo, JOB, OLD)
        assert await read_blob(repo, JOB) == OLD

    async def test_a_reader_is_not_disturbed_by_a_new_value(self, repo: Any) -> None:
        """R3: it goes on with the value that it was opened for."""
        await write_blob(repo, JOB, OLD)
        async with await repo.open(JOB, "rb") as stream:
            start = await stream.read(4)
            await write_blob(repo, JOB, NEW)
            assert start + await stream.read() == OLD

    async def test_closing_again_publishes_nothing(self, repo: Any) -> None:
        """R3: a closed stream has done its work."""
        stream = await _half(repo, "wb")
        await stream.close()
        await write_blob(repo, JOB, NEW)
        await stream.close()
        assert await read_blob(repo, JOB) == NEW

    async def test_a_stream_that_has_ended_takes_nothing_more(self, repo: Any) -> None:
        """R3: neither one that was closed nor one that was aborted; both say so."""
        closed, aborted = await _half(repo, "wb"), await _half(repo, "wb")
        await aborted.abort()
        await closed.close()
        for stream in (closed, aborted):
            with pytest.raises(StreamClosedError):
                await stream.write(b"more")
        assert await read_blob(repo, JOB) == b"halfhalfhalf"

    async def test_what_was_published_survives(self, repo: Any) -> None:
        """R3: another instance finds it, and nothing of what was given up."""
        await raises_in_the_block(repo, "wb")
        other = await self.reopen(repo)
        await assert_absent(other, JOB)
        await write_blob(repo, JOB, NEW)
        assert await read_blob(other, JOB) == NEW

    async def test_a_writer_that_was_cancelled_publishes_nothing_later(self, repo: Any) -> None:
        """R9: once a cancelled writer has ended, the value of the next one stays."""
        for turn in range(24):
            stream = await _half(repo, "wb")
            closing = asyncio.create_task(stream.close())
            for _ in range(turn % 8):
                await asyncio.sleep(0)
            closing.cancel()
            await asyncio.wait({closing})
            await write_blob(repo, JOB, b"turn %d" % turn)
            assert await read_blob(repo, JOB) == b"turn %d" % turn

    async def test_different_keys_are_written_at_once(self, repo: Any) -> None:
        """R9: their writers never mix."""

        async def write(job: str) -> None:
            async with await repo.open(job, "wb") as stream:
                for _ in range(5):
                    await stream.write(job.encode())
                    await asyncio.sleep(0)

        await asyncio.gather(*(write(job) for job in MANY))
        found = {job: await read_blob(repo, job) for job in MANY}
        assert found == {job: job.encode() * 5 for job in MANY}

    async def test_of_many_writers_of_a_key_a_whole_one_wins(self, repo: Any) -> None:
        """R9: however they take turns."""
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
        """R9: not the one that was opened or written last."""
        first, second = await repo.open(JOB, "wb"), await repo.open(JOB, "wb")
        await first.write(b"first")
        await second.write(b"second")
        await second.close()
        assert await read_blob(repo, JOB) == b"second"
        await first.close()
        assert await read_blob(repo, JOB) == b"first"
