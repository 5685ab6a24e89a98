"""Recovery of the state that an earlier driver left: records, directories, processes."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from processes.lab import make_ticket, rewrite_entry, until

from pydatatask_core import LocalLinuxManager, Retries
from pydatatask_core.errors import ProcessManagerError, TaskError
from pydatatask_core.proc_manager.local.backend import LocalBackend
from pydatatask_core.proc_manager.local.supervisor.entry import Fields
from pydatatask_core.proc_manager.protocol.run_directory import parse_status

if TYPE_CHECKING:
    from pathlib import Path

    from processes.lab import Lab

    from pydatatask_core import ProcessTask

SCRIPT = "echo ran >>LOG; WAIT; echo done"


async def left_running(lab: Lab, template: str = SCRIPT, **options: Any) -> ProcessTask:
    """Launch job "a", leave it running, and return the task of a new driver without any state."""
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


async def test_the_job_of_a_record_without_a_directory_is_lost(lab: Lab) -> None:
    task = await left_running(lab)
    shutil.rmtree(lab.directories()[0])
    record = await finish(lab, task)
    assert (record["success"], record["lost"]) == (False, True)
    assert "run directory" in record["reason"]
    assert lab.empty()


@pytest.mark.parametrize("found", [{}, {"pid": "123", "start_time": datetime(2020, 1, 1)}, None])
async def test_the_job_of_a_record_written_by_another_program_is_lost(lab: Lab, found: Any) -> None:
    await lab.add("a")
    await lab.pids.validate()
    await lab.pids.dump("a", found)
    await lab.run(lab.task(SCRIPT))
    assert (await lab.done.info("a"))["lost"] is True
    assert lab.lines() == []
    assert lab.empty()


async def test_a_record_that_cannot_be_parsed_is_rewritten(lab: Lab) -> None:
    task = await left_running(lab)
    (lab.root / "pids" / "a.yaml").write_text("{")
    assert (await finish(lab, task))["success"] is True
    assert lab.empty()


async def test_a_running_job_is_adopted(lab: Lab) -> None:
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


async def test_a_job_that_ended_without_a_driver_is_recorded(lab: Lab) -> None:
    task = await left_running(lab)
    lab.go.touch()
    await status_written(lab.status())
    record = await finish(lab, task)
    assert record["success"] is True
    assert record["end_time"] <= datetime.now(UTC)
    assert lab.empty()


async def test_a_running_job_without_a_record_gets_its_record_again(lab: Lab, caplog: Any) -> None:
    task = await left_running(lab)
    await lab.pids.delete("a")
    with caplog.at_level(logging.WARNING):
        await task.validate()
    assert await lab.pids.keys() == {"a"}
    assert "runs without a record" in caplog.text
    assert (await finish(lab, task))["success"] is True
    assert lab.empty()


async def test_the_directory_of_a_finished_job_is_removed(lab: Lab) -> None:
    task = await left_running(lab)
    lab.go.touch()
    await lab.quiet(task)
    (directory := lab.root / "elsewhere").mkdir()
    await lab.add("b")
    place = task.runs.new("b").directory
    shutil.copytree(directory, place)
    (place / ".script").write_text(SCRIPT)
    other = lab.again().task(SCRIPT, stdout=lab.out)
    await other.validate()
    assert lab.directories() == []
    assert not other.running


TICKETS = {
    "no ticket": None,
    "ticket": {},
    "ticket that a supervisor has written to": {"pair": "7.7 8.8 1 10.0 700"},
}


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("ticket", TICKETS.values(), ids=TICKETS)
async def test_a_job_that_was_created_and_not_started_is_started_again(
    lab: Lab, ticket: dict[str, str] | None, recorded: bool
) -> None:
    await lab.add("a")
    lab.go.touch()
    task = lab.task("echo ran >>LOG", stdout=lab.out)
    await task.runs.load_namespace()
    place = task.runs.new("a").directory
    place.mkdir(parents=True)
    (place / ".script").write_text(SCRIPT)
    if ticket is not None:
        await make_ticket(place, **ticket)
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


@pytest.mark.parametrize("gone", [".script", ".stderr", ".stdout"])
@pytest.mark.parametrize("order", [1, -1])
async def test_the_removal_of_a_half_removed_directory_is_completed(
    lab: Lab, gone: str, order: int
) -> None:
    """A driver died while it removed the directory of a recorded job."""
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


async def test_an_unrelated_process_with_the_same_pid_is_not_mistaken_for_the_job(lab: Lab) -> None:
    """T3: the start time distinguishes them."""
    task = await left_running(lab)
    status = lab.status()
    os.killpg(int(Fields(status.read_bytes()).process.partition(b".")[0]), signal.SIGKILL)
    await status_written(status)
    # As if the process ids had wrapped around and this process had got both of the job's.
    same = f"{os.getpid()}.5"
    rewrite_entry(status, status="", usage="", pair=f"{same} {same} 1 None 5", process=same)
    record = await finish(lab, task)
    assert record["lost"] is True
    assert lab.empty()


async def test_a_process_of_another_boot_is_not_mistaken_for_a_live_one(
    lab: Lab, tmp_path: Path
) -> None:
    """T3: the boot id distinguishes them."""
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
async def test_a_process_of_another_machine_or_pid_namespace_is_left_alone_and_reported_once(
    lab: Lab, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    task = await left_running(lab)
    status = lab.status()
    boot, machine, namespace = Fields(status.read_bytes()).origin.decode().split("/")
    origin = place.format(boot=boot, machine=machine, namespace=namespace)
    rewrite_entry(status, origin=origin)

    async with lab.pipeline(task) as pipeline:
        for _ in range(3):
            await pipeline.update()
        assert task.running == {"a"}
        with pytest.raises(ProcessManagerError, match="can only be terminated from there"):
            await task.backend.terminate(task.runs.new("a"), "killed", force=True)
        assert not await lab.done.contains("a")
        told = [r.getMessage() for r in caplog.records if "is left alone" in r.getMessage()]
        assert len(told) == 1

        lab.go.touch()  # the process ends and writes its status in the shared directory
        await lab.quiet(task)
    assert (await lab.done.info("a"))["success"] is True
    assert lab.empty()


async def test_a_job_waiting_for_its_next_attempt_is_retried_by_the_next_driver(lab: Lab) -> None:
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


async def test_a_live_job_is_not_taken_for_a_waiting_one_although_it_is_inspected_late(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T1: its record says that it waits for a retry, and its first inspection fails."""
    task = await left_running(lab, retries=Retries(1, delay=0.01))
    record = await lab.pids.info("a")
    await lab.pids.dump("a", {**record, "retry_time": datetime.now(UTC), "reason": "it failed"})
    inspect, calls = LocalBackend.inspect, list[str]()

    async def fail_once(self: LocalBackend, run: Any, *args: Any, **options: Any) -> Any:
        calls.append(run.directory.name)
        if len(calls) == 1:
            raise ProcessManagerError("unreachable")
        return await inspect(self, run, *args, **options)

    monkeypatch.setattr(LocalBackend, "inspect", fail_once)
    async with lab.pipeline(task) as pipeline:

        async def runs() -> bool:
            await pipeline.update()
            return len(calls) > 1 and "retry_time" not in await lab.pids.info("a")

        await until(runs)
        lab.go.touch()
        await pipeline.run(poll=0.05)
    assert lab.lines() == ["ran"]
    assert (await lab.done.info("a"))["success"] is True
    assert lab.empty()


async def test_opening_a_pipeline_for_one_job_touches_no_other_job(lab: Lab) -> None:
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


async def test_inspecting_a_pipeline_changes_nothing(lab: Lab) -> None:
    task = await left_running(lab)
    before = sorted(str(path) for path in lab.root.rglob("*"))
    pipeline = lab.pipeline(task)
    await pipeline.open("inspect")
    await pipeline.close()
    assert sorted(str(path) for path in lab.root.rglob("*")) == before
    lab.go.touch()
    assert (await finish(lab, lab.again().task(SCRIPT, stdout=lab.out)))["success"] is True


async def test_pipelines_with_tasks_of_the_same_name_do_not_interfere(
    lab: Lab, tmp_path: Path
) -> None:
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


async def test_a_finished_job_is_not_recorded_twice(lab: Lab) -> None:
    """A scan of all jobs may still hold one that has been recorded meanwhile."""
    await lab.add("a")
    task = lab.task("true", stdout=lab.out)
    await task.launch("a")
    live = task._tracker.jobs["a"]
    await lab.quiet(task)
    task._tracker.record_exited([live])
    await task._tracker.wait_recorded()
    assert (await lab.done.info("a"))["success"] is True


async def test_a_live_process_whose_record_says_that_it_waits_is_recorded_at_its_end(
    lab: Lab,
) -> None:
    await lab.add("a")
    task = lab.task(SCRIPT, stdout=lab.out, retries=Retries(2, delay=3600))
    await task.launch("a")
    await lab.running(task, "a")
    task.attach(None)
    record = await lab.pids.info("a")
    later = datetime.now(UTC) + timedelta(hours=1)
    await lab.pids.dump("a", record | {"retry_time": later, "reason": "exit status 1"})

    lab = lab.again()
    task = lab.task(SCRIPT, stdout=lab.out, retries=Retries(2, delay=3600))
    async with lab.pipeline(task) as pipeline:
        assert "retry_time" not in await lab.pids.info("a")
        lab.go.touch()
        await pipeline.run(poll=0.05)
    assert (await lab.done.info("a"))["success"] is True
    assert lab.lines() == ["ran"]
    assert lab.empty()
