"""FileRepositoryBase.validate: checks of the folder, and removal of stale temporary files."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from pydatatask_core.errors import RepositoryConfigurationError
from pydatatask_core.repository import DirectoryRepository, FileRepository

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LARGE = b"x" * 1_000_000
TEMPORARY = ".job.txt.0123456789abcdef.tmp"

DYING_WRITER = """
import asyncio, os, signal, sys
from pydatatask_core.repository import DirectoryRepository, FileRepository

async def main(folder):
    stream = await FileRepository(folder, ".txt").open("job", "wb")
    await stream.write(b"x" * 1_000_000)
    async with DirectoryRepository(folder, ".dir").build("job") as path:
        (path / "file").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(sys.argv[1]))
"""


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then), follow_symlinks=False)


def make_read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


def let_a_writer_die(folder: Path) -> None:
    died = subprocess.run([sys.executable, "-c", DYING_WRITER, str(folder)], check=False)
    assert died.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("prepare", "below", "problem"),
    [
        (lambda place: place.write_text(""), "", "'{}' is a file; a folder is needed there"),
        (lambda place: place.write_text(""), "a/b", "'{}' is a file; a folder is needed there"),
        (lambda place: place.symlink_to("gone"), "", "'{}' is a symbolic link to 'gone', which"),
        (lambda place: place.symlink_to("gone"), "a", "'{}' is a symbolic link to 'gone', which"),
    ],
    ids=["file", "below-file", "dangling", "below-dangling"],
)
async def test_a_path_that_cannot_be_a_folder_is_named(
    tmp_path: Path, prepare: Callable[[Path], None], below: str, problem: str
) -> None:
    place = tmp_path / "place"
    prepare(place)
    repo = FileRepository(place / below)
    with pytest.raises(RepositoryConfigurationError) as raised:
        await repo.validate()
    assert problem.format(place) in str(raised.value)
    assert repr(repo) in str(raised.value)


async def test_an_unwritable_parent_folder_is_named(
    powerless: Path,
) -> None:
    os.chmod(powerless, 0o500)
    repo = FileRepository(powerless / "a" / "b")
    with pytest.raises(RepositoryConfigurationError) as raised:
        await repo.validate()
    assert f"/a/b' cannot be created in '{powerless}': user " in str(raised.value)
    os.chmod(powerless, 0o700)


@pytest.mark.parametrize(
    ("mode", "problem"),
    [(0o300, "cannot be listed"), (0o500, "cannot be written to"), (0o600, "cannot be written to")],
)
async def test_a_missing_permission_is_named(powerless: Path, mode: int, problem: str) -> None:
    repo = FileRepository(powerless / "folder")
    await repo.validate()
    repo.basedir.chmod(mode)
    with pytest.raises(
        RepositoryConfigurationError, match=f"{problem}: user .* not have the permission"
    ):
        await repo.validate()


async def test_a_read_only_file_system_is_named(tiny_disk: Path) -> None:
    (tiny_disk / "there").mkdir()
    make_read_only(tiny_disk)
    with pytest.raises(RepositoryConfigurationError, match=r"written to: its file system is read"):
        await FileRepository(tiny_disk / "there").validate()
    with pytest.raises(
        RepositoryConfigurationError, match=r"created in .*: its file system is read"
    ):
        await FileRepository(tiny_disk / "new").validate()


async def test_validating_creates_the_folder_and_its_parents_and_nothing_else(
    tmp_path: Path,
) -> None:
    repo = FileRepository(tmp_path / "a" / "b")
    await repo.validate()
    assert repo.basedir.is_dir()
    assert os.listdir(repo.basedir) == []


async def test_temporary_files_of_a_killed_writer_are_removed_once_they_are_old(
    tmp_path: Path,
) -> None:
    let_a_writer_die(tmp_path)
    files, folders = FileRepository(tmp_path, ".txt"), DirectoryRepository(tmp_path, ".dir")
    assert len(os.listdir(tmp_path)) == 2
    assert await files.keys() == await folders.keys() == set()

    await files.validate()
    assert len(os.listdir(tmp_path)) == 2

    for name in os.listdir(tmp_path):
        age(tmp_path / name, 25 * 3600)
    await files.validate()
    assert len(os.listdir(tmp_path)) == 1
    await folders.validate()
    assert os.listdir(tmp_path) == []


async def test_temporary_files_of_a_live_writer_are_never_removed(tmp_path: Path) -> None:
    files, folders = FileRepository(tmp_path, ".txt"), DirectoryRepository(tmp_path, ".dir")
    async with await files.open("job", "wb") as stream, folders.build("job") as path:
        await stream.write(LARGE)
        (path / "file").write_text("whole")
        for name in os.listdir(tmp_path):
            age(tmp_path / name, 10**6)
        await files.validate()
        await folders.validate()
        await stream.write(LARGE)
    assert (tmp_path / "job.dir" / "file").read_text() == "whole"
    assert (tmp_path / "job.txt").stat().st_size == 2 * len(LARGE)


@pytest.mark.parametrize(
    "name",
    [
        "job.txt",
        ".job.txt",
        ".job.txt.tmp",
        "job.txt.0123456789abcdef.tmp",
        ".job.txt.0123456789ABCDEF.tmp",
        ".job.txt.0123456789abcde.tmp",
        ".job.txt.0123456789abcdef.tmp~",
        ".job.md.0123456789abcdef.tmp",
        ".no-job.txt.0123456789abcdef.tmp",
        ".txt.0123456789abcdef.tmp",
    ],
)
async def test_names_that_only_resemble_temporary_files_are_never_removed(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text("somebody's")
    age(tmp_path / name, 10**6)
    await FileRepository(tmp_path, ".txt").validate()
    assert os.listdir(tmp_path) == [name]


async def test_an_old_link_is_removed_without_its_target(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "precious").write_text("")
    (tmp_path / TEMPORARY).symlink_to(target)
    age(tmp_path / TEMPORARY, 10**6)
    await FileRepository(tmp_path, ".txt").validate()
    assert os.listdir(tmp_path) == ["target"]
    assert os.listdir(target) == ["precious"]


async def test_a_temporary_file_with_a_truncated_name_is_removed(tmp_path: Path) -> None:
    repo = FileRepository(tmp_path, "." + "e" * 120)
    stream = await repo.open("j" * 128, "wb")
    await stream.write(LARGE)
    (name,) = os.listdir(tmp_path)
    assert len(name) == 255
    await stream.abort()
    (tmp_path / name).write_text("left")
    age(tmp_path / name, 10**6)
    await repo.validate()
    assert os.listdir(tmp_path) == []


async def test_a_temporary_file_that_cannot_be_removed_causes_only_a_warning(
    powerless: Path, caplog: pytest.LogCaptureFixture
) -> None:
    litter = powerless / TEMPORARY
    litter.write_text("")
    litter.chmod(0)
    age(litter, 10**6)
    with caplog.at_level(logging.WARNING, "pydatatask.repository"):
        await FileRepository(powerless, ".txt").validate()
    (warning,) = caplog.messages
    assert TEMPORARY in warning
    assert "Permission denied" in warning
