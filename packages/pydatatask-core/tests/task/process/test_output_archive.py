"""The output of a failed job is not published: it is archived on the machine of the job."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from processes.lab import make_entry
from processes.plain import PlainManager

from pydatatask_core import STDOUT, YamlMetadataFileRepository
from pydatatask_core.errors import ProcessManagerError, TaskConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from processes.lab import Lab

    from pydatatask_core import ProcessTask

LONG = 200_000


async def streams(task: ProcessTask, job: str = "a") -> dict[str, bytes]:
    """Read all streams of a job that has ended."""
    found = {}
    async with aclosing(task.open_logs(job)) as opened:
        async for name, stream in opened:
            async with stream:
                found[name] = await stream.read()
    return {name: data for name, data in found.items() if data}


def second_stage(lab: Lab, first: ProcessTask, **options: Any) -> ProcessTask:
    second = lab.task(
        "cat {{ stdout }} >>LOG",
        "second",
        pids=YamlMetadataFileRepository(lab.root / "pids2"),
        done=YamlMetadataFileRepository(lab.root / "done2"),
    )
    second.plug(first, **options)
    return second


def make_old(lab: Lab, job: str, age: float) -> None:
    (place,) = (lab.root / "processes").glob(f"*/*/*/failed/{job}")
    time = place.stat().st_mtime - age
    os.utime(place, (time, time))


def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def link(source: Any, target: Any, **options: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source)

    monkeypatch.setattr(os, "link", link)


def no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    def copyfile(source: Any, target: str, **options: Any) -> None:
        with open(target, "w") as file:
            file.write("half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), target)

    no_links(monkeypatch)
    monkeypatch.setattr(shutil, "copyfile", copyfile)


async def test_the_output_of_a_failed_job_is_archived(lab: Lab) -> None:
    await lab.add("good", "bad")
    template = "echo first; echo why >&2; [ {{ job }} = good ] || exit 4; echo second"
    await lab.run(lab.task(template, stdout=lab.out))
    assert await lab.out.keys() == {"good"}
    assert lab.held() == {"bad": {".stdout": "first\n"}}
    record = await lab.done.info("bad")
    assert (record["stdout_tail"], record["stderr_tail"]) == ("first\n", "why\n")
    assert await streams(lab.again().task(template, stdout=lab.out), "bad") == {
        "stdout": b"first\n"
    }
    assert await streams(lab.again().task(template, stdout=lab.out), "good") == {
        "stdout": b"first\nsecond\n"
    }
    assert lab.empty()


async def test_archived_output_is_private(lab: Lab) -> None:
    await lab.add("a")
    await lab.run(lab.task("echo x; false", stdout=lab.out))
    (place,) = (lab.root / "processes").glob("*/*/*/failed/a")
    assert [path.stat().st_mode & 0o777 for path in (place.parent, place)] == [0o700] * 2


async def test_the_record_contains_the_last_64_kib_of_the_archived_output(lab: Lab) -> None:
    await lab.add("a")
    task = lab.task(f"head -c {LONG} /dev/zero | tr '\\0' x; echo end; false", stdout=lab.out)
    await lab.run(task)
    tail = (await lab.done.info("a"))["stdout_tail"]
    assert (len(tail), tail[-5:]) == (65536, "xend\n")
    assert (await streams(task))["stdout"] == b"x" * LONG + b"end\n"


async def test_long_stderr_is_archived_with_the_output(lab: Lab) -> None:
    await lab.add("a")
    task = lab.task("seq 5000 >&2; echo out; false", stdout=lab.out)
    await lab.run(task)
    found = await streams(task)
    assert found["stderr"].splitlines()[0] == b"1"
    assert len((await lab.done.info("a"))["stderr_tail"]) == 4096


async def test_interleaved_streams_are_archived_together(lab: Lab) -> None:
    await lab.add("a")
    await lab.run(lab.task("echo 1; echo 2 >&2; false", stdout=lab.out, stderr=STDOUT))
    assert lab.held() == {"a": {".stdout": "1\n2\n"}}
    assert await lab.out.keys() == set()


async def test_stderr_with_a_repository_is_published(lab: Lab) -> None:
    await lab.add("a")
    task = lab.task("echo 1; echo 2 >&2; false", stdout=lab.out, stderr=lab.err)
    await lab.run(task)
    assert lab.held() == {"a": {".stdout": "1\n"}}
    assert await lab.text(lab.err) == "2\n"
    assert await streams(task) == {"stdout": b"1\n", "stderr": b"2\n"}


async def test_the_next_success_of_the_job_removes_its_archived_output(lab: Lab) -> None:
    await lab.add("a")
    template = "echo ran >>LOG; echo x; [ $(wc -l <LOG) = 2 ]"
    await lab.run(lab.task(template, stdout=lab.out))
    assert lab.held().keys() == {"a"}
    await lab.done.delete("a")
    other = lab.again()
    await other.run(other.task(template, stdout=other.out))
    assert (await lab.done.info("a"))["success"] is True
    assert lab.held() == {}


async def test_the_next_failure_of_the_job_replaces_its_archived_output(lab: Lab) -> None:
    await lab.add("a")
    template = "echo ran >>LOG; echo x$(wc -l <LOG); [ -s ../nothing ] || seq 5000 >&2; false"
    await lab.run(lab.task(template, stdout=lab.out))
    assert lab.held()["a"].keys() == {".stdout", ".stderr"}
    await lab.done.delete("a")
    await lab.run(lab.again().task("echo second; false", stdout=lab.out))
    assert lab.held() == {"a": {".stdout": "second\n"}}
    await lab.done.delete("a")
    await lab.run(lab.again().task("false", stdout=lab.out))
    assert lab.held() == {}


async def test_clean_up_removes_the_archived_output_of_the_given_jobs(lab: Lab) -> None:
    await lab.add("a", "b")
    await lab.run(lab.task("echo x; false", stdout=lab.out))
    other = lab.again().task("true", stdout=lab.out)
    await other.clean_up({"a", "c"})
    assert lab.held().keys() == {"b"}


@pytest.mark.parametrize("keep", [timedelta(hours=1), 3600])
async def test_archived_output_is_removed_when_it_expires(lab: Lab, keep: Any) -> None:
    await lab.add("a", "b")
    await lab.run(lab.task("echo x; false", stdout=lab.out))
    make_old(lab, "a", 3700)
    make_old(lab, "b", 3500)
    await lab.run(lab.again().task("echo x; false", stdout=lab.out, keep_failed=keep))
    assert lab.held().keys() == {"b"}


async def test_archived_output_is_kept_for_thirty_days(lab: Lab) -> None:
    await lab.add("a")
    await lab.run(lab.task("echo x; false", stdout=lab.out))
    for days, kept in ((29, True), (2, False)):
        make_old(lab, "a", days * 86400)
        await lab.run(lab.again().task("true", stdout=lab.out))
        assert ("a" in lab.held()) is kept


async def test_a_value_published_by_an_earlier_success_is_kept(lab: Lab) -> None:
    await lab.add("a")
    template = "echo ran >>LOG; wc -l <LOG; [ $(wc -l <LOG) = 1 ]"
    first = lab.task(template, "first", stdout=lab.out)
    await lab.run(first)
    await lab.done.delete("a")
    first = lab.again().task(template, "first", stdout=lab.out)
    await lab.run(first, second_stage(lab, first))
    assert await lab.text(lab.out) == "1\n"
    assert await streams(first) == {"stdout": b"2\n"}
    assert lab.lines() == ["ran", "ran"]  # the old value started no job


# -- publishing the output of failed jobs --------------------------------------------------------


async def test_the_output_of_failed_jobs_can_be_published(lab: Lab) -> None:
    await lab.add("a")
    task = lab.task("echo x; echo why >&2; false", stdout=lab.out, publish_failed=True)
    await lab.run(task)
    assert await lab.text(lab.out) == "x\n"
    assert lab.held() == {}
    record = await lab.done.info("a")
    assert (record["stderr_tail"], "stdout_tail" in record) == ("why\n", False)
    assert await streams(task) == {"stdout": b"x\n"}


async def test_failed_output_is_published_if_a_downstream_task_accepts_failed_jobs(
    lab: Lab,
) -> None:
    await lab.add("a")
    first = lab.task("echo x; false", "first", stdout=lab.out)
    await lab.run(first, second_stage(lab, first, failed_counts=True))
    assert lab.lines() == ["x"]
    assert lab.held() == {}


async def test_a_task_that_accepts_failed_jobs_requires_their_output_to_be_published(
    lab: Lab,
) -> None:
    first = lab.task("echo x; false", "first", stdout=lab.out, publish_failed=False)
    second = second_stage(lab, first, failed_counts=True)
    with pytest.raises(TaskConfigurationError, match=r"first: publish_failed=False.* second"):
        await lab.run(first, second)


@pytest.mark.parametrize("keep", [0, -1, timedelta(0), True])
def test_an_invalid_age_is_rejected(lab: Lab, keep: Any) -> None:
    with pytest.raises(TaskConfigurationError, match="keep_failed"):
        lab.task("true", keep_failed=keep)


# -- failures of archiving -------------------------------------------------------------------------


async def test_output_is_copied_if_hard_links_are_not_supported(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_links(monkeypatch)
    await lab.add("a")
    await lab.run(lab.task("echo x; false", stdout=lab.out))
    assert lab.held() == {"a": {".stdout": "x\n"}}
    assert lab.empty()


@pytest.mark.parametrize("done", [True, False])
async def test_output_that_cannot_be_archived_stays_in_the_run_directory_until_it_can(
    lab: Lab, caplog: pytest.LogCaptureFixture, done: bool
) -> None:
    options: dict[str, Any] = {} if done else {"done": None}
    await lab.add("a")
    with pytest.MonkeyPatch.context() as patch:
        no_room(patch)
        summary = await lab.run(lab.task("echo x; false", stdout=lab.out, **options))
    assert summary.failed == {"task": ["a"]}
    assert "No space left on device" in caplog.text
    assert await lab.out.keys() == await lab.pids.keys() == set()
    assert [path.name for path in lab.directories()] == ["a"]
    assert lab.held() == {"a": {}}
    task = lab.again().task("echo x; false", stdout=lab.out, **options)
    assert await streams(task) == {"stdout": b"x\n"}
    async with lab.pipeline(task):
        assert lab.held() == {"a": {".stdout": "x\n"}}
        assert lab.directories() == []


async def test_archived_output_survives_an_interrupted_removal_of_the_run_directory(
    lab: Lab,
) -> None:
    await lab.add("a")
    await lab.run(lab.task("echo x; false", stdout=lab.out))
    (place,) = (lab.root / "processes").glob("*/*/*/failed/a")
    rest = place.parents[1] / "runs" / "a"
    rest.mkdir()
    (rest / ".script").touch()
    await make_entry(rest)
    (rest / ".stderr").write_text("why\n" * 2000)
    async with lab.pipeline(lab.again().task("true", stdout=lab.out)):
        assert lab.held() == {"a": {".stdout": "x\n", ".stderr": "why\n" * 2000}}
        assert lab.directories() == []


async def test_a_job_can_be_retried_while_its_old_output_stays_in_the_run_directory(
    lab: Lab,
) -> None:
    await lab.add("a")
    with pytest.MonkeyPatch.context() as patch:
        no_room(patch)
        await lab.run(lab.task("echo x; false", stdout=lab.out))
    await lab.done.delete("a")
    await lab.run(lab.again().task("echo y", stdout=lab.out))
    assert await lab.text(lab.out) == "y\n"
    assert lab.empty()


@pytest.mark.parametrize("script", ["echo x", "echo x; false"])
async def test_a_job_finishes_even_if_its_attempt_note_cannot_be_written(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, script: str
) -> None:
    await lab.add("a")
    await lab.run(lab.task("false"))
    await lab.done.delete("a")
    other = lab.again()
    task = other.task(script, stdout=other.out)

    async def refuse(run: Any, memo: Any) -> None:
        raise ProcessManagerError("no space left on device")

    monkeypatch.setattr(task.backend, "save_note", refuse)
    await asyncio.wait_for(other.run(task), 10)
    record = await lab.done.info("a")
    assert (record["success"], record["attempt"]) == ("false" not in script, 2)
    assert caplog.text.count("cannot be saved: no space left on device") == 1
    assert other.empty()


async def test_archived_output_that_cannot_be_removed_does_not_block_anything(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await lab.add("a")
    await lab.run(lab.task("echo x; false", stdout=lab.out))
    await lab.done.delete("a")
    other = lab.again()
    task = other.task("echo y", stdout=other.out)

    async def refuse(run: Any) -> None:
        raise ProcessManagerError("it is not permitted")

    monkeypatch.setattr(task.backend, "remove_archive", refuse)
    await other.run(task)
    assert await lab.text(lab.out) == "y\n"
    assert caplog.text.count("is left behind") == 1
    assert await streams(task) == {"stdout": b"y\n"}


async def test_output_is_also_archived_for_managers_with_only_the_documented_methods(
    lab: Lab,
) -> None:
    lab.manager = manager = PlainManager(lab.root / "processes")
    await lab.add("a")
    template = "echo ran >>LOG; echo x; [ $(wc -l <LOG) = 2 ]"
    await lab.run(lab.task(template, stdout=lab.out))
    assert await lab.out.keys() == set()
    again = lab.again()
    again.manager = manager
    assert await streams(again.task(template, stdout=lab.out)) == {"stdout": b"x\n"}
    await again.task("true", stdout=lab.out).clean_up({"a"})
    assert not _held_by(lab.root / "processes")
    await lab.done.delete("a")
    await again.run(again.task(template, stdout=lab.out))
    assert await lab.text(lab.out) == "x\n"


def _held_by(root: Path) -> list[Path]:
    return list(root.glob("*/*/failed/*"))


async def test_without_done_both_streams_are_archived(lab: Lab, caplog: Any) -> None:
    await lab.add("a")
    task = lab.task("echo 1; echo 2 >&2; false", stdout=lab.out, stderr=lab.err, done=None)
    with caplog.at_level(logging.WARNING):
        await lab.run(task)
    assert await lab.out.keys() == await lab.err.keys() == set()
    assert lab.held() == {"a": {".stdout": "1\n", ".stderr": "2\n"}}
    assert "failed/a" in caplog.text
    assert await streams(task) == {"stdout": b"1\n", "stderr": b"2\n"}


@pytest.mark.parametrize("status", [0, 1])
@pytest.mark.parametrize(
    "replacement", ["mkfifo .stdout", "mkdir .stdout", "ln -s /etc/hostname .stdout"]
)
async def test_a_special_file_in_place_of_stdout_is_not_read(
    lab: Lab, replacement: str, status: int
) -> None:
    await lab.add("a")
    await lab.run(lab.task(f"rm .stdout; {replacement}; exit {status}", stdout=lab.out))
    record = await lab.done.info("a")
    assert not record["success"]
    assert "its run directory has lost its stdout" in record["reason"]
    assert not await lab.out.keys()
    assert not lab.held()
