"""FileRepository: failed writes and reads raise and leave nothing behind."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import resource
from typing import TYPE_CHECKING

import pytest

from pydatatask_core.errors import (
    StoreError,
    StorePermissionError,
    StreamClosedError,
)
from pydatatask_core.repository import FileRepository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGE = b"0123456789abcdef" * 65536
"""More bytes than fit into any buffer."""


@pytest.fixture
def repo(tmp_path: Path) -> FileRepository:
    return FileRepository(tmp_path / "blobs", ".bin")


@pytest.fixture
def file_size_limit() -> Iterator[int]:
    """Limit the size of files, so that larger writes fail as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
    yield 300_000
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def put(repo: FileRepository, job: str, data: bytes) -> None:
    async with await repo.open(job, "wb") as stream:
        await stream.write(data)


async def get(repo: FileRepository, job: str) -> bytes:
    async with await repo.open(job, "rb") as stream:
        return await stream.read()


async def what_was_dropped_is_cleaned_up() -> None:
    gc.collect()
    await asyncio.get_running_loop().shutdown_default_executor()


def names_in(repo: FileRepository) -> list[str]:
    return sorted(os.listdir(repo.basedir)) if repo.basedir.exists() else []


@pytest.mark.usefixtures("file_size_limit")
async def test_a_failed_write_names_the_job_and_keeps_the_old_value(
    repo: FileRepository,
) -> None:
    await put(repo, "job", b"old")
    stream = await repo.open("job", "wb")

    with pytest.raises(StoreError, match=r"write job 'job' in FileRepository\(.*large") as raised:
        await stream.write(LARGE)

    assert raised.value.errno == errno.EFBIG
    with pytest.raises(StreamClosedError):
        await stream.close()
    assert await get(repo, "job") == b"old"
    assert names_in(repo) == ["job.bin"]


async def test_a_full_disk_is_reported_when_a_small_value_is_closed(tiny_disk: Path) -> None:
    repo = FileRepository(tiny_disk)
    (tiny_disk / "filler").write_bytes(b"x" * (256 * 1024 - 4096))
    stream = await repo.open("job", "wb")
    await stream.write(b"x" * 10_000)

    with pytest.raises(StoreError, match=r"write job 'job'.*No space left") as raised:
        await stream.close()

    assert raised.value.errno == errno.ENOSPC
    assert names_in(repo) == ["filler"]


async def test_a_dropped_writer_leaves_nothing_on_the_disk(repo: FileRepository) -> None:
    stream = await repo.open("job", "wb")
    await stream.write(LARGE)
    assert len(names_in(repo)) == 1

    del stream
    await what_was_dropped_is_cleaned_up()

    assert names_in(repo) == []


@pytest.mark.parametrize("end", ["abort", "raise"])
async def test_an_abandoned_writer_leaves_nothing_on_the_disk(
    repo: FileRepository, end: str
) -> None:
    stream = await repo.open("job", "wb")
    await stream.write(LARGE)

    if end == "abort":
        await stream.abort()
    else:
        with pytest.raises(ZeroDivisionError):
            async with stream:
                raise ZeroDivisionError

    assert names_in(repo) == []


@pytest.mark.parametrize("steps", range(1, 6))
async def test_a_cancelled_write_is_never_published(repo: FileRepository, steps: int) -> None:
    stream = await repo.open("job", "wb")
    writing = asyncio.create_task(stream.write(LARGE))
    for _ in range(steps):
        await asyncio.sleep(0)

    writing.cancel()
    await asyncio.wait({writing})

    if writing.cancelled():
        with pytest.raises(StreamClosedError):
            await stream.close()
        assert not await repo.contains("job")
    await stream.abort()
    assert names_in(repo) in ([], ["job.bin"])


async def test_a_folder_in_place_of_the_file_is_reported_and_kept(tmp_path: Path) -> None:
    repo = FileRepository(tmp_path)
    (tmp_path / "job" / "below").mkdir(parents=True)

    with pytest.raises(StoreError, match=r"write job 'job'.*directory"):
        await put(repo, "job", b"value")

    assert names_in(repo) == ["job"]


async def test_a_file_without_permission_is_an_error(powerless: Path) -> None:
    repo = FileRepository(powerless)
    await put(repo, "job", b"value")
    repo.fullpath("job").chmod(0)

    with pytest.raises(StorePermissionError, match=r"read job 'job'.*Permission denied"):
        await repo.open("job", "rb")

    assert await repo.contains("job")


async def test_a_folder_without_permission_does_not_count_as_empty(powerless: Path) -> None:
    repo = FileRepository(powerless / "locked")
    await put(repo, "job", b"value")
    repo.basedir.chmod(0)

    for asking in (repo.keys, repo.info_all, lambda: repo.contains("job")):
        with pytest.raises(StorePermissionError):
            await asking()
    with pytest.raises(StorePermissionError):
        await repo.open("job", "r")
    with pytest.raises(StorePermissionError):
        await repo.delete("job")
    with pytest.raises(StorePermissionError):
        await put(repo, "job", b"new")
