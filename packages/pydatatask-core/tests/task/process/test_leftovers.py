"""Run directories that cannot be removed: their jobs finish, and other jobs are not affected."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from processes.lab import until
from services.obstacles import NOBODY

from pydatatask_core import Retries
from pydatatask_core.errors import TaskError
from pydatatask_core.proc_manager.local.private_folder import remove_leftovers, remove_run_directory
from pydatatask_core.task.process.recorder import ProcessRecorder

if TYPE_CHECKING:
    from collections.abc import Callable

    from processes.lab import Lab

    Freeze = Callable[[Path], None]
    Bind = Callable[[Path, Path], None]

FROZEN = "echo {{ job }} >>LOG; touch f; chattr +i f"


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def thaw(lab: Lab) -> None:
    subprocess.run(["chattr", "-R", "-f", "-i", str(lab.root)], check=False)


async def test_a_file_system_mounted_in_a_run_directory_is_not_removed(
    lab: Lab, bind: Bind, caplog: pytest.LogCaptureFixture
) -> None:
    precious = lab.root / "precious"
    precious.mkdir()
    (precious / "file").write_text("years of work")
    await lab.add("a")
    await lab.run(lab.task(f"mkdir 'm t'; mount --bind {precious} 'm t'; kill -9 $$"))
    assert (precious / "file").read_text() == "years of work"
    assert (await lab.done.info("a"))["signal"] == "SIGKILL"
    (left,) = lab.directories()
    (warning,) = warnings(caplog)[:1]
    assert f"is left as {left}: a file system is mounted there" in warning
    assert f"'{left / 'm t'}'" in warning
    assert (left / "m t" / "file").exists()


async def test_many_jobs_finish_although_their_directories_cannot_be_removed(
    lab: Lab, freeze: Freeze, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = [f"j{number}" for number in range(70)]
    await lab.add(*jobs)
    summary = await lab.run(lab.task(FROZEN, stdout=lab.out))
    assert summary.launched == {"task": 70}
    assert await lab.done.keys() == set(jobs)
    assert await lab.pids.keys() == set()
    assert len(lab.directories()) == 70
    first, last = warnings(caplog)
    assert "cannot be removed and is left as" in first
    assert "70 run directories of finished jobs are left in" in last
    usage = lab.quota.usage()
    assert usage is None or not usage.cpu


async def test_opening_retries_the_removal_and_reports_the_rest_once(
    lab: Lab, freeze: Freeze, caplog: pytest.LogCaptureFixture
) -> None:
    await lab.add("a", "b", "c")
    await lab.run(lab.task(FROZEN))
    caplog.clear()
    task = lab.again().task(FROZEN)
    async with lab.pipeline(task):
        assert not task.running
    first, last = warnings(caplog)
    assert "3 run directories of finished jobs cannot be removed" in first
    assert "Operation not permitted" in first
    assert "3 run directories" in last
    thaw(lab)
    async with lab.pipeline(lab.again().task(FROZEN)):
        assert lab.directories() == []


async def test_a_job_runs_again_beside_its_old_directory(lab: Lab, freeze: Freeze) -> None:
    await lab.add("a")
    await lab.run(lab.task(FROZEN))
    await lab.done.delete("a")
    await lab.run(lab.again().task(FROZEN))
    assert lab.lines() == ["a", "a"]
    assert (await lab.done.info("a"))["success"] is True
    assert len(lab.directories()) == 2


async def test_a_retry_runs_beside_the_directory_of_the_previous_attempt(
    lab: Lab, freeze: Freeze
) -> None:
    await lab.add("a")
    template = f"{FROZEN}; [ $(wc -l <LOG) = 2 ]"
    await lab.run(lab.task(template, retries=Retries(1, delay=0.01)))
    record = await lab.done.info("a")
    assert (record["success"], record["attempt"]) == (True, 2)
    assert lab.lines() == ["a", "a"]


async def stuck(lab: Lab, freeze: Freeze, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run job "a" to completion with a directory that cannot be renamed; return the directory."""
    await lab.add("a")
    task = lab.task("echo ran >>LOG")
    await task.runs.load_namespace()
    place = Path(task.runs.new("a").directory)

    async def freeze_first(self: ProcessRecorder, live: Any) -> None:
        await asyncio.to_thread(freeze, live.run.directory)
        await leave(self, live)

    leave = ProcessRecorder._remove_recorded
    with monkeypatch.context() as patching:
        patching.setattr(ProcessRecorder, "_remove_recorded", freeze_first)
        await lab.run(task)
    assert lab.directories() == [place]
    return place


async def test_a_directory_that_cannot_be_renamed_does_not_keep_its_job_live(
    lab: Lab, freeze: Freeze, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place = await stuck(lab, freeze, monkeypatch)
    assert (await lab.done.info("a"))["success"] is True
    assert await lab.pids.keys() == set()
    assert f"is left as {place}: Operation not permitted" in caplog.text
    caplog.clear()
    task = lab.again().task("echo ran >>LOG")
    async with lab.pipeline(task) as pipeline:
        assert not task.running
        await pipeline.run(poll=0.05)
    (warning,) = warnings(caplog)
    assert f"1 run directories of finished jobs cannot be removed, for example {place}" in warning
    assert lab.lines() == ["ran"]


async def test_a_job_cannot_be_launched_while_a_directory_of_its_name_cannot_be_removed(
    lab: Lab, freeze: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = await stuck(lab, freeze, monkeypatch)
    await lab.done.delete("a")
    task = lab.again().task("echo ran >>LOG")
    with pytest.raises(TaskError, match=f"cannot be launched, because .*'{place}'.*Remove it"):
        await task.launch("a")
    assert not task.running
    assert await lab.pids.keys() == set()
    thaw(lab)
    await lab.run(lab.again().task("echo ran >>LOG"))
    assert lab.lines() == ["ran", "ran"]
    assert lab.empty()


async def test_a_job_is_not_retried_if_its_directory_cannot_be_removed(
    lab: Lab, freeze: Freeze, caplog: pytest.LogCaptureFixture
) -> None:
    await lab.add("a")
    template = "echo ran >>LOG; touch f; chattr +i .; exit 3"
    await lab.run(lab.task(template, retries=Retries(3, delay=0.01)))
    record = await lab.done.info("a")
    assert (record["success"], record["return_code"], record["attempt"]) == (False, 3, 1)
    assert record["reason"].startswith("exit status 3; it is not retried")
    assert str(lab.directories()[0]) in record["reason"]
    assert await lab.pids.keys() == set()
    assert lab.lines() == ["ran"]


async def test_a_delayed_retry_is_abandoned_by_the_next_driver_if_its_directory_cannot_be_removed(
    lab: Lab, freeze: Freeze
) -> None:
    await lab.add("a")
    task = lab.task("echo ran >>LOG; chattr +i .; exit 3", retries=Retries(3, delay=3600))
    await task.launch("a")
    place = task.runs.new("a").directory
    task.attach(None)
    await until_ended(task)
    record = await lab.pids.info("a")
    await lab.pids.dump("a", {**record, "attempt": 2, "retry_time": record["start_time"]})
    lab.quota = lab.again().quota
    await lab.run(lab.task("echo ran >>LOG", retries=Retries(3, delay=3600)))
    record = await lab.done.info("a")
    assert (record["return_code"], record["attempt"]) == (3, 1)
    assert str(place) in record["reason"]
    assert lab.lines() == ["ran"]


async def until_ended(task: Any) -> None:
    run = task.runs.new("a")

    async def ended() -> bool:
        return (await task.backend.inspect(run, fence=False)).return_code is not None

    await until(ended)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to give a directory to another user")
def test_a_directory_that_a_container_gave_to_another_user_is_moved_aside(powerless: Path) -> None:
    """Only its owner may move it to another directory, so it is renamed in place."""
    place = powerless / "runs" / "a"
    (place / "theirs").mkdir(parents=True)
    (place / "theirs" / "file").write_text("")
    os.seteuid(0)
    for path in (place / "theirs", place):
        os.chown(path, 0, 0)
        os.chmod(path, 0o755)
    os.seteuid(NOBODY)
    left = remove_run_directory(str(place), created=True)
    assert left is not None
    assert left.path.startswith(f"{place},")
    assert left.reason.startswith("Operation not permitted")
    assert os.listdir(powerless / "runs") == [Path(left.path).name]
    assert (Path(left.path) / "theirs" / "file").exists()
    (still,) = remove_leftovers(str(powerless / "runs"))
    assert still.path == left.path
    os.seteuid(0)
    for path in (Path(left.path), Path(left.path) / "theirs"):
        os.chown(path, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    assert remove_leftovers(str(powerless / "runs")) == []
    assert os.listdir(powerless / "runs") == []


async def test_the_output_of_a_failed_job_is_archived_even_if_its_directory_cannot_be_removed(
    lab: Lab, freeze: Freeze
) -> None:
    """Without `done`, only the archived output shows that the job has failed."""
    await lab.add("a")
    for count in (1, 2):
        task = lab.again().task(f"{FROZEN}; echo out; exit 1", done=None, stdout=lab.out)
        async with lab.pipeline(task):
            await task.launch("a")
            await lab.quiet(task)
        assert lab.lines() == ["a"] * count
        assert await lab.pids.keys() == set()
        assert await lab.out.keys() == set()
        assert len(lab.directories()) == count
        assert all(path.name.startswith("a,") for path in lab.directories())
    (held,) = (lab.root / "processes").glob("*/*/*/failed/*/.stdout")
    assert held.read_text() == "out\n"
