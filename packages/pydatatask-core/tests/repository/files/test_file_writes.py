"""FileRepository: writing of values."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

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


async def get(repo: FileRepository, job: str) -> bytes:
    async with await repo.open(job, "rb") as stream:
        return await stream.read()


def names_in(repo: FileRepository) -> list[str]:
    return sorted(os.listdir(repo.basedir)) if repo.basedir.exists() else []


async def test_a_value_is_written_to_a_hidden_file_beside_its_target(
    repo: FileRepository,
) -> None:
    async with await repo.open("job", "wb") as stream:
        await stream.write(LARGE)
        (name,) = names_in(repo)
        assert name.startswith(".job.bin.")
        assert name.endswith(".tmp")
    assert names_in(repo) == ["job.bin"]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
async def test_a_file_has_the_permissions_of_any_new_file(repo: FileRepository, umask: int) -> None:
    before = os.umask(umask)
    try:
        await put(repo, "job", b"value")
    finally:
        os.umask(before)

    assert stat.S_IMODE(repo.fullpath("job").stat().st_mode) == 0o666 & ~umask


async def test_writing_creates_the_folder(tmp_path: Path) -> None:
    repo = FileRepository(tmp_path / "not" / "yet")
    await put(repo, "job", b"value")
    assert await get(repo, "job") == b"value"


async def test_a_durable_value_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut cannot be simulated, so the order of the system calls is checked."""
    asked: list[str] = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(fd: int) -> None:
        asked.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        fsync(fd)

    def note_replace(source: str, target: str) -> None:
        asked.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    repo = FileRepository(tmp_path / "not" / "yet", durable=True)

    await put(repo, "job", b"value")
    assert asked == ["folder", "folder", "file", "rename", "folder"]
    await repo.delete("job")
    assert asked[5:] == ["folder"]


async def test_writing_replaces_a_link_and_keeps_its_target(
    repo: FileRepository, tmp_path: Path
) -> None:
    await repo.validate()
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    repo.fullpath("job").symlink_to(target)
    assert await get(repo, "job") == b"precious"

    await put(repo, "job", b"new")

    assert target.read_bytes() == b"precious"
    assert not repo.fullpath("job").is_symlink()
    assert await get(repo, "job") == b"new"


async def test_small_writes_are_collected_in_a_buffer(repo: FileRepository) -> None:
    """A thread switch and a system call per write would slow down a writer of single lines."""
    async with await repo.open("job", "wb") as stream:
        for start in range(0, 100_000, 100):
            await stream.write(LARGE[start : start + 100])
        assert not repo.basedir.exists()
    assert await get(repo, "job") == LARGE[:100_000]


async def test_buffered_data_does_not_change_with_the_buffer_of_the_caller(
    repo: FileRepository,
) -> None:
    buffer = bytearray(b"first ")
    async with await repo.open("job", "wb") as stream:
        await stream.write(buffer)  # type: ignore[arg-type] # accepted beyond the annotation
        buffer[:] = b"second"
        await stream.write(memoryview(buffer))  # type: ignore[arg-type] # as above
    assert await get(repo, "job") == b"first second"


async def test_text_is_refused_by_a_binary_stream(repo: FileRepository) -> None:
    async with await repo.open("job", "wb") as stream:
        with pytest.raises(TypeError, match=r"accepts bytes, not str.*mode 'w'"):
            await stream.write("text")  # type: ignore[arg-type] # the subject of the test
        await stream.abort()
