"""What a driver makes of what an earlier one has left: records, directories, processes."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from processes.lab import until

from pydatatask_core import LocalLinuxManager, Retries
from pydatatask_core.errors import ProcessManagerError, TaskError
from pydatatask_core.proc_manager.protocol.run_directory import parse_status

if TYPE_CHECKING:
    from pathlib import Path

    from processes.lab import Lab

    from pydatatask_core import ProcessTask

SCRIPT = "echo ran >>LOG; WAIT; echo done"


async def left_running(lab: Lab, template: str = SCRIPT, **options: Any) -> ProcessTask:
    """Launch job "a", leave it running, and give the task of a driver that knows nothing of it."""
    await lab.add("a")
    task = lab.task(template, stdout=lab.out, **options)
    await task.launch("a")
    await lab.logged()
    task.attach(None)
    lab.quota = lab.again().quota
    return lab.task(template, stdout=lab.out, **options)


async def finish(lab: Lab, task: ProcessTask) -> Any:
    lab.go.touch()
    async with lab.pipeline(task) as pipeline:
        await pipeline.run(poll=0.05)
    assert lab.lines() == ["ran"]
    return await lab.done.info("a")


async def status_written(status: Path) -> None:
    async def written() -> bool:
        return parse_status(await asyncio.to_thread(status.read_bytes)) is not None

    await until(written)


async def test_a_record_without_a_directory_is_a_job_that_is_lost(lab: Lab) -> None:
    task = await left_running(lab)
    shutil.rmtree(lab.directories()[0])
    record = await finish(lab, task)
    assert (record["success"], record["lost"]) == (False, True)
    assert "run directory" in record["reason"]
    assert lab.empty()


@pytest.mark.parametrize("found", [{}, {"pid": "123", "start_time": datetime(2020, 1, 1)}, None])
async def test_a_record_that_somebody_else_wrote_is_a_job_that_is_lost(
    lab: Lab, found: Any
) -> None:
    await lab.add("a")
    await lab.pids.validate()
    await lab.pids.dump("a", found)
    await lab.run(lab.task(SCRIPT))
    assert (await lab.done.info("a"))["lost"] is True
    assert lab.lines() == []
    assert lab.empty()


async def test_a_record_that_does_not_parse_is_made_anew(lab: Lab) -> None:
    task = await left_running(lab)
    (lab.root / "pids" / "a.yaml").write_text("{")
    assert (await finish(lab, task))["success"] is True
    assert lab.empty()


async def test_a_job_that_lives_is_adopted(lab: Lab) -> None:
    task = await left_running(lab)
    async with lab.pipeline(task) as pipeline:
        assert task.running == {"a"}
        assert await pipeline.gather_ready_jobs(task) == set()
        usage = task.resource_manager.usage()
        assert usage is None or usage.cpu == 1
        lab.go.touch()
        await pipeline.run(poll=0.05)
    record = await lab.done.info("a")
    assert (record["success"], record["return_code"]) == (True, 0)
    assert await lab.text(lab.out) == "done\n"
    assert lab.lines() == ["ran"]
    assert lab.empty()


async def test_a_job_that_has_ended_meanwhile_is_recorded(lab: Lab) -> None:
    task = await left_running(lab)
    lab.go.touch()
    await status_written(lab.status())
    record = await finish(lab, task)
    assert record["success"] is True
    assert record["end_time"] <= datetime.now(UTC)
    assert lab.empty()


async def test_a_job_that_lives_without_a_record_gets_it_back(lab: Lab, caplog: Any) -> None:
    task = await left_running(lab)
    await lab.pids.delete("a")
    with caplog.at_level(logging.WARNING):
        await task.validate()
    assert await lab.pids.keys() == {"a"}
    assert "runs without a record" in caplog.text
    assert (await finish(lab, task))["success"] is True
    assert lab.empty()


async def test_a_directory_of_a_job_that_is_over_is_discarded(lab: Lab) -> None:
    task = await left_running(lab)
    lab.go.touch()
    await lab.quiet(task)
    (directory := lab.root / "elsewhere").mkdir()
    await lab.add("b")
    place = task.new_run("b").directory
    shutil.copytree(directory, place)
    (place / ".status").write_text("      0\nboot\n1 (sh) R" + " 1" * 30 + "\n")
    other = lab.again().task(SCRIPT, stdout=lab.out)
    await other.validate()
    assert lab.directories() == []
    assert not other.running


def not_begun(lab: Lab, task: ProcessTask, status: bytes | None) -> Path:
    """Make the directory of a process that died, or had no room to go on, before it began."""
    place = task.new_run("a").directory
    place.mkdir(parents=True)
    (place / ".script").write_text(SCRIPT)
    if status is not None:
        (place / ".status").write_bytes(status)
    return place


DEAD = b"       \nboot\n1 (sh) R" + b" 1" * 30 + b"\n"


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("status", [None, b"", b"       \nbo", DEAD])
async def test_what_had_no_room_to_begin_is_begun_again(
    lab: Lab, status: bytes | None, recorded: bool
) -> None:
    await lab.add("a")
    lab.go.touch()
    task = lab.task("echo ran >>LOG", stdout=lab.out)
    await task.load_namespace()
    place = not_begun(lab, task, status)
    if recorded:
        await lab.pids.validate()
        await lab.pids.dump("a", {"handle": str(place), "attempt": 1})
    async with lab.pipeline(task) as pipeline:
        assert task.running == ({"a"} if recorded else set())
        await pipeline.run(poll=0.05)
    record = await lab.done.info("a")
    assert (record["success"], record["attempt"]) == (True, 1)
    assert lab.lines() == ["ran"]
    assert lab.empty()


@pytest.mark.parametrize("gone", [".begun", ".script", ".stderr", ".stdout"])
@pytest.mark.parametrize("order", [1, -1])
async def test_a_directory_that_is_half_removed_is_removed(lab: Lab, gone: str, order: int) -> None:
    """A driver died while it removed what it had recorded."""
    task = await left_running(lab)
    lab.go.touch()
    place = lab.directories()[0]
    await status_written(lab.status())
    await lab.pids.delete("a")
    await lab.inp.delete("a")
    names = sorted(path.name for path in place.iterdir())[::order]
    assert gone in names
    for name in names[: names.index(gone) + 1]:
        (place / name).unlink()
    async with lab.pipeline(task):
        assert not task.running
        assert lab.directories() == []
    assert await lab.pids.keys() == set()


async def test_a_process_that_only_has_the_number_is_not_taken_for_it(lab: Lab) -> None:
    task = await left_running(lab)
    status = lab.status()
    lines = status.read_text().split("\n")
    fields = lines[2].split(" ")
    os.killpg(int(fields[0]), signal.SIGKILL)
    await status_written(status)
    # As if the machine had run on for long, and this very process had got both numbers.
    fields[0] = fields[3] = str(os.getpid())
    fields[21] = "5"
    status.write_text("\n".join([" " * 7, lines[1], " ".join(fields), ""]))
    record = await finish(lab, task)
    assert record["lost"] is True
    assert lab.empty()


async def test_a_process_of_another_boot_is_not_taken_for_a_live_one(
    lab: Lab, tmp_path: Path
) -> None:
    await left_running(lab)
    boot = tmp_path / "boot"
    boot.write_text("another\n")
    rebooted = LocalLinuxManager("lab", lab.root / "processes", boot_id=str(boot))
    lab.quota = lab.again().quota
    await lab.run(lab.task(SCRIPT, stdout=lab.out, manager=lambda: rebooted))
    lab.go.touch()
    record = await lab.done.info("a")
    assert record["reason"] == "lost: the machine was restarted while it ran"
    assert lab.empty()


@pytest.mark.parametrize("place", ["{boot}/anothermachine/{namespace}", "{boot}/{machine}/4711"])
async def test_a_process_of_another_machine_or_pid_namespace_is_left_alone_and_told_of_once(
    lab: Lab, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    task = await left_running(lab)
    status = lab.status()
    lines = status.read_text().split("\n")
    boot, machine, namespace = lines[1].split("/")
    lines[1] = place.format(boot=boot, machine=machine, namespace=namespace)
    status.write_text("\n".join(lines))

    async with lab.pipeline(task) as pipeline:
        for _ in range(3):
            await pipeline.update()
        assert task.running == {"a"}
        with pytest.raises(ProcessManagerError, match="from where alone it can be ended"):
            await task.backend.terminate(task.new_run("a"), "killed", force=True)
        assert not await lab.done.contains("a")
        told = [r.getMessage() for r in caplog.records if "is left alone" in r.getMessage()]
        assert len(told) == 1

        lab.go.touch()  # that one ends, and says so in the directory that they share
        await lab.quiet(task)
    assert (await lab.done.info("a"))["success"] is True
    assert lab.empty()


async def test_a_job_that_waited_for_another_attempt_gets_it(lab: Lab) -> None:
    await lab.add("a")
    template = "echo ran >>LOG; [ $(wc -l <LOG) = 2 ]"
    task = lab.task(template, retries=Retries(1, delay=3600))
    await task.launch("a")

    async def waits() -> bool:
        await task.update()
        return task.waiting == {"a"}

    await until(waits)
    record = await lab.pids.info("a")
    assert record["attempt"] == 2
    assert record["reason"].startswith("exit status 1 (")
    assert lab.directories() == []
    task.attach(None)
    lab.quota = lab.again().quota
    record["retry_time"] = datetime.now(UTC) - timedelta(seconds=1)
    await lab.pids.dump("a", record)
    await lab.run(lab.again().task(template, retries=Retries(1, delay=3600)))
    record = await lab.done.info("a")
    assert (record["success"], record["attempt"]) == (True, 2)
    assert lab.empty()


async def test_what_one_job_only_is_opened_for_touches_no_other(lab: Lab) -> None:
    task = await left_running(lab)
    await with_one(lab, task)


async def with_one(lab: Lab, task: ProcessTask) -> None:
    pipeline = lab.pipeline(task)
    await pipeline.open("one")
    try:
        assert not task.running
        with pytest.raises(TaskError, match="running already"):
            await task.launch("a")
        await lab.add("b")
        lab.go.touch()
        task.synchronous = True
        await task.launch("b")
        assert (await lab.done.info("b"))["success"] is True
        assert await lab.pids.keys() == {"a"}
    finally:
        await pipeline.close()


async def test_looking_at_a_pipeline_changes_nothing(lab: Lab) -> None:
    task = await left_running(lab)
    before = sorted(str(path) for path in lab.root.rglob("*"))
    pipeline = lab.pipeline(task)
    await pipeline.open("inspect")
    await pipeline.close()
    assert sorted(str(path) for path in lab.root.rglob("*")) == before
    lab.go.touch()
    assert (await finish(lab, lab.again().task(SCRIPT, stdout=lab.out)))["success"] is True


async def test_two_pipelines_with_tasks_of_one_name_do_not_meet(lab: Lab, tmp_path: Path) -> None:
    task = await left_running(lab)
    stranger = type(lab)(tmp_path / "copy")
    stranger.root.mkdir()
    other = stranger.task("true", manager=lambda: lab.manager)
    await stranger.add("a")
    await stranger.run(other)
    assert (await stranger.done.info("a"))["success"] is True
    assert await lab.pids.keys() == {"a"}
    assert (await finish(lab, task))["success"] is True


async def test_a_pipeline_can_be_opened_again(lab: Lab) -> None:
    await lab.add("a")
    task = lab.task(SCRIPT, stdout=lab.out)
    pipeline = lab.pipeline(task)
    async with pipeline:
        await task.launch("a")
    async with pipeline:
        assert task.running == {"a"}
        lab.go.touch()
        await pipeline.run(poll=0.05)
    assert (await lab.done.info("a"))["success"] is True
    assert lab.lines() == ["ran"]
    assert lab.empty()


async def test_a_job_that_is_over_is_not_recorded_again(lab: Lab) -> None:
    """Whoever looks through all jobs may still hold one that has been recorded meanwhile."""
    await lab.add("a")
    task = lab.task("true", stdout=lab.out)
    await task.launch("a")
    live = task._tracker.jobs["a"]
    await lab.quiet(task)
    task._tracker.record_exited([live])
    await task._tracker.wait_recorded()
    assert (await lab.done.info("a"))["success"] is True
