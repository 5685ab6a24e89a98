"""DirectoryRepository: removal of directories with mounts or with files that cannot be removed."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

import pytest

from pydatatask_core.errors import StoreError
from pydatatask_core.repository import DirectoryRepository
from pydatatask_core.repository.files.fs.locking import remove_stale

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def repo(tmp_path: Path) -> DirectoryRepository:
    return DirectoryRepository(tmp_path / "folders")


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    folder = tmp_path / "precious"
    folder.mkdir()
    (folder / "file").write_text("years of work")
    return folder


def is_whole(precious: Path) -> bool:
    return (precious / "file").read_text() == "years of work"


async def mounted(repo: DirectoryRepository, bind: Callable[[Path, Path], None], it: Path) -> Path:
    """Build the directory of a job with a mount in it, and return the mount point."""
    async with repo.build("job") as path:
        (path / "mnt").mkdir()
        (path / "file").write_text("old")
    point = repo.fullpath("job") / "mnt"
    bind(it, point)
    return point


def names_in(repo: DirectoryRepository) -> list[str]:
    return sorted(os.listdir(repo.basedir))


async def test_a_directory_with_a_mount_in_it_is_not_deleted(
    repo: DirectoryRepository, bind: Callable[[Path, Path], None], precious: Path
) -> None:
    point = await mounted(repo, bind, precious)
    with pytest.raises(StoreError, match=f"delete job 'job'.*mounted there.*{point}"):
        await repo.delete("job")
    assert names_in(repo) == ["job"]
    assert (point.parent / "file").read_text() == "old"
    assert await repo.contains("job")
    assert is_whole(precious)


async def test_a_directory_with_a_mounted_file_is_not_deleted(
    repo: DirectoryRepository, bind: Callable[[Path, Path], None], precious: Path
) -> None:
    async with repo.build("job") as path:
        for number in range(9):
            (path / f"file{number}").write_text("old")
    bind(precious / "file", repo.fullpath("job") / "file4")
    with pytest.raises(StoreError, match=r"mounted there.*file4"):
        await repo.delete("job")
    assert len(os.listdir(repo.fullpath("job"))) == 9
    assert names_in(repo) == ["job"]


async def test_a_directory_that_is_a_mount_point_is_not_deleted(
    repo: DirectoryRepository, bind: Callable[[Path, Path], None], precious: Path
) -> None:
    await repo.mkdir("job")
    bind(precious, repo.fullpath("job"))
    with pytest.raises(StoreError, match=r"mounted there.*folders/job"):
        await repo.delete("job")
    assert is_whole(precious)


async def test_a_directory_is_restored_if_a_mount_appears_during_the_deletion(
    repo: DirectoryRepository,
    bind: Callable[[Path, Path], None],
    precious: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await mounted(repo, bind, precious)
    monkeypatch.setattr("pydatatask_core.repository.files.fs.removal.check_no_mounts", str)
    with pytest.raises(StoreError, match="mounted there"):
        await repo.delete("job")
    assert names_in(repo) == ["job"]
    assert is_whole(precious)


async def test_a_directory_with_a_mount_in_it_is_not_replaced(
    repo: DirectoryRepository, bind: Callable[[Path, Path], None], precious: Path
) -> None:
    point = await mounted(repo, bind, precious)
    with pytest.raises(StoreError, match=f"publish.*mounted there.*{point}"):
        async with repo.build("job") as path:
            (path / "file").write_text("new")
    assert names_in(repo) == ["job"]
    assert (point.parent / "file").read_text() == "old"
    assert is_whole(precious)


async def test_a_staged_directory_with_a_mount_in_it_is_kept_with_a_warning(
    repo: DirectoryRepository,
    bind: Callable[[Path, Path], None],
    precious: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    paths: list[Path] = []

    async def build_with_a_mount() -> None:
        async with repo.build("job") as path:
            paths.append(path)
            (path / "mnt").mkdir()
            bind(precious, path / "mnt")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await build_with_a_mount()
    (path,) = paths
    assert is_whole(precious)
    assert await repo.keys() == set()
    assert is_whole(path / "mnt")
    assert f"mounted there, and is left unchanged: '{path / 'mnt'}'" in caplog.text
    assert len(caplog.records) == 1


async def test_stale_directories_with_a_mount_in_them_are_kept_with_a_warning(
    repo: DirectoryRepository,
    bind: Callable[[Path, Path], None],
    precious: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await repo.validate()
    paths = [repo.basedir / f".job{number}.0123456789abcdef.tmp" for number in range(3)]
    for path in paths:
        (path / "mnt").mkdir(parents=True)
        bind(precious, path / "mnt")
        os.utime(path, (0, 0))
    assert await asyncio.to_thread(remove_stale, str(repo.basedir), lambda name: True) == 0
    assert is_whole(precious)
    (record,) = caplog.records
    assert record.getMessage().startswith("3 unfinished or deleted values")
    assert "mounted there" in record.getMessage()


async def test_a_directory_that_cannot_be_removed_counts_as_deleted_and_is_left_behind(
    repo: DirectoryRepository,
    freeze: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with repo.build("job") as path:
        (path / "file").write_text("old")
    freeze(repo.fullpath("job") / "file")
    with caplog.at_level(logging.WARNING):
        await repo.delete("job")
    assert await repo.keys() == set()
    (name,) = names_in(repo)
    assert name.startswith(".")
    (record,) = caplog.records
    assert "could not be removed (Operation not permitted" in record.getMessage()
    async with repo.build("job") as path:
        (path / "file").write_text("new")
    assert (repo.fullpath("job") / "file").read_text() == "new"
