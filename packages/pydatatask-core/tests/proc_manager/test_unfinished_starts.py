"""Jobs whose supervisor was killed between the decision that they run and the write of it."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from processes.lab import make_entry, rewrite_entry

from pydatatask_core import LocalLinuxManager
from pydatatask_core.proc_manager import ProcessRun, ProcessState
from pydatatask_core.proc_manager.local import pidfd
from pydatatask_core.proc_manager.local.supervisor import recovery
from pydatatask_core.proc_manager.local.supervisor.jobs import Job, Jobs
from pydatatask_core.proc_manager.local.supervisor.procfs import read_clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEAD_PAIR = "4194300.1 4194301.1 1 10.0"
"""The processes of a supervisor that does not exist, and the number and grace of its job."""


@pytest.fixture
async def manager(tmp_path: Path) -> LocalLinuxManager:
    manager = LocalLinuxManager("lab", tmp_path / "processes")
    await manager.validate()
    return manager


@pytest.fixture
def run(manager: LocalLinuxManager) -> ProcessRun:
    directory = manager.basedir / "runs" / "a"
    directory.mkdir(parents=True)
    (directory / ".script").touch()
    return ProcessRun(directory, "host")


@pytest.fixture
def working(run: ProcessRun) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process that leads a session and works in the run directory."""
    with subprocess.Popen(["sleep", "600"], cwd=run.directory, start_new_session=True) as process:
        yield process
        process.kill()


async def decided(run: ProcessRun, manager: LocalLinuxManager, ticks: int) -> None:
    """Write the entry of a job that was to be started at a time relative to now."""
    entry = await make_entry(run.directory)
    fields = {
        "pair": f"{DEAD_PAIR} {read_clock() + ticks}",
        "origin": str(await manager.find_origin()),
    }
    rewrite_entry(entry, **fields)


async def test_the_process_of_a_job_is_found_by_its_directory(
    manager: LocalLinuxManager, run: ProcessRun, working: subprocess.Popen[bytes]
) -> None:
    """T1: it would count as lost although it runs."""
    await decided(run, manager, -100)
    status = await manager.backend.inspect(run)
    assert status.state is ProcessState.RUNNING
    assert status.handle is not None
    assert status.handle.startswith(f"{working.pid}.")


@pytest.mark.parametrize("ticks", [-100_000, 100_000], ids=["long ago", "in the future"])
async def test_another_process_in_the_directory_is_not_taken_for_the_job(
    manager: LocalLinuxManager, run: ProcessRun, working: subprocess.Popen[bytes], ticks: int
) -> None:
    """T3: it might be the shell of a user, and would be killed with the job."""
    await decided(run, manager, ticks)
    assert (await manager.backend.inspect(run)).state is ProcessState.LOST
    assert not await manager.backend.terminate(run, "killed", force=True)
    assert working.poll() is None


def test_a_job_is_not_revoked_if_its_process_may_be_elsewhere(tmp_path: Path) -> None:
    """T1: without prctl(2), orphans become children of process 1."""
    entry = tmp_path / "a@1"
    entry.write_bytes(b"")
    reports = list[object]()
    jobs, notes = Jobs(lambda *report: reports.append(report)), recovery.Notes()
    notes.add(os.fsencode(tmp_path))
    job = Job(1, os.fsencode(entry), None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recovery, "_read_entry", lambda path, pair: (None, job))
        patch.setattr(recovery, "_find_process", lambda job, children: [])
        recovery.take_over(jobs, notes, b"1.1", reports.append, adopts=False)
        assert entry.exists()
        recovery.take_over(jobs, notes, b"1.1", lambda *r: reports.append(r), adopts=True)
    assert not entry.exists()
    assert len(reports) == 1


@pytest.mark.parametrize("content", [b"", b"\n\n1.1\n", b"\n\n1.1 2.2 x y z\n", b"\xff" * 9000])
def test_a_takeover_skips_what_is_not_an_entry(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a@1").write_bytes(content)
    (tmp_path / "b@2").mkdir()
    jobs, notes = Jobs(lambda *_: None), recovery.Notes()
    notes.add(os.fsencode(tmp_path))
    notes.add(b"/nonexistent")
    recovery.take_over(jobs, notes, b"1.1", lambda *_: None, adopts=True)
    assert jobs.by_pid == {}


FULL_DISK = """
import errno, os, sys
sys.path[:] = eval(sys.argv[2])
from pydatatask_core.proc_manager.local.supervisor import jobs
written, refused = jobs.write_status, []
def refuse(entry, code):
    if len(refused) < 2:  # a pass over the ended jobs tries twice
        refused.append(code)
        raise OSError(errno.ENOSPC, "No space left on device")
    written(entry, code)
jobs.write_status = refuse
entry = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
os.write(entry, b" " * 200)
running = jobs.Jobs(print)
pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 7"], {}, setsid=True)
running.by_pid[pid] = jobs.Job(1, os.fsencode(sys.argv[1]), 10.0)
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
running.reap()
assert refused and os.path.exists(f"/proc/{pid}"), "it was reaped without a status"
assert running.timeout() is not None
running.reap()
assert not running.by_pid and not os.path.exists(f"/proc/{pid}")
assert int(open(sys.argv[1]).read(7)) == 7
"""


def test_a_process_is_not_reaped_before_its_status_is_written(tmp_path: Path) -> None:
    """T2: some file systems need space to overwrite a file."""
    program = [sys.executable, "-c", FULL_DISK, str(tmp_path / "a@1"), repr(sys.path)]
    assert subprocess.run(program, check=False).returncode == 0


def test_descriptors_of_processes_leave_some_to_the_driver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with subprocess.Popen(["sleep", "600"]) as process:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (8, 8))
        opened = [pidfd.PidFd.of(process.pid, lambda: True) for _ in range(4)]
        limited = sum(fd is not None for fd in opened)
        for fd in opened:
            if fd is not None:
                fd.close()
        process.send_signal(signal.SIGKILL)
    assert limited <= 2
