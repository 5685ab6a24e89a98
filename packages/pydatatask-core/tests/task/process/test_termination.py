"""Termination of jobs: timeouts and kills."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from processes.lab import until

from pydatatask_core import FileRepository, ResourceManager, Resources, Retries
from pydatatask_core.proc_manager.local import inspect as examining
from pydatatask_core.proc_manager.protocol.identity import read_uptime
from pydatatask_core.task.process import termination
from pydatatask_core.task.process import tracker as jobs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from processes.lab import Lab

    from pydatatask_core.proc_manager.process import LaunchSpec, ProcessRun

STUBBORN = "trap '' TERM; echo $$ >>LOG; sleep 600 & echo $! >>LOG; WAIT"


@pytest.fixture
def _no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "GRACE_SECONDS", 0.1)


def alive(pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_job_that_exceeds_its_timeout_is_terminated(lab: Lab) -> None:
    await lab.add("a")
    template = "trap 'echo leaving; exit 0' TERM; echo here; WAIT"
    await lab.run(lab.task(template, stdout=lab.out, timeout=timedelta(seconds=0.5)))
    record = await lab.done.info("a")
    assert (record["success"], record["timed_out"]) == (False, True)
    assert (record["return_code"], record["reason"]) == (0, "timed out after 0.5 s")
    assert record["stdout_tail"] == "here\nleaving\n"
    assert await lab.out.keys() == set()
    assert lab.empty()


@pytest.mark.usefixtures("_no_grace")
async def test_a_job_that_ignores_sigterm_is_killed_with_its_children(lab: Lab) -> None:
    await lab.add("a")
    await lab.run(lab.task(STUBBORN, timeout=0.5))
    record = await lab.done.info("a")
    assert (record["timed_out"], record["signal"]) == (True, "SIGKILL")
    pids = lab.lines()
    assert len(pids) == 2
    await until(lambda: _none_alive(pids))
    assert lab.empty()


async def _none_alive(pids: list[str]) -> bool:
    return not any(alive(pid) for pid in pids)


async def test_a_suspended_job_is_terminated_in_time(lab: Lab) -> None:
    await lab.add("a")
    await lab.run(lab.task("kill -STOP $$; WAIT", timeout=0.5))
    assert (await lab.done.info("a"))["timed_out"] is True


async def test_the_timeout_of_a_job_continues_without_a_driver(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lab.add("a")
    task = lab.task("echo ready >>LOG; WAIT", timeout=3600)
    await task.launch("a")
    await lab.logged()  # a job that has not begun would be started again, with a new timeout
    task.attach(None)
    monkeypatch.setattr(examining, "read_uptime", lambda: read_uptime() + 7200)
    await lab.run(lab.again().task("echo ready >>LOG; WAIT", timeout=3600))
    assert (await lab.done.info("a"))["reason"] == "timed out after 3600 s"


async def test_a_job_that_timed_out_is_retried(lab: Lab) -> None:
    await lab.add("a")
    template = "echo ran >>LOG; [ $(wc -l <LOG) = 2 ] && exit; WAIT"
    await lab.run(lab.task(template, timeout=0.5, retries=Retries(1, delay=0.01)))
    record = await lab.done.info("a")
    assert (record["success"], record["attempt"]) == (True, 2)


async def test_a_job_can_be_killed(lab: Lab) -> None:
    await lab.add("a")
    task = lab.task("echo ready >>LOG; WAIT", retries=3)
    async with lab.pipeline(task) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=0.05))
        await lab.logged()
        assert await task.kill("a")
        await run
        assert not await task.kill("a")
        assert not await task.kill("unheard")
    record = await lab.done.info("a")
    assert (record["success"], record["killed"]) == (False, True)
    assert (record["signal"], record["reason"]) == ("SIGTERM", "killed on request")
    assert lab.empty()


async def test_a_job_of_another_driver_can_be_killed(lab: Lab) -> None:
    await lab.add("a")
    task = lab.task("trap '' TERM; echo ready >>LOG; WAIT")
    other = lab.again().task("trap '' TERM; WAIT")
    async with lab.pipeline(task) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=0.05))
        await lab.logged()
        looking = lab.pipeline(other)
        await looking.open("inspect")
        assert await other.kill("a", grace=0.1)
        await looking.close()
        await run
    record = await lab.done.info("a")
    assert (record["killed"], record["signal"]) == (True, "SIGKILL")
    assert lab.empty()


async def test_a_job_without_a_driver_can_be_killed(lab: Lab) -> None:
    await lab.add("a")
    first, second, third = lab.task("WAIT"), lab.again().task("WAIT"), lab.again().task("WAIT")
    await first.launch("a")
    await lab.running(first, "a")
    first.attach(None)
    looking = lab.pipeline(second)
    await looking.open("inspect")
    assert await second.kill("a")
    await looking.close()
    lab.quota = third.resource_manager
    await lab.run(third)
    assert (await lab.done.info("a"))["killed"] is True
    assert lab.empty()


async def test_a_job_that_is_being_started_can_be_killed(lab: Lab) -> None:
    await lab.add("a")
    task = lab.task("echo ran >>LOG; WAIT")
    await task.launch("a")
    assert await task.kill("a")
    assert (await lab.done.info("a"))["killed"] is True
    assert lab.empty()


async def test_a_job_waiting_for_its_next_attempt_can_be_killed(lab: Lab) -> None:
    await lab.add("a")
    task = lab.task("false", retries=Retries(1, delay=3600))
    await task.launch("a")

    async def waits() -> bool:
        await task.update()
        return task.waiting == {"a"}

    await until(waits)
    assert await task.kill("a")
    record = await lab.done.info("a")
    assert (record["killed"], record["attempt"]) == (True, 2)
    assert not task.running
    assert lab.empty()


async def test_a_job_whose_due_retry_waits_for_room_does_not_run_after_it_is_killed(
    lab: Lab,
) -> None:
    await lab.add("a")
    lab.quota = ResourceManager(Resources.parse(1, 1))
    task = lab.task("echo {{ job }} >>LOG; false", retries=Retries(1, delay=3600))

    def waits_for(jobs: set[str]) -> Callable[[], Awaitable[bool]]:
        async def waits() -> bool:
            return task.waiting == jobs

        return waits

    async def is_refused() -> bool:
        return list(task.due_retries) == ["a"]

    async with lab.pipeline(task) as pipeline:
        running = asyncio.create_task(pipeline.run(forever=True, poll=0.05))
        await until(waits_for({"a"}))
        assert await lab.quota.reserve(Resources.parse(1, 1)) is None
        task.retry_later("a", 0)
        await until(is_refused)
        assert await task.kill("a")
        await lab.quota.relinquish(Resources.parse(1, 1))
        await lab.add("b")
        await until(waits_for({"b"}))
        running.cancel()
        await asyncio.wait({running})

    assert lab.lines() == ["a", "b"]
    assert (await lab.done.info("a"))["killed"] is True


async def test_a_job_that_fails_while_it_is_killed_is_not_retried(lab: Lab) -> None:
    await lab.add("a")
    task = lab.task("echo tried >>LOG; WAIT; exit 3", retries=Retries(3, delay=3600))
    reschedule = task.pids.dump
    killed: list[asyncio.Task[bool]] = []

    async def kill_then_dump(job: str, data: Any) -> None:
        if "retry_time" in data:  # too late to prevent the wait
            killed.append(asyncio.create_task(task.kill(job)))
            await asyncio.sleep(0)
        await reschedule(job, data)

    async with lab.pipeline(task) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=0.05))
        await lab.logged()
        task.pids.dump = kill_then_dump  # type: ignore[method-assign]
        lab.go.touch()
        assert (await asyncio.wait_for(run, 10)).failed == {"task": ["a"]}
        assert await killed[0]
    assert (await lab.done.info("a"))["killed"] is True
    assert lab.lines() == ["tried"]
    assert lab.empty()


async def waits_for_another_attempt(lab: Lab) -> bool:
    record = await lab.pids.info("a")
    return isinstance(record, dict) and "retry_time" in record


async def kill_from_outside(lab: Lab) -> bool:
    """Kill the job through a task that drives nothing, as the `kill` command does."""
    task = lab.again().task("false")
    looking = lab.pipeline(task)
    await looking.open("one")
    try:
        return await task.kill("a")
    finally:
        await looking.close()


async def test_a_job_waiting_for_its_next_attempt_in_another_driver_can_be_killed(
    lab: Lab,
) -> None:
    await lab.add("a")
    task = lab.task("echo tried >>LOG; false", retries=Retries(3, delay=3600))
    async with lab.pipeline(task) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=0.05))
        await until(lambda: waits_for_another_attempt(lab))

        assert await kill_from_outside(lab)

        record = await lab.done.info("a")
        assert (record["success"], record["killed"]) == (False, True)
        summary = await run
    assert summary.failed == {task.name: ["a"]}
    assert lab.lines() == ["tried"]
    assert await lab.done.info("a") == record
    assert lab.empty()


async def test_a_job_waiting_for_its_next_attempt_without_a_driver_can_be_killed(
    lab: Lab,
) -> None:
    await lab.add("a")
    task = lab.task("echo tried >>LOG; false", retries=Retries(3, delay=3600))
    async with lab.pipeline(task) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=0.05))
        await until(lambda: waits_for_another_attempt(lab))
        run.cancel()
        await asyncio.wait([run])

    assert await kill_from_outside(lab)
    assert (await lab.done.info("a"))["killed"] is True
    assert not await lab.pids.contains("a")
    assert not await kill_from_outside(lab)

    await lab.run(lab.again().task("echo tried >>LOG; false"))
    assert lab.lines() == ["tried"]
    assert lab.empty()


async def test_a_job_whose_next_attempt_begins_while_it_is_killed_does_not_run(lab: Lab) -> None:
    await lab.add("a")
    task = lab.task("echo tried >>LOG; false", retries=Retries(3, delay=0.2))
    made = task.backend.create

    async def kill_then_make(run: ProcessRun, spec: LaunchSpec) -> None:
        if await asyncio.to_thread(lab.lines):  # the next attempt is about to create its directory
            assert await kill_from_outside(lab)
        await made(run, spec)

    async with lab.pipeline(task) as pipeline:
        task.backend.create = kill_then_make  # type: ignore[method-assign]
        await pipeline.run(poll=0.05)
    assert lab.lines() == ["tried"]
    assert (await lab.done.info("a"))["killed"] is True
    assert lab.empty()


class SlowToAppear(FileRepository):
    """A repository on a shared file system, where a file may appear late."""

    async def visibility_delay(self) -> float:
        return 60.0


async def test_a_kill_waits_as_long_as_the_verdict_on_a_job_that_ended_by_itself_may_take(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(termination, "RECORD_TIMEOUT_SECONDS", 0.0)
    await lab.add("a")
    data = SlowToAppear(lab.root / "data")
    task = lab.task("true")
    task.link("data", data, is_output=True)
    await task.launch("a")

    async def has_ended() -> bool:
        return bool(await task.backend.exited([task._tracker.jobs["a"].run]))

    await until(has_ended)
    other = lab.again().task("true", retries=Retries(3, delay=3600))
    other.link("data", data, is_output=True)
    looking = lab.pipeline(other)
    await looking.open("one")
    kill = asyncio.create_task(other.kill("a", grace=0.0))
    looked = asyncio.Event()
    contains = other.pids.contains

    async def note(item: str) -> bool:
        if not kill.done():
            looked.set()
        return await contains(item)

    other.pids.contains = note  # type: ignore[method-assign]
    for _ in range(3):  # each look begins after the grace has passed
        await looked.wait()
        looked.clear()
    assert not kill.done()
    await lab.pids.dump("a", (await lab.pids.info("a")) | {"retry_time": datetime.now(UTC)})
    assert await kill
    assert (await lab.done.info("a"))["killed"] is True
    await looking.close()
    task.attach(None)


async def test_the_record_says_that_the_process_group_was_killed(lab: Lab) -> None:
    await lab.add("a")
    task = lab.task("echo $$ >>LOG; WAIT")
    async with lab.pipeline(task) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=0.05))
        await lab.logged()
        os.killpg(int(lab.lines()[0]), signal.SIGKILL)
        await run
    assert (await lab.done.info("a"))["signal"] == "SIGKILL"
    assert lab.empty()
