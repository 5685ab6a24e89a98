"""FileRepository: reading of values."""

from __future__ import annotations

import asyncio
import gc
import os
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.errors import (
    JobNotFoundError,
    StreamClosedError,
)
from pydatatask_core.repository import FileRepository

if TYPE_CHECKING:
    from pathlib import Path

LARGE = b"0123456789abcdef" * 65536
"""More bytes than fit into any buffer."""


@pytest.fixture
def repo(tmp_path: Path) -> FileRepository:
    return FileRepository(tmp_path / "blobs", ".bin")


async def put(repo: FileRepository, job: str, data: bytes) -> None:
    async with await repo.open(job, "wb") as stream:
        await stream.write(data)


async def what_was_dropped_is_cleaned_up() -> None:
    gc.collect()
    await asyncio.get_running_loop().shutdown_default_executor()


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["folder", "pipe"])
async def test_only_regular_files_can_be_read(tmp_path: Path, make: Any) -> None:
    """Opening a pipe would wait forever for a writer."""
    repo = FileRepository(tmp_path)
    make(tmp_path / "job")

    with pytest.raises(JobNotFoundError):
        await repo.open("job", "rb")

    assert not await repo.contains("job")


async def test_reading_from_a_closed_stream_raises(repo: FileRepository) -> None:
    await put(repo, "job", LARGE)
    stream = await repo.open("job", "rb")
    await stream.close()
    await stream.close()
    with pytest.raises(StreamClosedError, match=r"job\.bin"):
        await stream.read()


async def test_an_open_reader_reads_on_after_a_deletion(repo: FileRepository) -> None:
    await put(repo, "job", LARGE)
    async with await repo.open("job", "rb") as stream:
        start = await stream.read(10)
        await repo.delete("job")
        assert start + await stream.read() == LARGE


@pytest.mark.parametrize("n", [None, 700_000])
@pytest.mark.parametrize("steps", range(4))
async def test_a_cancelled_read_loses_no_bytes(
    repo: FileRepository, n: int | None, steps: int
) -> None:
    await put(repo, "job", LARGE)
    async with await repo.open("job", "rb") as stream:
        pieces = [await stream.read(300_000)]
        reading = asyncio.create_task(stream.read(n))
        for _ in range(steps):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait({reading})
        if not reading.cancelled():
            pieces.append(reading.result())
        while piece := await stream.read(123_456):
            pieces.append(piece)
    assert b"".join(pieces) == LARGE


async def test_a_cancelled_read_waits_for_its_thread(repo: FileRepository) -> None:
    """Otherwise the thread would write into the buffer of the next read."""
    await put(repo, "job", LARGE)
    async with await repo.open("job", "rb") as stream:
        await stream.read(300_000)
        with stream._lock:
            reading = asyncio.create_task(stream.read(300_000))
            await asyncio.sleep(0)
            reading.cancel()
            for _ in range(10):
                await asyncio.sleep(0)
            assert not reading.done()
        await asyncio.wait({reading})
        assert reading.cancelled()


async def test_streams_leave_no_descriptor_open(repo: FileRepository) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for data in (b"small", LARGE):
        await put(repo, "job", data)
        async with await repo.open("job", "rb") as stream:
            await stream.read(10)
        dropped = await repo.open("job", "rb"), await repo.open("job", "wb")
        await dropped[1].write(LARGE)
        del dropped
    await what_was_dropped_is_cleaned_up()
    assert len(os.listdir("/proc/self/fd")) == before
