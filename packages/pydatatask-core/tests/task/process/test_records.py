"""Live records that name foreign paths or hosts: nothing foreign is touched, nothing is lost."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from processes.plain import PlainManager

from pydatatask_core import LocalLinuxManager, ManagerPool, Resources
from pydatatask_core.errors import ForeignRecordError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from processes.lab import Lab

    from pydatatask_core.task import ProcessTask

SCRIPT = "echo {{ job }} >>LOG"


@pytest.fixture
def thesis(lab: Lab) -> Path:
    """Return a directory that no record may cause to be removed."""
    folder = lab.root / "thesis"
    folder.mkdir()
    (folder / "chapter1.tex").write_text("x")
    return folder


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """Return a process that no record may cause to be killed."""
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def like_a_run_of(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Make a directory look like the run directory of this process."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    stat = Path(f"/proc/{process.pid}/stat").read_text()
    (folder / ".status").write_text(f"{' ' * 7}\n{boot}{stat}")
    (folder / ".script").touch()


async def recorded(lab: Lab, job: str, record: Any) -> None:
    await lab.add(job)
    await lab.pids.validate()
    await lab.pids.dump(job, record)


# Each returns the path that the record of job "a" names; none is the run directory of the job.
NAMES: dict[str, Callable[[ProcessTask, Path], Any]] = {
    "a directory elsewhere": lambda task, thesis: str(thesis),
    "a relative path": lambda task, thesis: os.path.relpath(thesis),
    "the folder of the manager": lambda task, thesis: str(task.backend.basedir()),
    "the folder of all runs": lambda task, thesis: str(task.runs.path("runs")),
    "the run of another job": lambda task, thesis: str(task.runs.path("runs", "b")),
    "below its own directory": lambda task, thesis: str(task.runs.path("runs", "a") / "x"),
    "a way out of the folder": lambda task, thesis: (
        f"{task.runs.path('backend')}/../../../../../{thesis.name}"
    ),
    "a way around": lambda task, thesis: f"{task.runs.path('backend')}/../runs/a",
    "a neighbour": lambda task, thesis: f"{task.runs.path('backend', 'a')}.{'0' * 15}g",
    "the root": lambda task, thesis: "/",
    "nothing": lambda task, thesis: "",
    "a number": lambda task, thesis: 42,
    "a list": lambda task, thesis: [str(thesis)],
}


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("name", NAMES)
async def test_a_record_that_names_a_foreign_path_is_an_error_of_its_own_job_only(
    lab: Lab, thesis: Path, name: str, plain: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if plain:
        lab.manager = PlainManager(lab.root / "processes" / "plain")
    task = lab.task(SCRIPT)
    await task.runs.load_namespace()
    named = NAMES[name](task, thesis)
    await recorded(lab, "a", {"handle": named, "attempt": 1})
    await lab.add("b", "c")
    before = await lab.pids.info("a")
    summary = await lab.run(task)
    assert summary.launched == {"task": 2}
    assert summary.given_up == {"task": ["a"]}
    assert lab.lines() == ["b", "c"]
    assert (thesis / "chapter1.tex").exists()
    assert await lab.pids.info_all() == {"a": before}
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert f"the record of job 'a' in {lab.pids!r} names {named!r}" in errors[0]
    assert "rm task.pids a" in errors[0]


@pytest.mark.parametrize("record", ["text", ["a"], 1])
async def test_a_record_that_is_not_a_mapping_is_an_error_of_its_own_job_only(
    lab: Lab, record: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await recorded(lab, "a", record)
    summary = await lab.run(lab.task(SCRIPT))
    assert summary.given_up == {"task": ["a"]}
    assert f"is not a mapping, but {record!r}" in caplog.text
    assert lab.lines() == []


async def test_many_invalid_records_do_not_delay_other_jobs(lab: Lab, thesis: Path) -> None:
    names = [f"n{number}" for number in range(70)]
    await lab.add(*names, "good")
    await lab.pids.validate()
    for name in names:
        await lab.pids.dump(name, {"handle": str(thesis)})
    summary = await lab.run(lab.task(SCRIPT))
    assert summary.launched == {"task": 1}
    assert summary.given_up == {"task": sorted(names)}


@pytest.mark.parametrize("mode", ["drive", "one"])
async def test_a_record_alone_causes_no_kill(
    lab: Lab, thesis: Path, victim: subprocess.Popen[bytes], mode: Any
) -> None:
    like_a_run_of(victim, thesis)
    await recorded(lab, "a", {"handle": str(thesis)})
    task = lab.task(SCRIPT, timeout=0.1)
    pipeline = lab.pipeline(task)
    await pipeline.open(mode)
    try:
        with pytest.raises(ForeignRecordError, match=str(thesis)):
            await task.kill("a", grace=0.0)
        with pytest.raises(ForeignRecordError, match=str(thesis)):
            _ = [block async for block in task.stream_logs("a")]
        if mode == "drive":
            with pytest.raises(ForeignRecordError, match=str(thesis)):
                await task.launch("a")
            await pipeline.run(poll=0.05)
    finally:
        await pipeline.close()
    assert victim.poll() is None
    assert (thesis / "chapter1.tex").exists()
    assert lab.lines() == []


async def test_a_record_without_the_directory_publishes_nothing(lab: Lab, thesis: Path) -> None:
    (thesis / ".status").write_text("      0\nboot\n1 (sh) R" + " 1" * 30 + "\n")
    (thesis / ".script").touch()
    (thesis / ".stdout").write_text("secret")
    (thesis / ".stderr").touch()
    await recorded(lab, "a", {"handle": str(thesis)})
    await lab.run(lab.task(SCRIPT, stdout=lab.out))
    assert await lab.out.keys() == set()
    assert await lab.done.keys() == set()


async def test_a_job_is_launched_once_its_invalid_record_is_deleted(lab: Lab, thesis: Path) -> None:
    await recorded(lab, "a", {"handle": str(thesis)})
    task = lab.task(SCRIPT)
    async with lab.pipeline(task) as pipeline:
        assert (await pipeline.run(poll=0.05)).given_up == {"task": ["a"]}
        await lab.pids.delete("a")
        summary = await pipeline.run(poll=0.05)
    assert (summary.launched, summary.given_up) == ({"task": 1}, {})
    assert lab.lines() == ["a"]
    assert lab.empty()


async def test_a_job_running_in_an_earlier_directory_is_neither_lost_nor_run_again(
    lab: Lab, tmp_path: Path
) -> None:
    await lab.add("a")
    task = lab.task("echo ran >>LOG; WAIT")
    await task.launch("a")
    await lab.logged()
    task.attach(None)
    moved = LocalLinuxManager("lab", tmp_path / "elsewhere")
    summary = await lab.run(lab.again().task("echo again >>LOG", manager=lambda: moved))
    assert summary.given_up == {"task": ["a"]}
    lab.go.touch()
    await lab.run(lab.again().task("echo again >>LOG"))
    assert (await lab.done.info("a"))["success"] is True
    assert lab.lines() == ["ran"]


async def test_a_record_of_a_host_outside_the_pool_is_an_error_of_its_own_job_only(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    here = LocalLinuxManager("lab", lab.root / "processes")
    pool = ManagerPool([(lambda: here, Resources.parse(4, 4))])
    task = lab.task(SCRIPT, manager=lambda: pool)
    await task.runs.load_namespace()
    for job, host in (("a", "elsewhere"), ("b", 7)):
        place = task.runs.path("runs", job)
        await recorded(lab, job, {"handle": str(place), "host": host})
    await lab.add("c")
    summary = await lab.run(task)
    assert summary.given_up == {"task": ["a", "b"]}
    assert lab.lines() == ["c"]
    assert await lab.pids.keys() == {"a", "b"}
    assert "names the host 'elsewhere', which is not a machine of the pool" in caplog.text


async def test_a_directory_without_the_files_of_a_run_directory_is_not_removed(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """The directory of runs contains a directory of the user that is named like a job."""
    task = lab.task(SCRIPT)
    await task.runs.load_namespace()
    for job in ("a", "b"):
        place = task.runs.path("runs", job)
        place.mkdir(parents=True)
        (place / "chapter1.tex").write_text("x")
    await recorded(lab, "b", {"handle": str(task.runs.path("runs", "b"))})
    await lab.add("a")
    summary = await lab.run(task)
    for job in ("a", "b"):
        assert (task.runs.path("runs", job) / "chapter1.tex").read_text() == "x"
    assert summary.given_up == {"task": ["a"]}
    assert "not contain any file of a run directory" in caplog.text
    assert lab.lines() == []


async def test_a_run_directory_that_became_a_link_is_not_followed(lab: Lab, thesis: Path) -> None:
    await lab.add("a")
    await lab.run(lab.task(f'rm -rf "$PWD"; ln -s {thesis} "$PWD"'))
    assert (thesis / "chapter1.tex").read_text() == "x"
    assert await asyncio.to_thread(lab.empty)


async def test_a_link_in_place_of_a_run_directory_is_not_followed(
    lab: Lab, thesis: Path, victim: subprocess.Popen[bytes]
) -> None:
    like_a_run_of(victim, thesis)
    (thesis / ".stdout").write_text("secret")
    task = lab.task(SCRIPT, stdout=lab.out, timeout=0.1)
    await task.runs.load_namespace()
    place = task.runs.path("runs", "a")
    place.parent.mkdir(parents=True)
    place.symlink_to(thesis)
    await recorded(lab, "a", {"handle": str(place)})
    await lab.run(task)
    assert (await lab.done.info("a"))["lost"] is True
    assert await lab.out.keys() == set()
    assert victim.poll() is None
    assert (thesis / "chapter1.tex").exists()
    assert lab.empty()
