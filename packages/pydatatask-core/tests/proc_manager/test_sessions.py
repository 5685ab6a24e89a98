"""A job is over when its session is empty: the processes that it leaves behind are ended first."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from processes.lab import Lab, until

from pydatatask_core.proc_manager import LaunchSpec, LocalLinuxManager, ProcessRun, ProcessState
from pydatatask_core.proc_manager.local import backend

from .sabotage import is_gone, kill, supervisors_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydatatask_core.proc_manager import ProcessStatus

LONG = 600.0

BACKGROUND = {
    "in the same group": "sleep 600 & echo $! >>LOG",
    "in another group": "set -m; sleep 600 & echo $! >>LOG",
    "of timeout": "timeout 600 sh -c 'echo $$ >>LOG; exec sleep 600' & wait_for_log",
    "that ignores SIGTERM": "(trap '' TERM; exec sleep 600) & echo $! >>LOG",
    "that is suspended": "sleep 600 & echo $! >>LOG; kill -STOP $!",
    "of a child that has ended": "sh -c 'sleep 600 & echo $! >>LOG'",
}
"""Scripts that leave a process behind, and write its process id to the log."""

PRELUDE = "#!/bin/bash\nwait_for_log() { until [ -s LOG ]; do sleep 0.01; done; }\n"

ENDS = {"exit 0": 0, "exit 5": 5, "kill -KILL $$": 137}

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash for `set -m`")


@pytest.fixture
def grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the grace period of the processes that a job leaves behind."""
    monkeypatch.setattr(backend, "GRACE_SECONDS", 0.1)


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lengthen the grace period beyond the duration of a test."""
    monkeypatch.setattr(backend, "GRACE_SECONDS", LONG)


@pytest.fixture(autouse=True)
def _nothing_survives(lab: Lab) -> Iterator[None]:
    yield
    for pid in processes(lab):
        kill(pid, signal.SIGKILL)


def processes(lab: Lab) -> list[int]:
    """Return the process ids that scripts have written to the log."""
    return [int(line) for line in lab.lines()]


async def start(lab: Lab, script: str, *, detach: bool = False) -> ProcessRun:
    """Start a script in a run directory."""
    manager = lab.manager
    await manager.backend.validate()
    run = ProcessRun(manager.basedir / "runs" / "a", "host")
    text = (PRELUDE + script).replace("LOG", str(lab.log)).encode()
    spec = LaunchSpec(text, {}, detach=detach)
    await manager.backend.create(run, spec)
    await manager.backend.start(run, spec)
    return run


async def ended(lab: Lab, run: ProcessRun) -> ProcessStatus:
    """Wait until the job is over, and return its status."""
    status = await lab.manager.backend.inspect(run, fence=False)

    async def is_over() -> bool:
        nonlocal status
        status = await lab.manager.backend.inspect(run, fence=False)
        return status.state is not ProcessState.RUNNING

    await until(is_over)
    return status


async def leader_exited(lab: Lab) -> bool:
    """Return whether one of the two processes in the log has ended."""
    return len(lab.lines()) == 2 and sum(map(is_gone, processes(lab))) == 1


@needs_bash
@pytest.mark.usefixtures("grace")
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("background", BACKGROUND.values(), ids=BACKGROUND)
async def test_processes_that_a_job_leaves_behind_are_ended_before_it_is_over(
    lab: Lab, background: str, end: str
) -> None:
    run = await start(lab, f"{background}\n{end}")
    status = await ended(lab, run)
    assert (status.state, status.return_code) == (ProcessState.EXITED, ENDS[end])
    [left] = processes(lab)
    assert is_gone(left)
    if background != BACKGROUND["that is suspended"]:  # the kernel hangs up on orphans
        assert status.ended_processes >= 1


@pytest.mark.usefixtures("endless")
async def test_a_job_is_not_over_while_a_process_in_its_session_runs(lab: Lab) -> None:
    script = f"while [ ! -e {lab.go} ]; do sleep 0.02; done & echo $! >>LOG; echo $$ >>LOG; exit 4"
    run = await start(lab, script)
    await until(lambda: leader_exited(lab))
    status = await lab.manager.backend.inspect(run, fence=False)
    assert status.state is ProcessState.RUNNING
    assert run.supervised is not None
    assert not run.supervised.is_over
    lab.go.touch()
    status = await ended(lab, run)
    assert (status.return_code, status.ended_processes) == (4, 0)
    assert all(map(is_gone, processes(lab)))


@pytest.mark.usefixtures("endless")
@pytest.mark.parametrize("force", [False, True])
async def test_terminating_a_job_whose_own_process_has_exited_reaches_its_session(
    lab: Lab, force: bool
) -> None:
    run = await start(lab, "sleep 600 & echo $! >>LOG; echo $$ >>LOG; exit 0")
    await until(lambda: leader_exited(lab))

    async def terminated() -> bool:
        await lab.manager.backend.terminate(run, "test", force=force)
        return run.supervised is not None and run.supervised.is_over

    await until(terminated)
    status = await ended(lab, run)
    assert status.stop_reason == "test"
    assert all(map(is_gone, processes(lab)))


@pytest.mark.usefixtures("endless")
async def test_a_job_that_leaves_the_session_is_over_without_waiting_for_it(lab: Lab) -> None:
    run = await start(
        lab,
        "setsid sleep 600 & echo $! >>LOG; wait_for_setsid() { "
        "while [ $(ps -o sid= -p $!) = $$ ]; do sleep 0.01; done; }; wait_for_setsid",
    )
    status = await ended(lab, run)
    assert (status.return_code, status.ended_processes) == (0, 0)
    [escaped] = processes(lab)
    assert not is_gone(escaped)


@pytest.mark.usefixtures("grace")
async def test_a_detached_process_continues_after_the_end_of_its_job(lab: Lab) -> None:
    run = await start(lab, "sleep 600 & echo $! >>LOG", detach=True)
    status = await ended(lab, run)
    assert (status.return_code, status.ended_processes) == (0, 0)
    assert not is_gone(processes(lab)[0])


@needs_bash
@pytest.mark.usefixtures("endless")
@pytest.mark.parametrize("how", ["timeout", "kill"])
@pytest.mark.parametrize("background", BACKGROUND.values(), ids=BACKGROUND)
async def test_a_timeout_and_a_kill_end_the_whole_session(
    lab: Lab, background: str, how: str
) -> None:
    await lab.add("a")
    script = f"{PRELUDE}{background}\necho ready >{lab.root}/ready\nexec sleep 600"
    task = lab.task(script, timeout=0.5 if how == "timeout" else None)
    async with lab.pipeline(task) as pipeline:
        await pipeline.update()
        if how == "kill":
            await until(lambda: asyncio.to_thread((lab.root / "ready").exists))
            assert await task.kill("a", grace=0.2)
        await pipeline.run(poll=0.05)
    record = await lab.done.info("a")
    assert record["timed_out" if how == "timeout" else "killed"] is True
    assert all(map(is_gone, processes(lab)))
    assert lab.empty()


@pytest.mark.usefixtures("endless")
async def test_a_retry_starts_after_the_session_of_the_first_attempt_is_empty(lab: Lab) -> None:
    from pydatatask_core import Retries

    await lab.add("a")
    script = (
        "[ -e LOG ] && { pid=$(cat LOG); [ -e /proc/$pid ] && exit 9; exit 0; }; "
        "sleep 600 & echo $! >>LOG; exec sleep 600"
    )
    retries = Retries(1, delay=0.05, factor=1)
    await lab.run(lab.task(script, timeout=0.5, retries=retries))
    record = await lab.done.info("a")
    assert (record["attempt"], record["return_code"]) == (2, 0)


DRIVER = """
import asyncio, os, sys
sys.path[:] = eval(sys.argv[2])
from pathlib import Path
from processes.lab import Lab
from pydatatask_core.proc_manager.local import backend
backend.GRACE_SECONDS = 0.3
async def main():
    lab = Lab(Path(sys.argv[1]))
    await lab.add("a")
    task = lab.task(sys.argv[3])
    async with lab.pipeline(task) as pipeline:
        await pipeline.update()
        await lab.logged()
        os.kill(os.getpid(), 9)
asyncio.run(main())
"""


@pytest.mark.parametrize("killed", [None, "inner", "outer"])
async def test_the_session_of_a_job_whose_driver_was_killed_is_emptied_as_well(
    lab: Lab, killed: str | None
) -> None:
    script = "WAIT; exec 3<&-; (trap '' TERM; exec sleep 600) & echo $! >>LOG; exit 5"
    script = f"echo $$ >>LOG; {script}"
    command = [sys.executable, "-c", DRIVER, str(lab.root), repr(sys.path), script]
    driver = await asyncio.to_thread(subprocess.run, command, check=False)
    assert driver.returncode == -signal.SIGKILL
    outer, inner = supervisors_of(processes(lab)[0])
    if killed is not None:
        kill({"inner": inner, "outer": outer}[killed], signal.SIGKILL)
    lab.go.touch()
    await lab.run(lab.task("echo again >>LOG"))
    assert (await lab.done.info("a"))["return_code"] == 5
    assert len(lab.lines()) == 2
    assert all(map(is_gone, processes(lab)))
    await until(lambda: asyncio.to_thread(lambda: is_gone(outer) and is_gone(inner)))


async def test_the_resources_that_a_job_has_used_are_reported(lab: Lab) -> None:
    script = f"exec {sys.executable} -c 'x = bytearray(50 << 20); sum(range(2_000_000))'"
    status = await ended(lab, await start(lab, script))
    assert status.return_code == 0
    assert status.usage is not None
    user, system, resident = status.usage
    assert 0.01 < user < LONG
    assert 0 <= system < LONG
    assert 50 << 10 < resident < 1 << 20


async def test_the_resources_of_a_job_that_ended_without_a_driver_are_known(lab: Lab) -> None:
    run = await start(lab, f"exec {sys.executable} -c 'sum(range(2_000_000))'")
    lab.manager.supervisors.close()  # type: ignore[attr-defined]
    other = ProcessRun(run.directory, "host")
    lab.manager = LocalLinuxManager("lab", lab.root / "processes")
    status = await ended(lab, other)

    async def has_usage() -> bool:
        nonlocal status
        status = await lab.manager.backend.inspect(other, fence=False)
        return status.usage is not None

    await until(has_usage)
    assert status.usage is not None
    assert 0.01 < status.usage[0] < LONG
