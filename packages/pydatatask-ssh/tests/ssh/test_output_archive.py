"""The archived output of failed jobs on a remote machine, and the shells of scripts there."""

from __future__ import annotations

import os
import shutil
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.errors import ProcessManagerError
from pydatatask_ssh import SSHLinuxManager

from .labs import connect, new_lab
from .test_pool import Machines, name_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from processes.lab import Lab
    from services.sshd import SSHServer

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


def held(root: Path) -> dict[str, dict[str, str]]:
    """Return the archived output below a directory, by job and stream."""
    return {
        place.name: {path.name: path.read_text() for path in sorted(place.iterdir())}
        for place in sorted(_tasks(root, "failed/*"))
    }


def _tasks(root: Path, pattern: str) -> list[Path]:
    places = (root, root / "processes", *(root / "processes").glob("[0-9]"))
    return [path for place in places for path in place.glob(f"lab-*/task/*/{pattern}")]


def make_old(root: Path, job: str, age: float) -> None:
    (place,) = _tasks(root, f"failed/{job}")
    time = place.stat().st_mtime - age
    os.utime(place, (time, time))


async def test_the_output_of_a_failed_job_is_archived_on_its_machine(
    server: SSHServer, tmp_path: Path
) -> None:
    async with connect(server) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        await lab.add("a", "b")
        template = f"head -c {LONG} /dev/zero | tr '\\0' x; echo end; echo why >&2; false"
        await lab.run(lab.task(template, stdout=lab.out))
        assert await lab.out.keys() == set()
        record = await lab.done.info("a")
        assert record["stdout_tail"] == ("x" * LONG + "end\n")[-65536:]
        assert record["stderr_tail"] == "why\n"
        assert lab.empty()
    async with connect(server) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        task = lab.task("echo fine", stdout=lab.out)
        assert await streams(task) == {"stdout": b"x" * LONG + b"end\n"}
        await task.clean_up({"b", "c"})
        assert held(tmp_path).keys() == {"a"}
        await lab.done.delete("a")
        await lab.run(task)
        assert await lab.text(lab.out) == "fine\n"
        assert held(tmp_path) == {}


async def test_old_output_expires_by_the_clock_of_the_machine(
    sshd: SSHServer, tmp_path: Path
) -> None:
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        await lab.add("a", "b")
        await lab.run(lab.task("echo x; false", stdout=lab.out))
        make_old(tmp_path, "a", 3700)
        async with lab.pipeline(lab.task("true", stdout=lab.out, keep_failed=3600)):
            assert held(tmp_path).keys() == {"b"}


async def test_output_is_copied_if_hard_links_are_not_supported(
    new_sshd: Callable[..., SSHServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect(_without(new_sshd, tmp_path, "ln")) as connection:
        lab = new_lab(tmp_path / "lab", lambda: connection)
        await _fail_twice(lab)


async def _fail_twice(lab: Lab) -> None:
    await lab.add("a")
    for text in ("first", "second"):
        await lab.run(lab.task(f"echo {text}; false", stdout=lab.out))
        assert held(lab.root) == {"a": {".stdout": f"{text}\n"}}
        assert lab.empty()
        await lab.done.delete("a")


async def test_output_that_cannot_be_archived_stays_in_the_run_directory_until_it_can(
    new_sshd: Callable[..., SSHServer],
    sshd: SSHServer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with connect(_without(new_sshd, tmp_path, "ln", "cp")) as connection:
        lab = new_lab(tmp_path / "lab", lambda: connection)
        await lab.add("a")
        await lab.run(lab.task("echo x; false", stdout=lab.out))
        assert "stays in" in caplog.text
        assert await lab.pids.keys() == set()
        assert await streams(lab.task("true", stdout=lab.out)) == {"stdout": b"x\n"}
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path / "lab", lambda: connection)
        async with lab.pipeline(lab.task("true", stdout=lab.out)):
            assert held(lab.root) == {"a": {".stdout": "x\n"}}
        assert lab.directories() == []


def _without(new_sshd: Callable[..., SSHServer], tmp_path: Path, *missing: str) -> SSHServer:
    """Return a server whose logins do not find some programs."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for folder in ("/usr/bin", "/bin"):
        for tool in os.listdir(folder):
            if tool not in missing and not (tools / tool).is_symlink():
                (tools / tool).symlink_to(shutil.which(tool, path=folder) or f"{folder}/{tool}")
    return new_sshd(f"SetEnv=PATH={tools}")


# -- several machines ------------------------------------------------------------------------------


async def test_archived_output_is_read_from_the_machine_that_ran_the_job(
    new_sshd: Callable[..., SSHServer], tmp_path: Path
) -> None:
    servers = new_sshd(), new_sshd()
    async with Machines(tmp_path, *servers) as machines:
        lab, pool = machines.lab, machines.task.backend
        await lab.add("job0", "job1", "job2")
        manager = machines.task._manager
        lab.go.touch()
        await lab.run(lab.task("echo {{ job }}; WAIT; false", manager=manager, stdout=lab.out))
        hosts = {job: record["host"] for job, record in (await lab.done.info_all()).items()}
        assert len(pool.hosts) == 2
    assert set(hosts.values()) <= set(map(name_of, servers))
    async with Machines(tmp_path, *servers) as machines:
        task = machines.task
        for number, server in enumerate(servers):
            here = held(tmp_path / "processes" / str(number)).keys()
            assert here == {job for job, host in hosts.items() if host == name_of(server)}
        for job in hosts:
            assert await streams(task, job) == {"stdout": f"{job}\n".encode()}
        await task.clean_up(hosts.keys())
        assert held(tmp_path) == {}


# -- shells ----------------------------------------------------------------------------------------


async def record_of(lab: Lab, template: str, **options: Any) -> dict[str, Any]:
    await lab.add("a")
    await lab.run(lab.task(template, stdout=lab.out, **options))
    record = await lab.done.info("a")
    assert isinstance(record, dict)
    return record


async def test_a_failing_command_inside_a_pipe_fails_the_job(
    server: SSHServer, tmp_path: Path
) -> None:
    async with connect(server) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        record = await record_of(lab, "false | cat; echo not reached")
        assert (record["success"], record["return_code"]) == (False, 1)
        assert "`grep` without a match" in record["reason"]


@pytest.mark.parametrize("of", ["task", "manager"])
async def test_another_shell_can_be_chosen(sshd: SSHServer, tmp_path: Path, of: str) -> None:
    async with connect(sshd) as connection:
        options = {"shell": "sh"}
        lab = new_lab(tmp_path, lambda: connection, **(options if of == "manager" else {}))
        record = await record_of(
            lab, "false | cat; false; echo reached", **(options if of == "task" else {})
        )
        assert record["success"] is True
    with pytest.raises(ProcessManagerError, match="shell must be a command line"):
        SSHLinuxManager("app", lambda: connection, shell="")


async def test_a_machine_without_bash_causes_one_warning(
    new_sshd: Callable[..., SSHServer], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = _without(new_sshd, tmp_path, "bash")
    async with connect(server) as connection:
        lab = new_lab(tmp_path / "lab", lambda: connection)
        record = await record_of(lab, "false | cat; echo reached; false; echo not reached")
        assert (record["return_code"], record["stdout_tail"]) == (1, "reached\n")
        assert caplog.text.count(f"{name_of(server)} has no bash") == 1
