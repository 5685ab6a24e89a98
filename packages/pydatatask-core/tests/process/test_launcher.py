"""The launcher: nothing depends on it but the driver's time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from processes.lab import Lab, until

from pydatatask_core import LocalLinuxManager, ResourceManager, Resources
from pydatatask_core.proc_manager.launcher_process import Messages, written
from pydatatask_core.proc_manager.local_runs import LocalRuns

if TYPE_CHECKING:
    from pathlib import Path

    from pydatatask_core.proc_manager import Plan, Run


async def launcher_of(lab: Lab) -> int:
    """Give the process id of a lab's launcher."""
    manager = lab.manager
    assert isinstance(manager, LocalLinuxManager)
    launcher = await manager.launcher()
    assert launcher is not None

    async def ready() -> bool:
        return launcher.works is not None

    await until(ready)
    assert launcher.pid is not None
    return launcher.pid


async def test_a_launcher_that_is_killed_takes_no_job_with_it(lab: Lab) -> None:
    await lab.add("a", "b", "c")
    task = lab.task("WAIT; echo {{ job }} >>LOG; exit 3")
    async with lab.pipeline(task) as pipeline:
        await pipeline.update()
        assert task.running == {"a", "b", "c"}
        await lab.running(task, "a", "b", "c")
        first = await launcher_of(lab)
        os.kill(first, signal.SIGKILL)
        lab.go.touch()
        await lab.add("d")
        await pipeline.run(poll=0.05)
        assert await launcher_of(lab) != first
    assert lab.lines() == ["a", "b", "c", "d"]
    for job in ("a", "b", "c", "d"):
        record = await lab.done.info(job)
        assert record["return_code"] == 3
        assert record["attempt"] == 1
    assert lab.empty()


async def test_what_a_launcher_was_told_before_it_was_killed_runs_once(lab: Lab) -> None:
    """Whether it has started them, nobody knows; so their directories are looked into."""
    jobs = [f"job{number:02}" for number in range(12)]
    await lab.add(*jobs)
    lab.quota = ResourceManager(Resources.parse(20, 20))
    task = lab.task("echo {{ job }} >>LOG")
    launcher = await launcher_of(lab)
    async with lab.pipeline(task) as pipeline:
        os.kill(launcher, signal.SIGSTOP)
        running = asyncio.create_task(pipeline.run(poll=0.05))

        async def told() -> bool:
            return len(await lab.pids.keys()) == len(jobs)

        await until(told)
        os.kill(launcher, signal.SIGKILL)
        await running
    assert lab.lines() == jobs
    assert lab.empty()


@pytest.mark.parametrize("python", ["/nowhere/python", "/bin/false"])
async def test_jobs_run_where_no_launcher_can_be_had(
    lab: Lab, python: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", python)
    await lab.add("a", "b")
    with caplog.at_level(logging.WARNING, logger="pydatatask.proc_manager"):
        await lab.run(lab.task("echo {{ job }} >>LOG"))
    assert lab.lines() == ["a", "b"]
    assert "without" in caplog.text
    assert lab.empty()


async def test_jobs_get_the_environment_that_the_driver_has_now(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lab.add("a")
    task = lab.task('echo "$CHANGING|$ODD" >>LOG')
    monkeypatch.setenv("CHANGING", "before")
    monkeypatch.setitem(os.environb, b"ODD", b"\xff")
    await lab.run(task)
    monkeypatch.setenv("CHANGING", "after")
    await lab.done.delete("a")
    await lab.run(task)
    assert lab.log.read_bytes() == b"before|\xff\nafter|\xff\n"


def test_a_manager_serves_one_loop_after_the_other(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    task: Any = None

    async def run() -> None:
        nonlocal task
        task = task or lab.task("echo {{ job }} >>LOG")
        await lab.run(task)

    asyncio.run(lab.add("a"))
    asyncio.run(run())
    asyncio.run(lab.add("b"))
    asyncio.run(run())
    assert lab.lines() == ["a", "b"]


def gone(process: int) -> bool:
    return not os.path.exists(f"/proc/{process}")


def test_a_launcher_ends_with_its_driver_and_its_jobs_do_not(tmp_path: Path) -> None:
    program = """
import asyncio, os, sys
sys.path[:] = eval(sys.argv[2])
from pathlib import Path
from processes.lab import Lab
async def main():
    lab = Lab(Path(sys.argv[1]))
    await lab.add("a")
    task = lab.task("WAIT; echo {{ job }} >>LOG")
    async with lab.pipeline(task) as pipeline:
        await pipeline.update()
        await lab.running(task, "a")
        launcher = await lab.manager.launcher()
        print(launcher.pid, flush=True)
        os.kill(os.getpid(), 9)
asyncio.run(main())
"""
    driver = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), repr(sys.path)],
        stdout=subprocess.PIPE,
        check=False,
    )
    assert driver.returncode == -signal.SIGKILL
    launcher = int(driver.stdout)
    lab = Lab(tmp_path)

    async def rest() -> None:
        await until(lambda: asyncio.to_thread(gone, launcher))
        lab.go.touch()
        await lab.run(lab.task("WAIT; echo {{ job }} >>LOG"))

    asyncio.run(rest())
    assert lab.lines() == ["a"]
    assert lab.empty()


async def test_a_job_whose_directory_vanishes_before_its_start_is_not_waited_for_ever(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lab.add("a")
    start, vanished = LocalRuns.start, list[str]()

    async def start_without(self: LocalRuns, run: Run, plan: Plan) -> None:
        if not vanished:
            vanished.append(str(run.directory))
            await asyncio.to_thread(shutil.rmtree, run.directory)
        await start(self, run, plan)

    monkeypatch.setattr(LocalRuns, "start", start_without)
    await asyncio.wait_for(lab.run(lab.task("echo {{ job }} >>LOG")), 60)
    assert vanished
    assert await lab.done.contains("a")
    assert lab.empty()


def test_messages_are_put_together_from_any_pieces() -> None:
    sent = [("a", 1, None), ("b" * 1000, {"c": ["d", "\udcff"]}), ()]
    stream = b"".join(written(message) for message in sent)
    for size in (1, 3, 4, 5, 1000, len(stream)):
        messages = Messages()
        pieces = [stream[i : i + size] for i in range(0, len(stream), size)]
        assert [found for piece in pieces for found in messages.take(piece)] == sent


async def test_a_fork_takes_nothing_from_the_driver(lab: Lab) -> None:
    """A fork has its own copies of all objects, and shares what the event loop waits by."""
    await lab.add("a", "b")
    task = lab.task("echo {{ job }} >>LOG")
    async with lab.pipeline(task) as pipeline:
        launcher = await launcher_of(lab)
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                lab.manager._launcher.close()  # type: ignore[attr-defined]
            os._exit(0)
        await asyncio.to_thread(os.waitpid, child, 0)
        await pipeline.run(poll=0.05)
        assert await launcher_of(lab) == launcher
    assert lab.lines() == ["a", "b"]


async def test_jobs_run_where_descriptors_are_short(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("socket.socketpair", refuse)
    await lab.add("a")
    await lab.run(lab.task("echo {{ job }} >>LOG"))
    assert lab.lines() == ["a"]
