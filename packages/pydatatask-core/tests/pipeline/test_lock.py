"""Two drivers of one pipeline on one machine exclude each other."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pydatatask_core import (
    FileRepository,
    InProcessMetadataRepository,
    InProcessSyncTask,
    Pipeline,
    YamlMetadataFileRepository,
)
from pydatatask_core.errors import PipelineLockedError
from pydatatask_core.pipeline.lock import DriverLock

from .fakes import function_task, jobs, quiet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

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


async def test_a_second_driver_is_refused_with_the_identity_of_the_first(
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


async def test_inspection_is_allowed_while_another_process_drives(
    driver: subprocess.Popen[str], tmp_path: Path
) -> None:
    opened = pipeline(tmp_path / "done")
    await opened.open("inspect")
    assert await opened.gather_ready_jobs(opened.tasks["t"]) == {"a"}
    await opened.close()


async def test_with_exclusive_false_a_second_driver_is_allowed(
    driver: subprocess.Popen[str], tmp_path: Path
) -> None:
    async with pipeline(tmp_path / "done", exclusive=False) as opened:
        assert await opened.gather_ready_jobs(opened.tasks["t"]) == {"a"}


async def test_two_pipelines_of_one_process_exclude_each_other_as_well(tmp_path: Path) -> None:
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


# -- where the lock is -----------------------------------------------------------------------------


async def test_another_path_to_the_same_state_is_the_same_lock(
    driver: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "done")
    monkeypatch.chdir(tmp_path)

    for path in (tmp_path / "link", Path("done"), tmp_path / "done" / ".." / "link"):
        with pytest.raises(PipelineLockedError, match=f"process {driver.pid} "):
            await pipeline(path).open()


async def test_another_folder_for_temporary_files_does_not_bypass_the_lock(
    driver: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "other"))
    monkeypatch.setattr("tempfile.tempdir", None)

    with pytest.raises(PipelineLockedError, match=f"process {driver.pid} "):
        await pipeline(tmp_path / "done").open()


async def test_a_lock_file_is_not_listed_as_a_job_and_is_removed_on_release(tmp_path: Path) -> None:
    done = YamlMetadataFileRepository(tmp_path / "done")
    everything = FileRepository(tmp_path / "done")

    opened = pipeline(tmp_path / "done")
    async with opened:
        assert len(os.listdir(tmp_path / "done")) == 1
        assert await done.keys() == await everything.keys() == frozenset()

    assert os.listdir(tmp_path / "done") == []


async def test_inspection_creates_nothing(tmp_path: Path) -> None:
    (tmp_path / "done").mkdir()
    opened = pipeline(tmp_path / "done")
    await opened.open("inspect")
    await opened.close()

    assert os.listdir(tmp_path / "done") == []


async def test_different_tasks_of_one_folder_can_be_driven_at_the_same_time(tmp_path: Path) -> None:
    async def body(job: str) -> None: ...

    other = InProcessSyncTask("other", YamlMetadataFileRepository(tmp_path / "done"), func=body)
    async with pipeline(tmp_path / "done"), Pipeline([other]):
        pass


async def test_a_lock_whose_file_was_replaced_is_not_released_for_the_new_holder(
    tmp_path: Path,
) -> None:
    first = pipeline(tmp_path / "done")
    await first.open()
    [name] = os.listdir(tmp_path / "done")
    (tmp_path / "done" / name).unlink()
    second = pipeline(tmp_path / "done")
    await second.open()
    await first.close()

    with pytest.raises(PipelineLockedError):
        await pipeline(tmp_path / "done").open()
    await second.close()


def lock_as(user: int, umask: int, folder: Path, pipe: Connection) -> None:
    """Lock the task as another user of the group, and hold the lock until the pipe is closed."""
    os.umask(umask)
    os.setgroups([GROUP])
    os.setgid(user)
    os.setuid(user)
    task = InProcessSyncTask("t", YamlMetadataFileRepository(folder), func=quiet)
    try:
        DriverLock([task]).acquire()
        pipe.send("locked")
    except PipelineLockedError as e:
        pipe.send(str(e))
    pipe.recv()


GROUP = 12345


@contextmanager
def locked_as(user: int, umask: int, folder: Path) -> Iterator[str]:
    """Return the result of locking in a process of the user."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=lock_as, args=(user, umask, folder, theirs)
    )
    process.start()
    try:
        yield f"{process.pid}: {ours.recv() if ours.poll(30) else 'nothing came'}"
    finally:
        process.kill()
        process.join()


@pytest.mark.parametrize("umask", [0o022, 0o077])
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_users_of_one_group_exclude_each_other_with_any_umask(tmp_path: Path, umask: int) -> None:
    shared = tmp_path / "done"
    shared.mkdir()
    os.chown(shared, 0, GROUP)
    shared.chmod(0o770)
    for folder in [tmp_path, *list(tmp_path.parents)[:-2]]:
        folder.chmod(folder.stat().st_mode | 0o055)

    with locked_as(20001, umask, shared) as first:
        assert first.endswith(": locked")
        with locked_as(20002, umask, shared) as second:
            assert f"driven already, by process {first.partition(':')[0]} " in second
    with locked_as(20002, umask, shared) as second:
        assert second.endswith(": locked")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
async def test_a_file_system_without_locks_causes_a_warning_and_a_lock_in_the_users_own_folder(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
) -> None:
    real = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        if str(tmp_path / "done") in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(number, os.strerror(number))
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)

    async with pipeline(tmp_path / "done"):
        assert f"{tmp_path / 'done'} cannot be locked ({os.strerror(number)})" in caplog.text
        with pytest.raises(PipelineLockedError, match="another pipeline of this process"):
            await pipeline(tmp_path / "done").open()


class Elsewhere(InProcessMetadataRepository):
    """A repository that looks like one on a server to the lock."""

    @property
    def identity(self) -> str:
        return "server/database/collection"


def remote_pipeline() -> Pipeline:
    return Pipeline([InProcessSyncTask("t", Elsewhere(), func=quiet)])


async def test_state_on_a_server_is_locked_in_the_users_own_folder(tmp_path: Path) -> None:
    async with remote_pipeline():
        assert list((tmp_path / "locks").iterdir())
        with pytest.raises(PipelineLockedError, match="another pipeline of this process"):
            await remote_pipeline().open()
    async with remote_pipeline():
        pass


async def test_a_folder_for_locks_that_is_a_link_is_not_trusted(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "locks" / f"pydatatask-locks-{os.getuid()}").symlink_to(elsewhere)

    with pytest.raises(PipelineLockedError, match="is not a directory of this user"):
        await remote_pipeline().open()
