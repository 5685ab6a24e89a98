"""Two drivers of one pipeline on one machine are kept apart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pydatatask_core import InProcessSyncTask, Pipeline, YamlMetadataFileRepository
from pydatatask_core.errors import PipelineLockedError

from .fakes import function_task, jobs, quiet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DRIVER = """
import asyncio, os, sys
from pydatatask_core import InProcessSyncTask, Pipeline, YamlMetadataFileRepository

async def body(job):
    pass

async def main():
    task = InProcessSyncTask("t", YamlMetadataFileRepository(sys.argv[1]), func=body)
    async with Pipeline([task]):
        if "fork" in sys.argv and os.fork() == 0:
            sys.stdin.read()
            os._exit(0)
        print(os.getpid(), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def _private_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locks").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "locks"))
    monkeypatch.setattr("tempfile.tempdir", None)


def pipeline(folder: Path, exclusive: bool = True) -> Pipeline:
    task = InProcessSyncTask("t", YamlMetadataFileRepository(folder), func=quiet)
    task.link("source", jobs("a"), is_input=True)
    return Pipeline([task], exclusive=exclusive)


@pytest.fixture(params=["alone", "fork"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", DRIVER, str(tmp_path / "done"), request.param]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == str(process.pid)
        yield process
        process.kill()


async def test_a_second_driver_is_refused_by_the_name_of_the_first(
    driver: subprocess.Popen[str], tmp_path: Path
) -> None:
    with pytest.raises(PipelineLockedError, match=rf"task t .* process {driver.pid} on "):
        await pipeline(tmp_path / "done").open()


async def test_a_driver_that_was_killed_leaves_no_lock_even_if_its_children_live(
    driver: subprocess.Popen[str], tmp_path: Path
) -> None:
    driver.send_signal(signal.SIGKILL)
    driver.wait()

    async with pipeline(tmp_path / "done") as opened:
        assert (await opened.run()).launched == {"t": 1}


async def test_looking_is_allowed_while_another_drives(
    driver: subprocess.Popen[str], tmp_path: Path
) -> None:
    opened = pipeline(tmp_path / "done")
    await opened.open("inspect")
    assert await opened.gather_ready_jobs(opened.tasks["t"]) == {"a"}
    await opened.close()


async def test_whoever_asks_for_it_may_drive_as_well(
    driver: subprocess.Popen[str], tmp_path: Path
) -> None:
    async with pipeline(tmp_path / "done", exclusive=False) as opened:
        assert await opened.gather_ready_jobs(opened.tasks["t"]) == {"a"}


async def test_two_pipelines_of_one_process_are_kept_apart_as_well(tmp_path: Path) -> None:
    async with pipeline(tmp_path / "done"):
        with pytest.raises(PipelineLockedError, match="another pipeline of this process"):
            await pipeline(tmp_path / "done").open()
        async with pipeline(tmp_path / "other"):
            pass
    async with pipeline(tmp_path / "done"):
        pass


async def test_a_pipeline_in_memory_needs_no_lock(tmp_path: Path) -> None:
    one, other = (Pipeline([function_task("t", quiet, jobs())]) for _ in range(2))
    async with one, other:
        pass

    assert list((tmp_path / "locks").iterdir()) == []


async def test_a_folder_for_locks_that_is_a_link_is_not_trusted(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "locks" / f"pydatatask-locks-{os.getuid()}").symlink_to(elsewhere)

    with pytest.raises(PipelineLockedError, match="is not a directory of this user"):
        await pipeline(tmp_path / "done").open()
