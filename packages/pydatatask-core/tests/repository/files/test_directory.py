"""DirectoryRepository: creating, building, replacing and removing directories."""

from __future__ import annotations

import asyncio
import gc
import os
from typing import TYPE_CHECKING

import pytest

from pydatatask_core.errors import StoreError, StorePermissionError
from pydatatask_core.repository import DirectoryRepository

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repo(tmp_path: Path) -> DirectoryRepository:
    return DirectoryRepository(tmp_path / "folders", ".d")


async def build(repo: DirectoryRepository, job: str, content: str) -> None:
    async with repo.build(job) as path:
        (path / "deep").mkdir()
        (path / "deep" / "file").write_text(content)


def content_of(repo: DirectoryRepository, job: str) -> str:
    return (repo.fullpath(job) / "deep" / "file").read_text()


def names_in(repo: DirectoryRepository) -> list[str]:
    return sorted(os.listdir(repo.basedir))


@pytest.mark.parametrize("old", [False, True])
async def test_a_failed_build_changes_nothing(repo: DirectoryRepository, old: bool) -> None:
    if old:
        await build(repo, "job", "old")

    async def build_half() -> None:
        async with repo.build("job") as path:
            (path / "half").write_text("")
            assert await repo.contains("job") is old
            assert await repo.keys() == ({"job"} if old else set())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await build_half()
    assert names_in(repo) == (["job.d"] if old else [])
    assert not old or content_of(repo, "job") == "old"


async def test_a_cancelled_build_leaves_nothing(repo: DirectoryRepository) -> None:
    entered = asyncio.Event()

    async def build_for_ever() -> None:
        async with repo.build("job") as path:
            (path / "half").write_text("")
            entered.set()
            await asyncio.Event().wait()

    building = asyncio.create_task(build_for_ever())
    await entered.wait()
    building.cancel()
    await asyncio.wait({building})
    assert building.cancelled()
    assert names_in(repo) == []


def test_a_staged_directory_that_is_dropped_leaves_nothing(repo: DirectoryRepository) -> None:
    draft = repo._new_staged("job")
    assert len(names_in(repo)) == 1
    del draft
    gc.collect()
    assert names_in(repo) == []


async def test_a_build_replaces_the_whole_directory(repo: DirectoryRepository) -> None:
    await build(repo, "job", "old")
    (repo.fullpath("job") / "more").write_text("")
    await build(repo, "job", "new")
    assert content_of(repo, "job") == "new"
    assert os.listdir(repo.fullpath("job")) == ["deep"]
    assert names_in(repo) == ["job.d"]


async def test_concurrent_builds_of_a_job_leave_one_whole_directory(
    repo: DirectoryRepository,
) -> None:
    for _ in range(5):
        await asyncio.gather(*(build(repo, "job", str(number)) for number in range(8)))
        assert content_of(repo, "job") in map(str, range(8))
        assert names_in(repo) == ["job.d"]


async def test_a_build_replaces_a_link_and_keeps_its_target(
    repo: DirectoryRepository, tmp_path: Path
) -> None:
    await build(repo, "target", "precious")
    repo.fullpath("job").symlink_to(repo.fullpath("target"))
    await build(repo, "job", "new")
    assert not repo.fullpath("job").is_symlink()
    assert content_of(repo, "target") == "precious"
    assert names_in(repo) == ["job.d", "target.d"]


async def test_a_file_in_place_of_the_directory_is_reported_and_kept(
    repo: DirectoryRepository,
) -> None:
    await repo.validate()
    repo.fullpath("job").write_text("precious")
    with pytest.raises(
        StoreError, match=r"publish the directory of job 'job'.*not a directory is th"
    ):
        await build(repo, "job", "new")
    with pytest.raises(StoreError, match=r"create the directory of job 'job'.*File exists"):
        await repo.mkdir("job")
    await repo.delete("job")
    assert repo.fullpath("job").read_text() == "precious"
    assert names_in(repo) == ["job.d"]
    assert not await repo.contains("job")


async def test_creating_a_directory_again_keeps_its_contents(repo: DirectoryRepository) -> None:
    await repo.mkdir("job")
    (repo.fullpath("job") / "file").write_text("")
    await asyncio.gather(*(repo.mkdir("job") for _ in range(8)))
    assert os.listdir(repo.fullpath("job")) == ["file"]


async def test_deleting_removes_the_whole_tree_and_follows_no_link(
    repo: DirectoryRepository, tmp_path: Path
) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("")
    await build(repo, "job", "value")
    (repo.fullpath("job") / "deep" / "link").symlink_to(tmp_path / "precious")
    repo.fullpath("link").symlink_to(tmp_path / "precious")

    await repo.delete("job")
    await repo.delete("link")

    assert names_in(repo) == []
    assert os.listdir(tmp_path / "precious") == ["file"]


async def test_deleting_removes_directories_without_permissions(powerless: Path) -> None:
    repo = DirectoryRepository(powerless / "folders")
    await build(repo, "job", "value")
    (repo.fullpath("job") / "deep").chmod(0o500)
    repo.fullpath("job").chmod(0)
    await repo.delete("job")
    assert names_in(repo) == []


async def test_a_deletion_without_permission_raises(powerless: Path) -> None:
    repo = DirectoryRepository(powerless / "folders")
    await repo.mkdir("job")
    repo.basedir.chmod(0o500)
    with pytest.raises(StorePermissionError, match="delete job 'job'"):
        await repo.delete("job")
    assert await repo.contains("job")


async def test_empty_directories_are_discarded_in_every_query(tmp_path: Path) -> None:
    repo = DirectoryRepository(tmp_path, discard_empty=True)
    await repo.mkdir("empty")
    await repo.mkdir("full")
    (tmp_path / "full" / ".hidden").write_text("")
    (tmp_path / "link").symlink_to("full")
    assert await repo.keys() == {"full", "link"}
    assert sorted([job async for job in repo]) == ["full", "link"]
    assert set(await repo.info_all()) == {"full", "link"}
    assert [await repo.contains(job) for job in ("empty", "full", "none")] == [False, True, False]
    (tmp_path / "empty" / "file").write_text("")
    (tmp_path / "full" / ".hidden").unlink()
    assert await repo.keys() == {"empty"}


async def test_an_unreadable_directory_does_not_count_as_empty(powerless: Path) -> None:
    repo = DirectoryRepository(powerless / "folders", discard_empty=True)
    await repo.mkdir("job")
    repo.fullpath("job").chmod(0)
    for asking in (repo.keys, lambda: repo.contains("job")):
        with pytest.raises(StorePermissionError):
            await asking()


async def test_files_are_not_directories(tmp_path: Path) -> None:
    repo = DirectoryRepository(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "folder").mkdir()
    assert await repo.keys() == {"folder"}
    assert not await repo.contains("file")
    for job in ("file", "link"):
        await repo.delete(job)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "link"]


async def test_a_durable_build_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut cannot be simulated, so the order of the system calls is checked."""
    asked: list[str] = []
    fsync, rename = os.fsync, os.rename

    def note_fsync(fd: int) -> None:
        asked.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))[:6])
        fsync(fd)

    def note_rename(source: str, target: str) -> None:
        asked.append("rename")
        rename(source, target)

    repo = DirectoryRepository(tmp_path, durable=True)
    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "rename", note_rename)
    await build(repo, "job", "value")
    assert asked == [".job.a", "file", "deep", "rename", tmp_path.name[:6]] or (
        sorted(asked[:3])[1:] == ["deep", "file"] and asked[3:] == ["rename", tmp_path.name[:6]]
    )
