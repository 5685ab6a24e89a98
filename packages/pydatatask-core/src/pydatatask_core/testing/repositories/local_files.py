"""R3 to R5 for blobs as local files, for synchronous code."""

from __future__ import annotations

import asyncio
import csv
import json
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from pydatatask_core.errors import JobNotFoundError, LocalFileMissingError
from pydatatask_core.testing.jobs import ABSENT, JOB
from pydatatask_core.testing.memory import peak_memory

from .hooks import RepositoryHooks
from .queries import assert_absent, jobs_of

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LocalFileLaws"]

OLD, NEW = b"the old value", b"the new value"
BYTES = b"\r\nline\r\xff\n\0"
BLOCK_BYTES = 1 << 18

READING = pytest.mark.parametrize("mode", ["r", "rb"])
WRITING = pytest.mark.parametrize("mode", ["w", "wb"])


async def _write(repo: Any, data: bytes) -> None:
    async with await repo.open(JOB, "wb") as stream:
        await stream.write(data)


async def _read(repo: Any) -> bytes:
    async with await repo.open(JOB, "rb") as stream:
        data: bytes = await stream.read()
        return data


async def _in_thread(function: Any, *args: Any) -> Any:
    return await asyncio.to_thread(function, *args)


async def raises(repo: Any, mode: str) -> None:
    """Write half of the file, and leave the block with an exception."""

    async def write() -> None:
        async with repo.local_file(JOB, mode) as path:
            await _in_thread(path.write_bytes, b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await write()


async def raises_while_open(repo: Any, mode: str) -> None:
    """Write half through a synchronous file object, and leave the block with an exception."""

    async def write() -> None:
        async with repo.open_sync(JOB, mode) as file:
            file.write("half" if mode == "w" else b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await write()


async def is_cancelled(repo: Any, mode: str) -> None:
    """Write half of the file, and cancel the task within the block."""
    written = asyncio.Event()

    async def write() -> None:
        async with repo.local_file(JOB, mode) as path:
            await _in_thread(path.write_bytes, b"half")
            written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await written.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


async def writes_elsewhere(repo: Any, mode: str) -> None:
    """Create a file with another name than the requested one."""
    with pytest.raises(LocalFileMissingError, match="instead"):
        async with repo.local_file(JOB, mode) as path:
            await _in_thread(path.with_name("another").write_bytes, b"whole")


async def creates_a_folder(repo: Any, mode: str) -> None:
    """Create a directory instead of the file."""
    with pytest.raises(LocalFileMissingError, match="not a regular file"):
        async with repo.local_file(JOB, mode) as path:
            await _in_thread(path.mkdir)


WAYS = pytest.mark.parametrize(
    "give_up",
    [raises, raises_while_open, is_cancelled, writes_elsewhere, creates_a_folder],
    ids=lambda way: way.__name__,
)


class LocalFileLaws(RepositoryHooks):
    """R3: a local file is published whole when its block ends. R4: its content is the value."""

    large: ClassVar[int]
    memory_bound: ClassVar[int]

    @WRITING
    async def test_a_local_file_is_published_when_its_block_ends(
        self, repo: Any, mode: str
    ) -> None:
        """R3: whole, and not earlier."""
        async with repo.local_file(JOB, mode) as path:
            assert not await _in_thread(path.exists)
            await _in_thread(path.write_bytes, NEW)
            await assert_absent(repo, JOB)
        assert await _read(repo) == NEW
        assert not await _in_thread(path.exists)
        async with repo.local_file(JOB, mode) as path:
            assert not await _in_thread(path.exists)
            await _in_thread(path.write_bytes, OLD)
            assert await _read(repo) == NEW
        assert await _read(repo) == OLD
        assert await jobs_of(repo) == {JOB}

    @WAYS
    @WRITING
    async def test_an_abandoned_local_file_leaves_no_key(
        self, repo: Any, give_up: Any, mode: str
    ) -> None:
        """R3: it never appears in a listing."""
        await give_up(repo, mode)
        await assert_absent(repo, JOB)
        assert await jobs_of(repo) == set()

    @WAYS
    @WRITING
    async def test_an_abandoned_local_file_leaves_the_old_value(
        self, repo: Any, give_up: Any, mode: str
    ) -> None:
        """R3: unchanged, under its key."""
        await _write(repo, OLD)
        await give_up(repo, mode)
        assert await _read(repo) == OLD
        assert await jobs_of(repo) == {JOB}

    @READING
    async def test_a_local_file_holds_the_value(self, repo: Any, mode: str) -> None:
        """R4: completely; any code can read it, and the stored value stays unchanged."""
        await _write(repo, BYTES)
        async with repo.local_file(JOB, mode) as path:
            assert await _in_thread(path.read_bytes) == BYTES
        assert await _read(repo) == BYTES

    @READING
    async def test_an_absent_value_has_no_local_file(self, repo: Any, mode: str) -> None:
        """R6: also through open_sync()."""
        for way in (repo.local_file, repo.open_sync):
            with pytest.raises(JobNotFoundError):
                async with way(ABSENT, mode):
                    pass

    async def test_synchronous_code_reads_and_writes(self, repo: Any) -> None:
        """R4: json, csv and print work on an ordinary file object."""
        async with repo.open_sync(JOB, "w") as file:
            json.dump({"key": "\N{SNOWMAN}"}, file, ensure_ascii=False)
        async with repo.open_sync(JOB) as file:
            assert json.load(file) == {"key": "\N{SNOWMAN}"}
        async with repo.open_sync(JOB, "w") as file:
            csv.writer(file).writerow(["a", 1])
            print("end", file=file)
        assert await _read(repo) == b"a,1\r\nend\n"
        async with repo.open_sync(JOB, "r") as file:
            assert file.read() == "a,1\r\nend\n"
        async with repo.open_sync(JOB, "wb") as file:
            file.write(BYTES)
            file.close()
        async with repo.open_sync(JOB, "rb") as file:
            assert file.read() == BYTES

    async def test_a_local_file_may_be_empty(self, repo: Any) -> None:
        """R4: an empty value is a value."""
        async with repo.local_file(JOB, "w") as path:
            await _in_thread(path.touch)
        assert await _read(repo) == b""

    @pytest.mark.parametrize("mode", ["", "x", "a", "rw", "r+"])
    async def test_an_unsupported_mode_of_a_local_file_is_refused(
        self, repo: Any, mode: str
    ) -> None:
        """R6: it is never taken for another mode."""
        for way in (repo.local_file, repo.open_sync):
            with pytest.raises(ValueError, match="mode"):
                async with way(JOB, mode):
                    pass
        await assert_absent(repo, JOB)

    async def test_a_local_file_takes_bounded_memory(self, repo: Any) -> None:
        """R5: both for writing and for reading."""
        if not self.memory_bound:
            pytest.skip("its values live in memory")

        def fill(path: Path) -> None:
            with path.open("wb") as file:
                for _ in range(self.large // BLOCK_BYTES):
                    file.write(bytes(BLOCK_BYTES))

        with peak_memory() as peak:
            async with repo.local_file(JOB, "w") as path:
                await _in_thread(fill, path)
            async with repo.local_file(JOB, "r") as path:
                size = (await _in_thread(path.stat)).st_size
            assert size == self.large // BLOCK_BYTES * BLOCK_BYTES
            assert peak() < self.memory_bound
