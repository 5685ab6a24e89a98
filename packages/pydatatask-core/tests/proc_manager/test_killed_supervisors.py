"""Either process of a supervisor may be killed or suspended at any time, and nothing is lost.

Every eighth point is tested with every test run. For all points::

PYDATATASK_CHAOS_ROUNDS=1 ./dev core tests/proc_manager/test_killed_supervisors.py
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest
from processes.lab import Lab, until

from .sabotage import Sabotage, is_gone, kill, supervisors_of

if TYPE_CHECKING:
    from pathlib import Path

    from pydatatask_core import ProcessTask

JOBS = {"a": 0, "b": 3}
STRIDE = 8
"""Each test takes every eighth point, and there are eight tests in a long run."""

FIRST = range(1, STRIDE + 1 if "PYDATATASK_CHAOS_ROUNDS" in os.environ else 2)

MAX_POINTS = 500
SCRIPT = "echo {{ job }} >>LOG; echo output; [ {{ job }} = a ] || exit 3"
WAITING = "echo {{ job }} $$ >>LOG; WAIT; [ {{ job }} = a ] || exit 3"


def task_of(lab: Lab, script: str = SCRIPT) -> ProcessTask:
    return lab.task(f"#!/bin/sh\n{script}", stdout=lab.out)


async def check(lab: Lab) -> None:
    """Check that each job was run once, and that its exit status was not lost."""
    assert sorted(line.split()[0] for line in lab.lines()) == sorted(JOBS)
    records = await lab.done.info_all()
    assert {job: record["return_code"] for job, record in records.items()} == JOBS, records
    assert {record["attempt"] for record in records.values()} == {1}
    assert lab.empty()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("victim", ["inner", "outer"])
async def test_a_supervisor_may_be_killed_at_any_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int, victim: str
) -> None:
    for at in range(first, MAX_POINTS, STRIDE):
        (tmp_path / str(at)).mkdir()
        lab = Lab(tmp_path / str(at))
        sabotage = Sabotage(monkeypatch, lab.root, at, victim, signal.SIGKILL)
        await lab.add(*JOBS)
        await lab.run(task_of(lab))
        try:
            await check(lab)
        except AssertionError as e:
            raise AssertionError(f"killed at point {at}: {e}") from e
        if not sabotage.is_reached:
            break
    assert MAX_POINTS > at > 4 * STRIDE, "the points do not cover the life of two jobs"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", FIRST)
async def test_a_supervisor_that_was_suspended_at_any_point_runs_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    """Its driver is gone when it continues, and the next one has adopted the jobs."""
    for at in range(first, MAX_POINTS, STRIDE):
        (tmp_path / str(at)).mkdir()
        lab = Lab(tmp_path / str(at))
        sabotage = Sabotage(monkeypatch, lab.root, at, "inner", signal.SIGSTOP)
        await lab.add(*JOBS)
        task = task_of(lab)
        launch = asyncio.create_task(launch_all(task))
        is_suspended = await suspended_or_ended(sabotage, task, launch)
        if is_suspended and not launch.done():
            kill(sabotage.pids[1], signal.SIGCONT)  # the driver waits for it: it is just starting
        launch.cancel()
        await asyncio.wait([launch])
        task.attach(None)
        lab.manager.supervisors.close()  # type: ignore[attr-defined]
        lab = lab.again()
        async with lab.pipeline(second := task_of(lab)) as pipeline:
            await pipeline.update()
            if is_suspended:
                kill(sabotage.pids[1], signal.SIGCONT)
            await pipeline.run(poll=0.05)
            assert not second.running
        try:
            await check(lab)
        except AssertionError as e:
            raise AssertionError(f"suspended at point {at}: {e}") from e
        if not is_suspended:
            break
    assert MAX_POINTS > at > 4 * STRIDE, "the points do not cover the life of two jobs"


async def launch_all(task: ProcessTask) -> None:
    for job in JOBS:
        await task.launch(job)


async def suspended_or_ended(
    sabotage: Sabotage, task: ProcessTask, launch: asyncio.Task[None]
) -> bool:
    """Wait until the supervisor is suspended, or all jobs are recorded; return which one."""

    async def settled() -> bool:
        over = launch.done() and not await task.update()
        return sabotage.is_reached or over

    await until(settled)
    if sabotage.is_reached:
        await sabotage.suspended()
    return sabotage.is_reached


@pytest.mark.parametrize("victims", ["inner", "outer"])
async def test_killing_one_supervisor_of_running_jobs_loses_nothing(lab: Lab, victims: str) -> None:
    await lab.add(*JOBS)
    async with lab.pipeline(task_of(lab, WAITING)) as pipeline:
        await pipeline.update()
        outer, inner = await supervisors(lab)
        kill({"inner": inner, "outer": outer}[victims], signal.SIGKILL)
        lab.go.touch()
        await pipeline.run(poll=0.05)
    await check(lab)


async def test_killing_both_supervisors_loses_the_statuses_of_their_jobs_and_no_other(
    lab: Lab,
) -> None:
    await lab.add(*JOBS)
    async with lab.pipeline(task_of(lab, WAITING)) as pipeline:
        await pipeline.update()
        pids = await supervisors(lab)
        for pid in pids:
            kill(pid, signal.SIGKILL)
        await until(lambda: asyncio.to_thread(lambda: all(map(is_gone, pids))))
        await lab.add("c")
        await pipeline.update()
        await lines(lab, 3)
        lab.go.touch()
        await pipeline.run(poll=0.05)
    records = await lab.done.info_all()
    assert [records[job].get("lost", False) for job in "abc"] == [True, True, False]
    assert "supervisor was killed" in records["a"]["reason"]
    assert len(lab.lines()) == 3
    assert lab.empty()


@pytest.mark.parametrize("after", ["the exit", "the takeover"])
async def test_the_outer_supervisor_continues_with_the_jobs_of_an_earlier_driver(
    lab: Lab, after: str
) -> None:
    await lab.add(*JOBS)
    task = task_of(lab, WAITING)
    await launch_all(task)
    outer, inner = await supervisors(lab)
    task.attach(None)
    lab.manager.supervisors.close()  # type: ignore[attr-defined]
    if after == "the exit":
        kill(outer, signal.SIGSTOP)
    kill(inner, signal.SIGKILL)
    lab.go.touch()
    if after == "the exit":
        jobs = [int(line.split()[1]) for line in lab.lines()]
        await until(lambda: asyncio.to_thread(lambda: all(map(is_gone, jobs))))
        kill(outer, signal.SIGCONT)
    lab = lab.again()
    await lab.run(task_of(lab, WAITING))
    await check(lab)
    await until(lambda: asyncio.to_thread(is_gone, outer))


@pytest.mark.parametrize("victim", ["inner", "outer"])
async def test_an_idle_supervisor_that_was_killed_is_replaced(lab: Lab, victim: str) -> None:
    script = "read -r _ _ _ outer _ </proc/$PPID/stat; echo {{ job }} $outer $PPID >>LOG"
    async with lab.pipeline(task_of(lab, script)) as pipeline:
        await lab.add("a")
        await pipeline.run(poll=0.05)
        outer, inner = map(int, lab.lines()[0].split()[1:])
        killed = {"inner": inner, "outer": outer}[victim]
        kill(killed, signal.SIGKILL)
        await until(lambda: asyncio.to_thread(is_gone, killed))
        await lab.add("b")
        await pipeline.run(poll=0.05)
        assert len(lab.lines()) == 2
        await lab.add("c")
        await pipeline.run(poll=0.05)
        await until(lambda: asyncio.to_thread(lambda: is_gone(outer) and is_gone(inner)))
    pairs = [line.split()[1:] for line in lab.lines()]
    assert not {str(outer), str(inner)} & set(pairs[2])
    assert all(record["success"] for record in (await lab.done.info_all()).values())


async def test_a_program_that_left_its_session_is_not_taken_for_a_job(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The inner process is killed after it has decided to run a job, and before it starts it."""
    sabotage = Sabotage(monkeypatch, lab.root, 2, "inner", signal.SIGKILL, ("posix_spawn",))
    leave = "setsid sleep 600 >/dev/null 2>&1 & echo {{ job }} $! >>LOG; sleep 0.2"
    script = f"[ {{{{ job }}}} = b ] && exec echo b $$ >>LOG; {leave}"
    async with lab.pipeline(task_of(lab, script)) as pipeline:
        await lab.add("a")
        await pipeline.run(poll=0.05)
        escaped = int(lab.lines()[0].split()[1])
        try:
            assert not is_gone(escaped)
            await lab.add("b")
            await pipeline.run(poll=0.05)
            assert sabotage.is_reached
            assert not is_gone(escaped)
        finally:
            kill(escaped, signal.SIGKILL)
    records = await lab.done.info_all()
    assert all(record["success"] for record in records.values())
    assert len(lab.lines()) == 2


async def lines(lab: Lab, count: int) -> None:
    async def written() -> bool:
        return len(lab.lines()) == count

    await until(written)


async def supervisors(lab: Lab) -> tuple[int, int]:
    """Wait until all jobs run; return the outer and the inner process of their supervisor."""
    await lines(lab, len(JOBS))
    pairs = {supervisors_of(int(line.split()[1])) for line in lab.lines()}
    assert len(pairs) == 1
    return pairs.pop()


def test_the_program_of_the_sabotage_is_that_of_the_supervisor() -> None:
    from pydatatask_core.proc_manager.local import pair

    assert "from supervisor.program import main; main()" in pair._CODE
    assert os.path.exists(os.path.join(os.path.dirname(pair.__file__), "supervisor/program.py"))
