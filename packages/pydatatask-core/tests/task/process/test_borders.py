"""Jobs are untrusted: the driver treats their files as data and never takes a PID from them."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import pytest
from processes.lab import until

from pydatatask_core.proc_manager.local.run_files import RunDirectory, RunFileError

from .hostile import ATTACKS, REFUSED, SECRET, Attack, Canary, carry_out, never_blocked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from processes.lab import Lab

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

AS_OTHER = "setpriv --reuid 1001 --regid 1001 --clear-groups sh -c"
NO_REGULAR_FILE = "is not a regular file any more"


@pytest.fixture
def canary(lab: Lab) -> Iterator[Canary]:
    canary = Canary(lab.root)
    yield canary
    canary.close()


@needs_root
async def test_a_symbolic_link_in_place_of_stdout_publishes_nothing(
    lab: Lab, canary: Canary
) -> None:
    """A program of another user, as in a container, can access only the run directory."""
    canary.file.chmod(0o600)
    inner = f"rm .stdout; ln -s {canary.file} .stdout"
    await lab.add("a")
    await lab.run(lab.task(f"chmod 777 .; {AS_OTHER} '{inner}'", stdout=lab.out))
    record = await lab.done.info("a")
    assert f"`.stdout` {NO_REGULAR_FILE} (it is a symbolic link)" in record["reason"]
    assert await lab.out.keys() == set()
    assert lab.held() == {}
    assert lab.empty()


@needs_root
@pytest.mark.parametrize("whose", ["another name", "another user"])
async def test_a_hard_link_or_a_file_of_another_user_in_place_of_stdout_publishes_nothing(
    lab: Lab, canary: Canary, whose: str
) -> None:
    script = f"rm .stdout; ln {canary.file} .stdout"
    if whose == "another user":
        script = f"chmod 777 .; {AS_OTHER} 'rm .stdout; echo mine >.stdout'"
    await lab.add("a")
    await lab.run(lab.task(script, stdout=lab.out))
    assert NO_REGULAR_FILE in (await lab.done.info("a"))["reason"]
    assert await lab.out.keys() == set()


@pytest.mark.parametrize("name", [".stdout", ".status", ".stderr"])
async def test_a_fifo_blocks_neither_the_driver_nor_other_jobs(lab: Lab, name: str) -> None:
    await lab.add("a", "b")
    script = f"[ {{{{ job }}}} = b ] || {{ rm -rf {name}; mkfifo {name}; }}; echo x"
    async with never_blocked():
        await lab.run(lab.task(script, stdout=lab.out))
    records = await lab.done.info_all()
    assert records["b"]["success"] is True
    refused = name in (".stdout", ".stderr")
    assert records["a"]["success"] is not refused
    if refused:
        assert f"`{name}` {NO_REGULAR_FILE} (it is a FIFO)" in records["a"]["reason"]
    assert lab.empty()


@pytest.mark.parametrize("how", ["kill", "timeout"])
async def test_a_forged_status_causes_no_signal_to_another_process(
    lab: Lab, canary: Canary, how: str
) -> None:
    await lab.add("a")
    options: dict[str, Any] = {"timeout": 0.5} if how == "timeout" else {}
    script = f"cp {canary.folder}/.status .status; echo ready >>LOG; exec sleep 600"
    task = lab.task(script, **options)
    async with lab.pipeline(task) as pipeline:
        await pipeline.update()
        await lab.logged()
        if how == "kill":
            assert await task.kill("a", grace=5.0)
        await pipeline.run(poll=0.05)
    record = await lab.done.info("a")
    assert record["timed_out" if how == "timeout" else "killed"] is True
    assert record["signal"] == "SIGTERM"
    canary.check(lab.root)


@needs_root
async def test_a_forged_status_of_a_child_of_init_causes_no_signal(
    lab: Lab, canary: Canary
) -> None:
    """Process 1 always lives, and is older than any start time."""
    boot = canary.status.splitlines(keepends=True)[1]
    fields = " ".join(["1"] + ["0"] * 17 + ["9999999999999", "0", "0"])
    forged = lab.root / "forged"
    forged.write_text(f"{'':7}\n{boot}{canary.process.pid} (x) S {fields}\n")
    forged.chmod(0o644)
    inner = "cat >.s; rm -f .status; mv .s .status; sleep 600"
    await lab.add("a")
    script = f"chmod 777 .; exec {AS_OTHER} '{inner}' <{forged}"
    await lab.run(lab.task(script, timeout=0.5))
    assert (await lab.done.info("a"))["timed_out"] is True
    canary.check(lab.root)


async def test_a_forged_success_is_ignored_while_the_process_lives(lab: Lab) -> None:
    await lab.add("a")
    script = "echo half; printf '%7d\\n' 0 >.status; echo ran >>LOG; WAIT; echo end; exit 3"
    task = lab.task(script, stdout=lab.out)
    await task.launch("a")
    await lab.logged()
    task.attach(None)
    lab.quota = lab.again().quota
    second = lab.task(script, stdout=lab.out)
    async with lab.pipeline(second) as pipeline:
        assert second.running == {"a"}
        await pipeline.update()
        assert await lab.done.keys() == await lab.out.keys() == set()
        lab.go.touch()
        await pipeline.run(poll=0.05)
    assert (await lab.done.info("a"))["return_code"] == 3
    assert await lab.out.keys() == set()


async def test_a_record_of_a_forged_directory_causes_no_signal_and_publishes_nothing(
    lab: Lab, canary: Canary
) -> None:
    await lab.add("a")
    await lab.pids.validate()
    await lab.pids.dump("a", {"handle": str(canary.folder), "host": "localhost"})
    await lab.run(lab.task("sleep 1", stdout=lab.out, timeout=0.1))
    assert await lab.out.keys() == await lab.done.keys() == set()
    canary.check(lab.root)


async def test_a_driver_that_finds_a_fifo_continues_and_can_be_cancelled(lab: Lab) -> None:
    await lab.add("a", "b", "c")
    script = "[ {{ job }} != a ] || { rm .stdout; mkfifo .stdout; }; echo {{ job }}"

    async def is_done(*jobs: str) -> None:
        async def done() -> bool:
            return await lab.done.keys() >= set(jobs)

        await until(done)

    async with lab.pipeline(lab.task(script, stdout=lab.out)) as pipeline:
        running = asyncio.create_task(pipeline.run(forever=True, poll=0.05))
        await is_done("a", "b", "c")
        await lab.add("e")
        await is_done("e")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert await lab.out.keys() == {"b", "c", "e"}
    await lab.run(lab.again().task(script, stdout=lab.out))
    assert lab.empty()


# -- jobs of an earlier driver ---------------------------------------------------------------------


def ended(pid: int) -> bool:
    return not os.path.exists(f"/proc/{pid}")


async def adopted(lab: Lab, canary: Canary, change: Any) -> Any:
    """Return the record of a job whose directory changes before the next driver adopts it."""
    await lab.add("a", "b")
    task = lab.task("echo {{ job }} $$ >>LOG; WAIT", stdout=lab.out)
    for job in ("a", "b"):
        await task.launch(job)

    async def both() -> bool:
        return len(lab.lines()) == 2

    await until(both)
    task.attach(None)
    change(task.runs.new("a").directory)
    lab.quota = lab.again().quota
    second = lab.task("echo again >>LOG", stdout=lab.out)
    async with lab.pipeline(second) as pipeline:
        for _ in range(3):
            await pipeline.update()
        pid = int(lab.lines()[0].split()[1])

        async def gone() -> bool:
            return await asyncio.to_thread(ended, pid)

        await until(gone)  # although no script was released yet
        lab.go.touch()
        await pipeline.run(poll=0.05)
    records = await lab.done.info_all()
    assert records["b"]["success"] is True
    canary.check(lab.root)
    return records["a"]


async def test_a_job_whose_directory_became_a_link_is_terminated_and_has_failed(
    lab: Lab, canary: Canary
) -> None:
    def change(place: Path) -> None:
        place.rename(lab.root / "elsewhere")
        place.symlink_to(canary.folder)

    record = await adopted(lab, canary, change)
    assert record["success"] is False
    assert "`a` is not its run directory any more (it is a symbolic link)" in record["reason"]


async def test_a_job_whose_directory_is_gone_is_terminated_and_lost(
    lab: Lab, canary: Canary
) -> None:
    record = await adopted(lab, canary, shutil.rmtree)
    assert record["lost"] is True
    assert "is gone" in record["reason"]


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", sorted(REFUSED))
def test_only_regular_files_are_opened(tmp_path: Path, lab: Lab, how: str) -> None:
    canary = Canary(tmp_path)
    place = tmp_path / "run"
    place.mkdir()
    try:
        carry_out(Attack(".stdout", how), place, canary, random.Random(1))
        with RunDirectory(str(place)) as directory:
            with pytest.raises(RunFileError, match=r"`\.stdout` is not a regular file any more"):
                directory.open(".stdout")
            with pytest.raises(RunFileError):
                directory.read(".stdout")
    finally:
        canary.close()


@pytest.mark.parametrize("how", sorted(set(ATTACKS) - {"removed", "directory"}))
def test_writing_a_file_replaces_an_existing_one(tmp_path: Path, how: str) -> None:
    canary = Canary(tmp_path)
    place = tmp_path / "run"
    place.mkdir()
    try:
        carry_out(Attack("note", how), place, canary, random.Random(1))
        with RunDirectory(str(place)) as directory:
            with pytest.raises(FileExistsError):
                directory.create("note", b"new")
            directory.replace("note", b"new")
            assert directory.names() == ["note"]
            assert directory.read("note", 100)[0] == b"new"  # type: ignore[index]
        assert canary.file.read_text() == SECRET
    finally:
        canary.close()


FORBIDDEN = """
import os, sys
from pydatatask_core.proc_manager.local.run_files import RunDirectory, RunFileError
os.geteuid() or os.setuid(65534)
for mode in (0o000, 0o600):
    place = f"{sys.argv[1]}/{mode}"
    os.mkdir(place, 0o700)
    open(place + "/.stdout", "w").close()
    os.chmod(place, mode)
    try:
        with RunDirectory(place) as directory:
            directory.open(".stdout")
    except RunFileError as e:
        print(e)
"""


def test_a_directory_whose_permissions_prevent_access_is_an_error() -> None:
    """A job may remove the permissions of its own directory; only root could still read it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o777)
        program = [sys.executable, "-c", FORBIDDEN, folder]
        told = subprocess.run(program, capture_output=True, text=True, check=False)
        for name in os.listdir(folder):
            os.chmod(f"{folder}/{name}", 0o700)
    assert told.stdout.count("deny") == 2, told
