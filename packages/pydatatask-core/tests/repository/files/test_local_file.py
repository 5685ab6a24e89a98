"""Local files of repositories that store their values as local files."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core import FileRepository, InProcessBlobRepository, YamlMetadataFileRepository
from pydatatask_core.errors import NotAwaitedError, StreamClosedError
from pydatatask_core.repository.job_scope import JobScope

if TYPE_CHECKING:
    from pathlib import Path


async def write(repo: Any, job: str, text: str) -> None:
    async with repo.local_file(job, "w") as path:
        await asyncio.to_thread(path.write_text, text)


async def test_the_file_has_its_final_name_and_is_in_the_folder_of_its_target(
    tmp_path: Path,
) -> None:
    repo = FileRepository(tmp_path / "data", ".csv")
    async with repo.local_file("job", "w") as path:
        assert path.name == "job.csv"
        assert path.is_absolute()
        assert path.parent.parent == tmp_path / "data"
        await asyncio.to_thread(path.write_text, "value")
    assert os.listdir(tmp_path / "data") == ["job.csv"]
    async with repo.local_file("job") as path:
        assert path == tmp_path / "data" / "job.csv"


async def test_durable_and_case_insensitive_repositories_replace_the_old_file(
    tmp_path: Path,
) -> None:
    await write(FileRepository(tmp_path), "Job", "old")
    repo = FileRepository(tmp_path, case_insensitive=True, durable=True)
    await write(repo, "job", "new")
    assert os.listdir(tmp_path) == ["Job"]
    assert await asyncio.to_thread((tmp_path / "Job").read_text) == "new"


async def test_a_subclass_that_overrides_open_receives_its_values_through_open(
    tmp_path: Path,
) -> None:
    class Shouting(FileRepository):
        async def open(self, job: str, mode: Any = "r") -> Any:
            stream = await super().open(job, mode)
            if mode == "wb":
                await stream.write(b"HEADER ")
            return stream

    repo = Shouting(tmp_path)
    await write(repo, "job", "value")
    assert await asyncio.to_thread((tmp_path / "job").read_text) == "HEADER value"


async def test_open_sync_writes_metadata_as_text(tmp_path: Path) -> None:
    repo = YamlMetadataFileRepository(tmp_path, ".yaml")
    async with repo.open_sync("job", "w") as file:
        file.write("a: 1\n")
    assert await repo.info("job") == {"a": 1}


async def test_files_of_a_dead_writer_are_removed_once_they_are_old(tmp_path: Path) -> None:
    script = (
        "import asyncio, os, sys, pydatatask_core\n"
        "async def main():\n"
        "    repo = pydatatask_core.FileRepository(sys.argv[1])\n"
        "    async with repo.local_file('job', 'w') as path:\n"
        "        path.write_text('half')\n"
        "        os._exit(0)\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    await asyncio.to_thread(subprocess.run, command, check=True)
    (left,) = os.listdir(tmp_path)
    repo = FileRepository(tmp_path)
    assert await repo.keys() == frozenset()
    await repo.validate()
    assert os.listdir(tmp_path) == [left]  # a live writer might still use it
    old = time.time() - 2 * 24 * 60 * 60
    os.utime(tmp_path / left, (old, old))
    async with repo.local_file("other", "w") as path:
        os.utime(path.parent, (old, old))
        await repo.validate()
        await asyncio.to_thread(path.write_text, "in use")
    assert os.listdir(tmp_path) == ["other"]


@pytest.mark.parametrize("kind", [FileRepository, InProcessBlobRepository])
async def test_a_scope_records_publications_and_refuses_late_ones(
    kind: Any, tmp_path: Path
) -> None:
    repo = kind(tmp_path) if kind is FileRepository else kind()
    seen: list[str] = []
    scope = JobScope("task", "a", lambda repository, job: seen.append(job))
    token = scope.enter()
    await write(repo, "job", "value")
    assert scope.wrote_to(repo)
    assert "job" in seen
    late = repo.local_file("late", "w")
    path = await late.__aenter__()
    scope.leave(token)
    await asyncio.to_thread(path.write_text, "late")
    with pytest.raises(NotAwaitedError):
        await late.__aexit__(None, None, None)
    assert await repo.keys() == {"job"}


@pytest.mark.parametrize("mode", ["r", "w"])
async def test_a_local_file_that_is_cancelled_before_its_block_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: Any
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    repo = InProcessBlobRepository({"a": b"value"})

    async def use() -> None:
        async with repo.local_file("a", mode):
            await asyncio.Event().wait()

    for turns in range(20):
        task = asyncio.create_task(use())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        assert os.listdir(tmp_path) == []
        assert await repo.keys() == {"a"}


async def test_the_value_is_closed_while_its_copy_is_read(tmp_path: Path) -> None:
    opened: list[Any] = []

    class Watched(InProcessBlobRepository):
        async def open(self, job: str, mode: Any = "r") -> Any:
            opened.append(await super().open(job, mode))
            return opened[-1]

    async with Watched({"a": b"value"}).local_file("a") as path:
        assert await asyncio.to_thread(path.read_bytes) == b"value"
        with pytest.raises(StreamClosedError):
            await opened[0].read()


async def test_removing_a_private_copy_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    async with InProcessBlobRepository({"a": b"value"}).local_file("a") as path:
        (path.parent / "link").symlink_to(tmp_path / "kept")
        path.parent.chmod(0o500)
    assert not await asyncio.to_thread(path.parent.exists)
    assert os.listdir(tmp_path / "kept") == ["file"]
