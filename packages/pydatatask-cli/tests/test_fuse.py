"""A mounted pipeline, used through the kernel."""

from __future__ import annotations

import asyncio
import errno
import importlib
import os
import signal
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pydatatask_core import (
    InProcessBlobRepository,
    InProcessMetadataRepository,
    InProcessSyncTask,
    Pipeline,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Program


def _usable() -> str:
    if not Path("/dev/fuse").exists():
        return "there is no /dev/fuse"
    try:
        importlib.import_module("mfusepy")
    except (ImportError, OSError) as e:
        return str(e)
    return ""


mounted = pytest.mark.skipif(bool(_usable()), reason=_usable() or "usable")


@pytest.fixture
def mountpoint(program: Program) -> Iterator[Path]:
    folder = program.folder / "mnt"
    folder.mkdir()
    serving = program.start("fuse", "mnt", stderr=subprocess.PIPE)
    assert serving.stderr is not None
    try:
        deadline = time.monotonic() + 30
        while not folder.is_mount():
            assert serving.poll() is None, serving.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield folder
    finally:
        serving.send_signal(signal.SIGINT)
        try:
            told = serving.communicate(timeout=20)[1]
        except subprocess.TimeoutExpired:
            serving.kill()
            serving.communicate()
            subprocess.run(["umount", "-l", str(folder)], check=False)
            raise
    assert serving.returncode == 130
    assert b"Traceback" not in told
    assert not folder.is_mount()


@mounted
def test_tasks_links_and_jobs_are_listed(program: Program, mountpoint: Path) -> None:
    program.put("texts/a.txt", "one two")
    program.put("texts/b.txt", "one")

    assert sorted(os.listdir(mountpoint)) == ["count", "re-port"]
    assert "re-ports" in os.listdir(mountpoint / "re-port")
    assert sorted(os.listdir(mountpoint / "count" / "texts")) == ["a", "b"]
    for absent in ("nope", "count/nope", "count/texts/zz", "count/texts/.hidden"):
        assert not (mountpoint / absent).exists()


@mounted
def test_values_are_read_written_and_deleted(program: Program, mountpoint: Path) -> None:
    data = os.urandom(3 << 20)
    texts = mountpoint / "count" / "texts"

    (texts / "a").write_bytes(data)

    assert (program.folder / "data/texts/a.txt").read_bytes() == data
    assert (texts / "a").read_bytes() == data
    with (texts / "a").open("rb") as file:
        file.seek(1 << 20)
        assert file.read(10) == data[1 << 20 :][:10]
    with (texts / "a").open("ab") as file:
        file.write(b"more")
    assert (texts / "a").read_bytes() == data + b"more"
    (texts / "a").unlink()
    assert program.output("ls", "count.texts") == ""
    subprocess.run(["cp", str(program.script), str(texts / "b")], check=True)
    assert (program.folder / "data/texts/b.txt").read_text() == program.script.read_text()


@mounted
def test_metadata_is_yaml_and_invalid_yaml_is_refused(program: Program, mountpoint: Path) -> None:
    counts = mountpoint / "count" / "counts"

    (counts / "a").write_text("{words: 3}")
    assert "words: 3" in program.output("cat", "count.counts", "a")

    with pytest.raises(OSError, match="Invalid argument") as caught:
        (counts / "b").write_text("{words: [3")
    assert caught.value.errno == errno.EINVAL
    assert program.output("ls", "count.counts") == "a\n"
    with pytest.raises(OSError, match="Invalid argument"):
        (counts / "no-job").write_text("1")


@mounted
def test_the_mount_ends_when_the_program_is_terminated(program: Program) -> None:
    folder = program.folder / "mnt"
    folder.mkdir()
    serving = program.start("fuse", "mnt")
    while not folder.is_mount():
        assert serving.poll() is None

    serving.terminate()

    assert serving.wait(20) == 143
    assert not folder.is_mount()


@mounted
def test_a_view_without_allow_deletes_is_read_only() -> None:
    from pydatatask_cli.fuse_operations import RepositoryFiles

    task = InProcessSyncTask("t", InProcessMetadataRepository())
    task.link("view", InProcessBlobRepository({"a": b"text"}).map(len))
    with closing(asyncio.new_event_loop()) as loop:
        files = RepositoryFiles(Pipeline([task]), loop)

        with pytest.raises(OSError, match="Read-only") as caught:
            files.unlink("/t/view/a")

    assert caught.value.errno == errno.EROFS


def test_without_the_library_the_error_has_the_command_to_install_it(program: Program) -> None:
    source = program.script.read_text()
    program.script.write_text("import sys\nsys.modules['mfusepy'] = None\n" + source)

    assert "pip install pydatatask[fuse]" in program.refusal("fuse", "mnt")


@mounted
def test_a_mountpoint_that_is_not_a_folder_is_refused(program: Program) -> None:
    assert "is not a folder" in program.refusal("fuse", "nope")
