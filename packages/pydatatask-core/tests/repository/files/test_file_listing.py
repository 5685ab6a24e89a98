"""FileRepositoryBase and FileRepository: listing of folders and its caching."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.errors import InvalidJobIdError, StoreError
from pydatatask_core.repository import (
    FileRepository,
    FileRepositoryBase,
    YamlMetadataFileRepository,
)
from pydatatask_core.repository.files.fs import stamp
from pydatatask_core.utils import file_systems

if TYPE_CHECKING:
    from collections.abc import Callable


def touch(*paths: Path) -> None:
    for path in paths:
        path.write_bytes(b"")


async def found_in(repo: FileRepositoryBase, job: str) -> list[bool]:
    return [
        await repo.contains(job),
        job in [job async for job in repo],
        job in await repo.keys(),
        job in await repo.info_all(),
    ]


def settle(folder: Path) -> None:
    """Set the last change of a folder to a time well before the next one."""
    long_ago = time.time() - 1000
    os.utime(folder, (long_ago, long_ago))


@pytest.fixture
def all_changes_are_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat every time stamp as old enough to be distinguished from the next one."""
    monkeypatch.setattr(stamp, "_TICK_NS", -(10**18))


async def test_only_names_with_the_extension_are_jobs(tmp_path: Path) -> None:
    touch(tmp_path / "a.txt", tmp_path / "b.TXT", tmp_path / "c", tmp_path / "d.txt.bak")
    touch(tmp_path / ".txt")
    assert await FileRepository(tmp_path, ".txt").keys() == {"a"}
    assert await FileRepository(tmp_path).keys() == {"c"}


async def test_invalid_names_are_skipped_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    touch(tmp_path / "job", tmp_path / "a.txt", tmp_path / "b.txt", tmp_path / ".hidden")
    (tmp_path / "folder.d").mkdir()
    repo = FileRepository(tmp_path)
    with caplog.at_level(logging.WARNING, "pydatatask.repository"):
        for _ in range(3):
            assert await repo.keys() == {"job"}
            assert [job async for job in repo] == ["job"]
    (warning,) = caplog.messages
    assert "skipped 2 names" in warning
    assert "encode_job_id() turns any text into one" in warning


async def test_hidden_names_are_skipped_silently(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    touch(tmp_path / ".DS_Store", tmp_path / ".job.tmp", tmp_path / ".tmp")
    for extension in ("", ".tmp"):
        assert await FileRepository(tmp_path, extension).keys() == set()
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("make", "there"),
    [
        (lambda path: path.mkdir(), False),
        (os.mkfifo, False),
        (lambda path: path.symlink_to(path.parent), False),
        (lambda path: path.symlink_to("nowhere"), False),
        (lambda path: path.symlink_to(path.name), False),
        (lambda path: path.symlink_to("../file/below"), False),
        (lambda path: path.symlink_to("../file"), True),
        (lambda path: os.link(path.parent.parent / "file", path), True),
    ],
    ids=["folder", "pipe", "to-folder", "to-nowhere", "to-itself", "through-file", "link", "hard"],
)
async def test_every_query_agrees_on_which_names_are_files(
    tmp_path: Path, make: Callable[[Path], None], there: bool
) -> None:
    touch(tmp_path / "file")
    repo = FileRepository(tmp_path / "files")
    await repo.validate()
    make(repo.fullpath("job"))
    assert await found_in(repo, "job") == [there] * 4


async def test_deleting_ignores_all_but_files(tmp_path: Path) -> None:
    repo = FileRepository(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "tofolder").symlink_to("folder")
    os.mkfifo(tmp_path / "pipe")
    for job in ("folder", "tofolder", "pipe"):
        await repo.delete(job)
    assert sorted(os.listdir(tmp_path)) == ["folder", "pipe", "tofolder"]


async def test_deleting_a_link_keeps_its_target(tmp_path: Path) -> None:
    repo = FileRepository(tmp_path)
    touch(tmp_path / "target.txt")
    (tmp_path / "job").symlink_to("target.txt")
    await repo.delete("job")
    assert os.listdir(tmp_path) == ["target.txt"]


async def test_a_file_in_place_of_the_folder_does_not_count_as_empty(tmp_path: Path) -> None:
    touch(tmp_path / "file")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        repo = FileRepository(place)
        for asking in (repo.keys, lambda repo=repo: repo.contains("job")):
            with pytest.raises(StoreError, match="Not a directory"):
                await asking()


async def test_a_name_too_long_for_the_file_system_is_not_a_job_id(tmp_path: Path) -> None:
    repo = FileRepository(tmp_path, "." + "e" * 200)
    fits, too_long = "j" * 54, "j" * 55

    assert not await repo.contains(too_long)
    for entry in (repo.info, repo.delete, lambda job: repo.open(job, "w")):
        with pytest.raises(InvalidJobIdError, match="its file name or path is too long"):
            await entry(too_long)

    async with await repo.open(fits, "w") as stream:
        await stream.write("x" * 1_000_000)
    assert await repo.keys() == {fits}


async def test_unfinished_values_are_not_listed_even_if_job_ids_may_begin_with_a_dot(
    tmp_path: Path,
) -> None:
    class Dotted(FileRepository):
        CHARSET = FileRepository.CHARSET + "."
        CHARSET_START_END = CHARSET

    repo = Dotted(tmp_path)
    touch(tmp_path / ".hidden")
    async with await repo.open("a.b", "wb") as stream:
        await stream.write(b"x" * 1_000_000)
        (unfinished,) = set(os.listdir(tmp_path)) - {".hidden"}
        assert await repo.keys() == {".hidden"}
        assert not await repo.contains(unfinished)
    assert await repo.keys() == {".hidden", "a.b"}


@pytest.mark.parametrize("name", ["../x", "a/b", "/etc/passwd", "a\0b", ""])
async def test_no_subclass_has_job_ids_outside_the_folder(tmp_path: Path, name: str) -> None:
    class Anything(FileRepository):
        @classmethod
        def is_valid_job_id(cls, job: str) -> bool:
            return True

    repo = Anything(tmp_path / "files")
    assert not await repo.contains(name)
    with pytest.raises(InvalidJobIdError, match="a file name must not be empty"):
        await repo.delete(name)


async def test_a_folder_that_cannot_be_checked_is_not_reported_as_missing(tmp_path: Path) -> None:
    touch(tmp_path / "file")
    assert await FileRepository(tmp_path / "none").is_missing()
    assert not await FileRepository(tmp_path).is_missing()
    with pytest.raises(StoreError, match="look for the folder"):
        await FileRepository(tmp_path / "file" / "below").is_missing()


async def test_a_subclass_is_listed_by_its_own_unfiltered_iter(tmp_path: Path) -> None:
    """The subclass overrides documented methods only."""

    class Sharded(FileRepository):
        def fullpath(self, job: str) -> Path:
            return self.basedir / job[:1] / job

        async def unfiltered_iter(self) -> Any:
            for path in await asyncio.to_thread(lambda: list(self.basedir.glob("*/*"))):
                yield path.name

        async def info(self, job: str) -> Any:
            return f"info of {job}"

    repo = Sharded(tmp_path / "shards")
    async with await repo.open("abc", "w") as stream:
        await stream.write("value")

    assert (tmp_path / "shards" / "a" / "abc").read_text() == "value"
    assert await found_in(repo, "abc") == [True] * 4
    assert await repo.info_all() == {"abc": "info of abc"}
    await repo.delete("abc")
    assert await found_in(repo, "abc") == [False] * 4


async def test_the_base_class_treats_any_entry_as_a_job(tmp_path: Path) -> None:
    class Entries(FileRepositoryBase):
        async def delete(self, job: str) -> None:
            raise NotImplementedError

    touch(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to("nowhere")
    repo = Entries(tmp_path)
    assert await repo.keys() == {"file", "folder"}
    assert [await repo.contains(job) for job in ("file", "folder", "dangling")] == [1, 1, 0]


async def test_an_unchanged_folder_returns_the_same_keys_object(tmp_path: Path) -> None:
    repo = FileRepository(tmp_path)
    touch(tmp_path / "a", tmp_path / "b")
    keys = await repo.keys()
    while await repo.keys() is not keys:
        keys = await repo.keys()  # until the clock has advanced beyond the last change
    assert await repo.keys() is keys


@pytest.mark.usefixtures("all_changes_are_old")
@pytest.mark.parametrize("change", ["add", "delete", "put back", "replace", "rename", "move away"])
async def test_any_change_returns_a_new_keys_object(tmp_path: Path, change: str) -> None:
    repo = FileRepository(tmp_path / "files")
    await repo.validate()
    touch(repo.fullpath("a"))
    settle(repo.basedir)
    before = await repo.keys()
    assert await repo.keys() is before

    if change == "add":
        touch(repo.fullpath("b"))
    elif change == "delete":
        await repo.delete("a")
    elif change == "put back":
        await repo.delete("a")
        touch(repo.fullpath("a"))
    elif change == "replace":
        async with await repo.open("a", "w") as stream:
            await stream.write("new")
    elif change == "rename":
        repo.fullpath("a").rename(repo.fullpath("b"))
    else:
        repo.basedir.rename(tmp_path / "elsewhere")

    after = await repo.keys()
    assert after is not before
    assert after == {"add": {"a", "b"}, "put back": {"a"}, "replace": {"a"}, "rename": {"b"}}.get(
        change, set()
    )


@pytest.mark.usefixtures("all_changes_are_old")
async def test_a_folder_with_links_is_always_listed_again(tmp_path: Path) -> None:
    """The target of a link can appear and vanish without changing the folder."""
    repo = FileRepository(tmp_path / "files")
    await repo.validate()
    (repo.basedir / "job").symlink_to(tmp_path / "target")
    settle(repo.basedir)
    assert await repo.keys() == set()
    touch(tmp_path / "target")
    assert await repo.keys() == {"job"}


async def test_a_recent_change_is_not_trusted_for_caching(tmp_path: Path) -> None:
    repo = FileRepository(tmp_path)
    touch(tmp_path / "a")
    soon = time.time() + 1000
    os.utime(tmp_path, (soon, soon))
    assert await repo.keys() is not await repo.keys()


@pytest.mark.usefixtures("all_changes_are_old")
async def test_a_folder_on_a_remote_file_system_is_always_listed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_systems, "_LOCAL_TYPES", frozenset())
    repo = FileRepository(tmp_path)
    touch(tmp_path / "a")
    settle(tmp_path)
    assert await repo.keys() is not await repo.keys()


async def test_info_is_the_absolute_path_even_of_an_absent_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    repo = FileRepository("./reports", ".txt")
    assert str(repo.fullpath("job")) == "reports/job.txt"
    assert await repo.info("job") == str(tmp_path / "reports/job.txt")
    assert repo.fullpath("job") == Path("reports/job.txt")
    assert await repo.info_many(["a", "b"]) == {
        name: str(tmp_path / "reports" / f"{name}.txt") for name in "ab"
    }
    assert repo.identity == f"file:{tmp_path}/reports/*.txt"
    assert FileRepository(tmp_path / "x" / ".." / "reports", ".txt").identity == repo.identity
    assert YamlMetadataFileRepository("reports").identity != repo.identity
