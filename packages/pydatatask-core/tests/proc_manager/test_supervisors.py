"""The supervisor programs of a driver, and their relation to its loops, threads and forks."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from processes.lab import Lab, until

from pydatatask_core import LocalLinuxManager, ResourceManager, Resources
from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.proc_manager import LaunchSpec, ProcessRun, ProcessState
from pydatatask_core.proc_manager.local import pair
from pydatatask_core.proc_manager.local.backend import LocalBackend
from pydatatask_core.proc_manager.protocol.run_directory import STDOUT_FILE

from .sabotage import is_gone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


TELL = "echo {{ job }} $PPID >>LOG"
"""A script that writes the process id of its supervisor, the inner process."""


def told(lab: Lab) -> dict[str, int]:
    """Return the supervisor of each job that has written it."""
    return {job: int(pid) for job, pid in (line.split() for line in lab.lines())}


def gone(process: int) -> bool:
    """Return whether a process does not exist, not even as a zombie."""
    return not os.path.exists(f"/proc/{process}")


async def two_managers(folder: Path) -> tuple[LocalLinuxManager, LocalLinuxManager]:
    """Return the managers of two drivers, which do not share any state."""
    manager, other = (LocalLinuxManager("lab", folder / "processes") for _ in range(2))
    await manager.validate()
    return manager, other


async def is_running(manager: LocalLinuxManager, run: ProcessRun) -> bool:
    """Return whether a run has begun, and is not known to be over."""
    status = await manager.backend.inspect(run, fence=False)
    return status.state is ProcessState.RUNNING


async def is_identified(manager: LocalLinuxManager, run: ProcessRun) -> bool:
    """Return whether the process of a run is in the journal."""
    return (await manager.backend.inspect(run, fence=False)).handle is not None


async def over(run: ProcessRun) -> None:
    """Wait until the supervisor of this process has finished with a run."""

    async def is_over() -> bool:
        return bool(run.supervised and run.supervised.is_over)

    await until(is_over)


def start_differently(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], Awaitable[object]]
) -> None:
    """Change the directory of the next job right before its start."""
    start, done = LocalBackend.start, list[Path]()

    async def changed(self: LocalBackend, run: ProcessRun, spec: LaunchSpec) -> None:
        if not done:
            done.append(run.directory)
            await change(run.directory)
        await start(self, run, spec)

    monkeypatch.setattr(LocalBackend, "start", changed)


async def test_one_supervisor_runs_all_jobs(lab: Lab) -> None:
    jobs = [f"job{number}" for number in range(6)]
    await lab.add(*jobs)
    lab.quota = ResourceManager(Resources.parse(3, 3))
    await lab.run(lab.task(TELL))
    assert told(lab).keys() == set(jobs)
    assert len(set(told(lab).values())) == 1
    assert lab.empty()


async def test_a_supervisor_that_cannot_start_is_an_error_that_names_the_interpreter(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair, "_CODE", "import sys; sys.exit(1)")
    await lab.add("a")
    with pytest.raises(ProcessManagerError, match=r"did not start: `.*python.* -I -S` must"):
        await lab.task(TELL).launch("a")


async def test_an_interpreter_that_is_unknown_is_an_error(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "")
    await lab.add("a")
    with pytest.raises(ProcessManagerError, match=r"sys\.executable is not set"):
        await lab.task(TELL).launch("a")


async def test_a_job_assigned_to_a_supervisor_that_is_then_killed_runs_nevertheless(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor never reads the request, and only the journal shows that it was lost."""
    task = lab.task("echo {{ job }} $PPID >>LOG")
    async with lab.pipeline(task) as pipeline:
        await lab.add("a")
        await pipeline.run(poll=0.05)
        outer, inner = await asyncio.to_thread(pair_of, lab)

        async def freeze(_: Path) -> None:
            os.kill(inner, signal.SIGSTOP)

        start_differently(monkeypatch, freeze)
        await lab.add("b")
        await pipeline.update()
        os.kill(inner, signal.SIGKILL)
        os.kill(outer, signal.SIGKILL)
        await pipeline.run(poll=0.05)
    assert told(lab).keys() == {"a", "b"}
    assert (await lab.done.info("b"))["attempt"] == 1
    assert lab.empty()


def pair_of(lab: Lab) -> tuple[int, int]:
    """Return the outer and the inner process of the current supervisor of this process."""
    manager: Any = lab.manager
    [supervisors] = manager._supervisors.values()
    current = supervisors.pairs[-1]
    return current.outer_pid, current.inner_pid


async def test_jobs_get_the_current_environment_of_the_driver(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lab.add("a")
    task = lab.task('echo "$CHANGING|${ODD-}" >>LOG')
    monkeypatch.setenv("CHANGING", "before")
    monkeypatch.setitem(os.environb, b"ODD", b"\xff")
    await lab.run(task)
    monkeypatch.setenv("CHANGING", "after")
    monkeypatch.delenv("ODD")
    for _ in range(2):
        await lab.done.delete("a")
        await lab.run(task)
    assert lab.log.read_bytes() == b"before|\xff\n" + 2 * b"after|\n"


def test_a_manager_serves_one_loop_after_another(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    task: Any = None

    async def run() -> None:
        nonlocal task
        task = task or lab.task(TELL)
        await lab.run(task)

    for job in ("a", "b"):
        asyncio.run(lab.add(job))
        asyncio.run(run())
    assert told(lab).keys() == {"a", "b"}

    async def ended() -> bool:
        return await asyncio.to_thread(gone, told(lab)["a"])

    asyncio.run(until(ended))  # its loop is closed


def test_a_manager_serves_two_loops_at_the_same_time(tmp_path: Path) -> None:
    manager = LocalLinuxManager("lab", tmp_path / "processes")
    both = threading.Barrier(2, timeout=50)
    labs = [Lab(tmp_path / name) for name in ("one", "two")]

    async def drive(lab: Lab) -> None:
        lab.root.mkdir()
        await lab.add("a", "b")
        task = lab.task("WAIT; " + TELL, manager=lambda: manager)
        async with lab.pipeline(task) as pipeline:
            await pipeline.update()
            await asyncio.to_thread(both.wait)
            lab.go.touch()
            await pipeline.run(poll=0.05, timeout=50)

    threads = [threading.Thread(target=asyncio.run, args=(drive(lab),)) for lab in labs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [told(lab).keys() for lab in labs] == [{"a", "b"}] * 2


async def test_a_loop_of_another_thread_may_start_while_closed_loops_are_removed(
    tmp_path: Path,
) -> None:
    manager = LocalLinuxManager("lab", tmp_path)
    kept: dict[Any, Any] = manager._supervisors

    class Closed:
        def is_closed(self) -> bool:
            kept.setdefault("another", kept[self])
            return True

    kept[Closed()] = None
    assert manager.supervisors.is_usable
    assert list(kept) == ["another", asyncio.get_running_loop()]


def test_supervisors_exit_with_their_driver_and_their_jobs_continue(tmp_path: Path) -> None:
    program = """
import asyncio, os, sys
sys.path[:] = eval(sys.argv[2])
from pathlib import Path
from processes.lab import Lab
async def main():
    lab = Lab(Path(sys.argv[1]))
    await lab.add("a")
    await lab.run(lab.task("echo {{ job }} $PPID >>LOG"))
    await lab.add("b", "c")
    task = lab.task("echo {{ job }} $PPID >>LOG; WAIT; exit 3")
    async with lab.pipeline(task) as pipeline:
        await pipeline.update()
        await lab.running(task, "b", "c")
        os.kill(os.getpid(), 9)
asyncio.run(main())
"""
    driver = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), repr(sys.path)],
        check=False,
    )
    assert driver.returncode == -signal.SIGKILL
    lab = Lab(tmp_path)

    async def rest() -> None:
        assert not any(gone(told(lab)[job]) for job in told(lab).keys() & {"b", "c"})
        lab.go.touch()
        await lab.run(lab.task("WAIT; exit 3"))
        await until(lambda: asyncio.to_thread(lambda: all(map(gone, told(lab).values()))))

    asyncio.run(rest())
    for job in ("b", "c"):
        assert asyncio.run(lab.done.info(job))["return_code"] == 3
    assert told(lab).keys() == {"a", "b", "c"}
    assert lab.empty()


async def test_a_job_inherits_nothing_of_the_driver_and_its_supervisor(lab: Lab) -> None:
    """It has other open files, signal handlers, session and process group."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    os.dup2(writing, 900)
    await lab.add("a", "b")
    script = (
        "ls /proc/self/fd; grep -E 'Sig(Ign|Blk)' /proc/self/status; grep SigCgt /proc/$$/status; "
    )
    try:
        await lab.run(lab.task(script + "ps -o pgid=,sid= -p $$; echo $$", stdout=lab.out))
    finally:
        for fd in (reading, writing, 900):
            os.close(fd)
    for job in ("a", "b"):
        words = (await lab.text(lab.out, job)).split()
        assert words[:4] == ["0", "1", "2", "3"]  # the last one is the directory that ls reads
        blocked, ignored, caught = (int(words[n], 16) for n in (5, 7, 9))
        assert blocked == 0
        assert not ignored & (1 << 31) - 1
        assert not caught & sum(1 << number - 1 for number in (signal.SIGHUP, signal.SIGTERM))
        group, session, process = words[10:]
        assert group == session == process


async def test_all_watchers_of_a_job_are_notified_of_its_exit(tmp_path: Path) -> None:
    """T2: two pipelines of one process may share a manager."""
    manager, _ = await two_managers(tmp_path)
    run, *others = (ProcessRun(manager.basedir / "a", "host") for _ in range(3))
    await manager.backend.create(
        run, spec := LaunchSpec(b"while [ ! -e go ]; do sleep 0.02; done", {})
    )
    await manager.backend.start(run, spec)
    told = list[int]()
    stops = [
        manager.backend.watch(it, partial(told.append, n)) for n, it in enumerate([run, *others])
    ]
    stop = stops[1]
    assert stop is not None
    stop()
    (run.directory / "go").touch()
    await over(run)
    assert told == [0, 2]


async def test_supervisors_exit_when_their_manager_is_collected(lab: Lab) -> None:
    await lab.add("a")
    await lab.run(lab.task(TELL))
    pids = await asyncio.to_thread(pair_of, lab)
    assert not any(map(is_gone, pids))
    del lab.manager, lab.quota  # the resource manager refers to its users

    async def collected() -> bool:
        gc.collect()
        return all(map(is_gone, pids))

    await until(collected)


async def test_a_job_whose_directory_is_removed_before_its_start_is_launched_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def vanish(place: Path) -> None:
        await asyncio.to_thread(shutil.rmtree, place)

    start_differently(monkeypatch, vanish)
    await lab.add("a")
    await lab.run(lab.task(TELL), timeout=50)
    assert told(lab).keys() == {"a"}
    assert (await lab.done.info("a"))["success"]
    assert lab.empty()


async def test_a_late_supervisor_does_not_touch_the_next_directory_of_that_name(
    tmp_path: Path,
) -> None:
    """T1: the next driver has removed the directory in its request."""
    log = tmp_path / "log"
    manager, other = await two_managers(tmp_path)
    plans = [LaunchSpec(f"echo {name} >>{log}".encode(), {}) for name in ("first", "late", "next")]
    process_runs = [ProcessRun(manager.basedir / name, "host") for name in ("a", "b", "b")]
    await manager.backend.create(process_runs[0], plans[0])
    await manager.backend.start(process_runs[0], plans[0])
    await over(process_runs[0])
    inner = manager.supervisors.pairs[-1].inner_pid
    os.kill(inner, signal.SIGSTOP)
    await manager.backend.create(process_runs[1], plans[1])
    await manager.backend.start(process_runs[1], plans[1])
    assert (await other.backend.inspect(process_runs[2])).state is ProcessState.NEVER_STARTED
    await other.backend.remove(process_runs[2])
    await other.backend.create(process_runs[2], plans[2])
    os.kill(inner, signal.SIGCONT)
    await over(process_runs[1])
    assert (await other.backend.inspect(process_runs[2], fence=False)).state is ProcessState.CREATED
    await other.backend.start(process_runs[2], plans[2])
    await over(process_runs[2])
    assert (await other.backend.inspect(process_runs[2])).return_code == 0
    assert log.read_text() == "first\nnext\n"


async def test_a_status_that_a_supervisor_of_another_driver_writes_late_is_awaited(
    tmp_path: Path,
) -> None:
    """P3: the process has exited, and the supervisor has not written the status yet."""
    manager, other = await two_managers(tmp_path)
    run, found = (ProcessRun(manager.basedir / "a", "host") for _ in range(2))
    await manager.backend.create(
        run, spec := LaunchSpec(b"while [ ! -e go ]; do sleep 0.02; done", {})
    )
    await manager.backend.start(run, spec)
    await until(lambda: is_identified(other, found))
    ended = asyncio.Event()
    assert other.backend.watch(found, ended.set)
    inner = manager.supervisors.pairs[-1].inner_pid
    os.kill(inner, signal.SIGSTOP)
    (run.directory / "go").touch()
    await ended.wait()
    assert await is_running(other, found)
    ended.clear()
    assert other.backend.watch(found, ended.set)
    os.kill(inner, signal.SIGCONT)
    await ended.wait()
    await over(run)
    assert (await other.backend.inspect(found)).return_code == 0


async def test_a_job_whose_output_cannot_be_opened_is_not_run_and_launched_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def obstruct(place: Path) -> None:
        await asyncio.to_thread((place / STDOUT_FILE).mkdir)

    start_differently(monkeypatch, obstruct)
    await lab.add("a")
    await lab.run(lab.task(TELL + "; echo out", stdout=lab.out), timeout=50)
    assert len(lab.lines()) == 1
    assert await lab.text(lab.out) == "out\n"
    assert lab.empty()


async def test_a_fork_does_not_interfere_with_the_driver(lab: Lab) -> None:
    """A fork has its own copies of all objects, and shares the selector of the event loop."""
    await lab.add("a", "b")
    task = lab.task("WAIT; " + TELL)
    async with lab.pipeline(task) as pipeline:
        await pipeline.update()
        await lab.running(task, "a", "b")
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                lab.manager.supervisors.close()  # type: ignore[attr-defined]
            os._exit(0)
        await asyncio.to_thread(os.waitpid, child, 0)
        lab.go.touch()
        await pipeline.run(poll=0.05, timeout=50)
    assert told(lab).keys() == {"a", "b"}
    assert all(record["success"] for record in (await lab.done.info_all()).values())


async def test_a_surviving_fork_does_not_hide_the_end_of_a_supervisor(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T2: the fork may be a worker of a process pool, forked while a supervisor is started."""
    children = list[int]()
    start = pair._start

    def fork_and_start(connection: int, attributes: Any) -> int:
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
        children.append(child)
        return start(connection, attributes)

    monkeypatch.setattr(pair, "_start", fork_and_start)
    await lab.add("a")
    both = "read -r _ _ _ outer _ </proc/$PPID/stat; kill -KILL $outer $PPID"
    try:
        await lab.run(lab.task(f"{TELL}; {both}"), timeout=50)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            await asyncio.to_thread(os.waitpid, child, 0)
    assert "supervisor was killed" in (await lab.done.info("a"))["reason"]


async def test_jobs_run_once_descriptors_are_available_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, times = socket.socketpair, list[int]()

    def refuse_once(*args: Any) -> Any:
        times.append(1)
        if len(times) == 1:
            raise OSError(24, "Too many open files")
        return made(*args)

    monkeypatch.setattr("socket.socketpair", refuse_once)
    await lab.add("a")
    await lab.run(lab.task(TELL), timeout=50)
    assert len(times) == 2
    assert told(lab).keys() == {"a"}


ODD = ["with 'quotes' \"and\" $(dollars)", "two\nlines", "-n", "\u0101\u0102\u0107\u0108", "*"]


@pytest.mark.parametrize("name", ODD, ids=ascii)
async def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    lab = Lab(tmp_path)
    lab.manager = LocalLinuxManager("lab", tmp_path / name / "processes")
    await asyncio.to_thread((tmp_path / name).mkdir)
    await lab.add("a")
    task = lab.task("cat; echo bad >&2; " + TELL, stdin=lab.inp, stdout=lab.out, stderr=lab.err)
    await lab.run(task, timeout=50)
    assert await lab.text(lab.out) == "input of a\n"
    assert await lab.text(lab.err) == "bad\n"
    assert told(lab).keys() == {"a"}


@pytest.mark.parametrize("killed", [["inner_pid"], ["outer_pid", "inner_pid"]], ids=str)
async def test_jobs_that_wait_for_a_full_socket_are_started_by_another_supervisor(
    lab: Lab, killed: list[str]
) -> None:
    """T4: the supervisor that was killed has not received them."""
    jobs = [f"job{number}" for number in range(40)]
    lab.quota = ResourceManager(Resources.parse(50, 50))
    await lab.add("first")
    await lab.run(lab.task(TELL))
    manager: Any = lab.manager
    [first] = manager.supervisors.pairs
    os.kill(first.inner_pid, signal.SIGSTOP)
    await lab.add(*jobs)
    # Each request is half as long as a packet may be.
    task = lab.task(TELL, environ={"PADDING": "x" * (1 << 14)})
    async with lab.pipeline(task) as pipeline:
        running = asyncio.create_task(pipeline.run(poll=0.05, timeout=50))

        async def is_full() -> bool:
            return bool(first._writable)

        await until(is_full)
        for process in killed:
            os.kill(getattr(first, process), signal.SIGKILL)
        await running
    assert sorted(job for job, _ in (line.split() for line in lab.lines())) == sorted(
        ["first", *jobs]
    )
    assert all(record["success"] for record in (await lab.done.info_all()).values())
    assert lab.empty()
