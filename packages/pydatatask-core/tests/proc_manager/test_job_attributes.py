"""The attributes of this process that a job has: limits, umask, environment, signals, priority."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from processes.lab import Lab, until

from pydatatask_core.proc_manager import LocalLinuxManager

if TYPE_CHECKING:
    from pathlib import Path

REPORT = (
    f"#!{sys.executable}\n"
    """\
import json, os, resource, signal
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status"))
ignored = int(status["SigIgn"], 16)
limits = {name: resource.getrlimit(getattr(resource, name)) for name in ("RLIMIT_NOFILE",
    "RLIMIT_CORE", "RLIMIT_FSIZE")}
print(json.dumps({
    "umask": int(status["Umask"], 8),
    "ignored": [n for n in range(1, 13) if ignored >> n - 1 & 1],  # Python itself ignores 13 and 25
    "limits": limits,
    "nice": os.getpriority(os.PRIO_PROCESS, 0),
    "cpus": sorted(os.sched_getaffinity(0)),
    "fds": sorted(os.readlink("/proc/self/fd/" + n) for n in "02"),
    "environ": {n: v for n, v in os.environ.items() if n in (
        "spark.home", "BASH_FUNC_module%%", "OPTIND", "CHANGING", "REMOVED")},
}))
"""
)
"""A script that prints its attributes; Python is the only interpreter that ignores ``OPTIND``."""

DRIVER = """
import asyncio, json, os, resource, signal, sys
sys.path[:] = eval(sys.argv[2])
from pathlib import Path
from processes.lab import Lab

SCRIPT = sys.argv[3]

async def main():
    lab = Lab(Path(sys.argv[1]))
    task = lab.task(SCRIPT, stdout=lab.out)
    async with lab.pipeline(task) as pipeline:
        async def run(job):
            await lab.add(job)
            await pipeline.run(poll=0.05)
        BODY
asyncio.run(main())
"""


async def drive(lab: Lab, body: str, script: str = REPORT, *, closed: str = "") -> None:
    """Run a driver in a process of its own.

    :param lab: the folder.
    :param body: statements that run jobs with ``await run(job)`` and change the driver.
    :param script: the script of the jobs.
    :param closed: redirections that close standard streams of the driver.
    """
    program = DRIVER.replace("BODY", body.replace("\n", "\n        "))
    shell = ["/bin/sh", "-c", f'exec "$@" {closed}', "sh"]
    command = [*shell, sys.executable, "-c", program, str(lab.root), repr(sys.path), script]
    driver = await asyncio.to_thread(
        subprocess.run, command, check=False, stderr=None if closed else subprocess.PIPE
    )
    assert driver.returncode == 0, driver.stderr


async def reports(lab: Lab) -> dict[str, Any]:
    """Return the reports of all jobs."""
    jobs = sorted(await lab.done.keys())
    return {job: json.loads(await lab.text(lab.out, job)) for job in jobs}


async def test_a_job_has_the_attributes_that_its_driver_has_when_it_starts(lab: Lab) -> None:
    """They change between two jobs, whether the same supervisor can start the next one or not."""
    body = """
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.umask(0o022)
await run("a")
os.umask(0o027)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
os.environ["CHANGING"] = "1"
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
await run("b")
os.umask(0o077)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
del os.environ["CHANGING"]
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
await run("c")
before = os.getpriority(os.PRIO_PROCESS, 0)
os.nice(3)
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
await run("d")
"""
    await drive(lab, body)
    told = await reports(lab)
    assert [told[job]["umask"] for job in "abcd"] == [0o022, 0o027, 0o077, 0o077]
    assert [told[job]["ignored"] for job in "abcd"] == [[], [1], [], []]
    assert [told[job]["environ"].get("CHANGING") for job in "abcd"] == [None, "1", None, None]
    limits = [told[job]["limits"] for job in "abcd"]
    assert limits[0]["RLIMIT_FSIZE"][0] != limits[1]["RLIMIT_FSIZE"][0] == 1 << 30
    assert limits[2]["RLIMIT_FSIZE"][0] == 1 << 30
    assert limits[2]["RLIMIT_CORE"] == limits[3]["RLIMIT_CORE"] == [0, 0]
    assert told["d"]["nice"] == min(told["a"]["nice"] + 3, 19)
    assert told["a"]["cpus"] == sorted(os.sched_getaffinity(0))
    assert told["d"]["cpus"] == [min(os.sched_getaffinity(0))]


async def test_variables_that_are_no_shell_identifiers_reach_the_jobs(lab: Lab) -> None:
    body = """
os.environb[b"spark.home"] = b"/opt"
os.environb[b"BASH_FUNC_module%%"] = b"() { echo; }"
os.environ["OPTIND"] = "x"
await run("a")
"""
    await drive(lab, body)
    expected = {"spark.home": "/opt", "BASH_FUNC_module%%": "() { echo; }", "OPTIND": "x"}
    assert (await reports(lab))["a"]["environ"] == expected


async def test_a_driver_with_closed_standard_streams_starts_jobs_with_null_files(lab: Lab) -> None:
    await drive(lab, 'await run("a")', closed="<&- >&- 2>&-")
    [first, second] = (await reports(lab))["a"]["fds"]
    assert first == "/dev/null"
    assert second.endswith(("/dev/null", "/.stderr"))


async def test_an_interpreter_that_does_not_exist_is_a_failure_with_a_reason(lab: Lab) -> None:
    await lab.add("a")
    await lab.run(lab.task("#!/no/such/interpreter -x\n"))
    record = await lab.done.info("a")
    assert record["return_code"] == 127
    assert record["stderr_tail"] == "/no/such/interpreter: No such file or directory\n"
    assert lab.empty()


async def test_an_interpreter_that_is_not_executable_is_a_failure_with_a_reason(lab: Lab) -> None:
    await lab.add("a")
    await lab.run(lab.task("#!/etc/passwd\n"))
    record = await lab.done.info("a")
    assert record["return_code"] == 126
    assert record["stderr_tail"] == "/etc/passwd: Permission denied\n"


async def test_a_variable_that_is_too_long_for_the_kernel_is_a_failure_with_a_reason(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lab.add("a")
    task = lab.task("exit 0", environ={"LONG": "x" * (1 << 20)})
    await lab.run(task)
    record = await lab.done.info("a")
    assert record["return_code"] == 126
    assert "Argument list too long" in record["stderr_tail"]


async def test_an_environment_of_500_kib_reaches_the_job(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        monkeypatch.setenv(f"LONG_{number}", "x" * 100 * 1024)
    await lab.add("a")
    await lab.run(
        lab.task("env | grep -c '^LONG_.*xxxx' | tee -a LOG; env | wc -c", stdout=lab.out)
    )
    count, size = map(int, (await lab.text(lab.out)).split())
    assert count == 5
    assert size > 500 * 1024
    monkeypatch.setenv("LONG_0", "short")
    for number in range(1, 5):
        monkeypatch.setenv(f"LONG_{number}", "y" * 100 * 1024)
    await lab.add("b")
    await lab.run(lab.again().task("env | grep -c '^LONG_.*yyyy'", stdout=lab.out))
    assert await lab.text(lab.out, "b") == "4\n"


@pytest.fixture
def manager(tmp_path: Path) -> LocalLinuxManager:
    return LocalLinuxManager("lab", tmp_path / "processes")


async def written(path: Path) -> int:
    """Wait for an exit status, and return it."""

    async def has_status() -> bool:
        return bool((await asyncio.to_thread(path.read_text)).strip())

    await until(has_status)
    return int(await asyncio.to_thread(path.read_text))


async def test_a_command_line_of_500_kib_can_be_spawned(
    tmp_path: Path, manager: LocalLinuxManager
) -> None:
    words = ["x" * 100 * 1024 for _ in range(5)]
    args = ["/bin/sh", "-c", 'printf %s "$@" | wc -c', "sh", *words]
    await manager.spawn(args, {}, str(tmp_path), "status", None, "out", None)
    assert await written(tmp_path / "status") == 0
    assert int((tmp_path / "out").read_text()) == 500 * 1024


async def test_a_spawned_program_survives_its_driver_and_can_be_killed_by_the_next_one(
    tmp_path: Path, manager: LocalLinuxManager
) -> None:
    program = """
import asyncio, os, sys
sys.path[:] = eval(sys.argv[2])
from pydatatask_core import LocalLinuxManager
async def main():
    manager = LocalLinuxManager("lab", sys.argv[1] + "/processes")
    args = ["/bin/sh", "-c", "echo out; sleep 600 & wait"]
    spawned = await manager.spawn(args, {}, sys.argv[1], "status", None, "out", None)
    print(spawned, flush=True)
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""
    command = [sys.executable, "-c", program, str(tmp_path), repr(sys.path)]
    driver = await asyncio.to_thread(
        subprocess.run, command, check=False, stdout=subprocess.PIPE, text=True
    )
    handle = driver.stdout.strip()
    assert await manager.get_live_pids({handle, "not a handle"}) == {handle}
    await until(lambda: asyncio.to_thread(lambda: (tmp_path / "out").read_text() == "out\n"))
    await manager.kill(handle)
    assert await written(tmp_path / "status") == 137

    async def is_dead() -> bool:
        return not await manager.get_live_pids({handle})

    await until(is_dead)
    await manager.kill(handle)  # nothing happens


async def test_a_spawned_program_that_does_not_exist_is_an_error(
    tmp_path: Path, manager: LocalLinuxManager
) -> None:
    from pydatatask_core.errors import ProcessManagerError

    with pytest.raises(ProcessManagerError, match=r"launch '/no/such/program'.*No such file"):
        await manager.spawn(["/no/such/program"], {}, str(tmp_path), "s", None, None, None)


@pytest.mark.timeout(400)
async def test_1500_jobs_run_at_once_with_1024_descriptors(lab: Lab) -> None:
    body = """
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
from pydatatask_core import ResourceManager, Resources
lab.quota = ResourceManager(Resources.parse(1500, 1500))
task = lab.task(SCRIPT.replace("GATE", str(lab.root / "gate")), name="many")
os.mkfifo(lab.root / "gate")
await lab.add(*(f"job{number}" for number in range(1500)))
async with lab.pipeline(task) as many:
    running = asyncio.create_task(many.run(poll=0.5))
    while len(lab.lines()) < 1500:
        assert not running.done(), await running
        await asyncio.sleep(0.1)
    gate = os.open(lab.root / "gate", os.O_RDWR)
    await running
"""
    # The other task of the driver has no jobs: its repository of outputs stays empty.
    await drive(lab, body, f"#!/bin/sh\necho {{{{ job }}}} >>{lab.log}; : <GATE")
    records = await lab.done.info_all()
    assert len(records) == len(set(lab.lines())) == len(lab.lines()) == 1500
    assert all(record["success"] and record["attempt"] == 1 for record in records.values())


SPAWNED = """
import asyncio, sys
sys.path[:] = eval(sys.argv[2])
from pathlib import Path
from processes.lab import Lab
async def main():
    lab = Lab(Path(sys.argv[1]))
    await lab.add("a")
    await lab.run(lab.task("echo ran >>LOG"))
asyncio.run(main())
"""


def test_a_driver_that_was_started_by_posix_spawn_runs_jobs(tmp_path: Path) -> None:
    """The C library ignores its internal signals in such a process."""
    arguments = [sys.executable, "-c", SPAWNED, str(tmp_path), repr(sys.path)]
    pid = os.posix_spawn(sys.executable, arguments, os.environ, setsigdef=[signal.SIGPIPE])
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert (tmp_path / "log").read_text() == "ran\n"
