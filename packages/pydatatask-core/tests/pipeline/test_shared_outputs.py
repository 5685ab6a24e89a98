"""Outputs of several tasks in one location: no task overwrites a value of another task."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from processes.lab import Lab, until

from pydatatask_core import (
    ExecutorTask,
    FileRepository,
    InProcessMetadataRepository,
    InProcessSyncTask,
    Pipeline,
    Retries,
    Task,
    YamlMetadataFileRepository,
)
from pydatatask_core.errors import OutputConflictError
from pydatatask_core.proc_manager import ProcessState

from .fakes import jobs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pydatatask_core import ProcessTask


def in_memory(_: Path) -> Any:
    repo = InProcessMetadataRepository()
    return lambda: repo


def in_files(folder: Path) -> Any:
    return lambda: YamlMetadataFileRepository(folder / "out")


def writer(
    name: str,
    out: Any,
    source: Any = None,
    done: Any = None,
    key: Callable[[str], str] = str,
) -> InProcessSyncTask:
    """Return a task whose jobs publish their task's name under a key."""

    async def body(job: str, out: Any) -> None:
        await out.dump(key(job), name)

    task = InProcessSyncTask(name, done or InProcessMetadataRepository(), func=body)
    task.link("source", source or jobs("a"), is_input=True)
    task.link("out", out, is_output=True, shared=True)
    return task


async def run(*tasks: Task) -> dict[str, list[str]]:
    """Run a pipeline and return its failures."""
    async with Pipeline(tasks, exclusive=False) as pipeline:
        return (await pipeline.run(poll=0.01)).failed


@pytest.mark.parametrize("place", [in_memory, in_files])
async def test_the_second_task_to_publish_a_key_fails_and_overwrites_nothing(
    place: Any, tmp_path: Path
) -> None:
    give = place(tmp_path)
    first, second = writer("first", give()), writer("second", give())
    second.link("wait", first.links["done"].repo, required_for_start=True)
    assert await run(first, second) == {"second": ["a"]}
    assert await give().info("a") == "first"
    told = (await second.links["done"].repo.info("a"))["exception"]
    assert "OutputConflictError: second: 'a' of" in told
    assert "was published by task first" in told


async def test_a_key_that_is_not_a_job_of_the_other_task_counts_as_well() -> None:
    out = InProcessMetadataRepository()
    first = writer("first", out, key=lambda job: "total")
    second = writer("second", out, jobs("b"), key=lambda job: "total")
    second.link("wait", jobs("b"), is_input=True)
    failed = await run(first, second)
    assert len(failed) == 1
    assert await out.info("total") == "first" if "second" in failed else "second"


async def test_tasks_that_publish_different_keys_do_not_conflict() -> None:
    out = InProcessMetadataRepository()
    tasks = [writer(n, out, key=lambda job, n=n: job + n) for n in ("one", "two")]  # type: ignore[misc]
    assert await run(*tasks) == {}
    assert await out.keys() == {"aone", "atwo"}


async def test_a_value_published_in_an_earlier_run_is_not_overwritten() -> None:
    out, done = InProcessMetadataRepository(), InProcessMetadataRepository()
    assert await run(writer("first", out, done=done), writer("second", out, jobs())) == {}
    again = writer("first", out, done=done), writer("second", out)
    assert await run(*again) == {"second": ["a"]}
    assert await out.info("a") == "first"


async def test_a_value_left_by_a_failed_job_of_the_other_task_may_be_overwritten() -> None:
    out = InProcessMetadataRepository({"a": "old"})
    done = InProcessMetadataRepository({"a": {"success": False}})
    assert await run(writer("first", out, done=done), writer("second", out)) == {}
    assert await out.info("a") == "second"


async def test_a_key_that_was_deleted_may_be_published_again(tmp_path: Path) -> None:
    out, source = InProcessMetadataRepository(), InProcessMetadataRepository()
    first, second = writer("first", out), writer("second", out, source)
    async with Pipeline([first, second], exclusive=False) as pipeline:
        await pipeline.run(poll=0.01)
        await out.delete("a")
        await source.dump("a", 1)
        assert (await pipeline.run(poll=0.01)).failed == {}
    assert await out.info("a") == "second"


async def test_a_task_overwrites_its_own_values() -> None:
    out, done = InProcessMetadataRepository(), InProcessMetadataRepository()
    tasks = writer("first", out, done=done), writer("second", out, jobs("b"))
    async with Pipeline(tasks, exclusive=False) as pipeline:
        await pipeline.run(poll=0.01)
        await done.delete("a")
        assert (await pipeline.run(poll=0.01)).launched == {"first": 1}
    assert await done.info("a")


async def test_one_listing_suffices_for_all_jobs() -> None:
    class Counted(InProcessMetadataRepository):
        asked = 0

        async def contains(self, item: str) -> bool:
            self.asked += 1
            return await super().contains(item)

    out, done = Counted(), Counted()
    one = [f"a{number}" for number in range(50)]
    two = [f"b{number}" for number in range(50)]
    tasks = writer("one", out, jobs(*one), done), writer("two", out, jobs(*two))
    assert await run(*tasks) == {}
    assert (out.asked, done.asked) == (0, 0)


async def test_a_job_in_a_thread_fails_as_well(tmp_path: Path) -> None:
    async def body(job: str, out: Any) -> None:
        await out.dump(job, "thread")

    with ThreadPoolExecutor(1) as pool:
        task = ExecutorTask("thread", pool, InProcessMetadataRepository(), func=body)
        first = writer("first", YamlMetadataFileRepository(tmp_path))
        task.link("wait", first.links["done"].repo, is_input=True)
        task.link("out", YamlMetadataFileRepository(tmp_path), is_output=True, shared=True)
        assert await run(first, task) == {"thread": ["a"]}
    assert await YamlMetadataFileRepository(tmp_path).info("a") == "first"


@pytest.mark.parametrize("script", ["echo mine", "echo mine; exit 3"])
async def test_a_process_does_not_publish_over_another_task(script: str, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    await lab.add("a")
    first = lab.task("echo first", "first", stdout=FileRepository(tmp_path / "both"))
    await lab.run(first)
    second = lab.task(
        f"echo ran >>LOG; {script}",
        "second",
        pids=YamlMetadataFileRepository(tmp_path / "pids2"),
        done=YamlMetadataFileRepository(tmp_path / "done2"),
        stdout=FileRepository(tmp_path / "both"),
        retries=Retries(1, delay=0.01),
    )
    lab.again()
    summary = await lab.run(first, second)
    assert summary.failed == {"second": ["a"]}
    assert (tmp_path / "both" / "a").read_text() == "first\n"
    record = await YamlMetadataFileRepository(tmp_path / "done2").info("a")
    assert record["success"] is False
    if "exit" in script:
        assert (record["reason"], record["attempt"]) == ("exit status 3", 2)
    else:  # another attempt would not be published either
        assert "was published by task first" in record["reason"]
        assert record["attempt"] == 1
    assert lab.lines() == ["ran"] * record["attempt"]
    assert lab.empty()


async def test_the_pipeline_does_not_open_if_records_cannot_be_listed() -> None:
    class Down(InProcessMetadataRepository):
        async def keys(self) -> frozenset[str]:
            raise OSError("the server is down")

    out = InProcessMetadataRepository()
    tasks = writer("first", out), writer("second", out, done=Down())
    with pytest.raises(OSError, match="the server is down"):
        await run(*tasks)
    assert not await out.keys()


async def test_a_process_that_ended_without_a_driver_overwrites_no_other_task(
    tmp_path: Path,
) -> None:
    lab = Lab(tmp_path)
    await lab.add("a")
    both = FileRepository(tmp_path / "both")

    def first(lab: Lab) -> ProcessTask:
        return lab.task("echo first", "first", stdout=both)

    def second(lab: Lab) -> ProcessTask:
        return lab.task(
            "WAIT; echo second",
            "second",
            pids=YamlMetadataFileRepository(tmp_path / "pids2"),
            done=YamlMetadataFileRepository(tmp_path / "done2"),
            stdout=both,
        )

    await lab.run(first(lab))
    left = second(lab)
    await left.launch("a")
    await lab.running(left, "a")
    left.attach(None)
    lab.go.touch()
    run = left.runs.new("a")

    async def has_ended() -> bool:
        return (await left.backend.inspect(run, fence=False)).state is ProcessState.EXITED

    await until(has_ended)
    lab = lab.again()
    summary = await lab.run(first(lab), second(lab))
    assert summary.failed == {"second": ["a"]}
    assert (tmp_path / "both" / "a").read_text() == "first\n"


async def test_a_key_that_a_task_is_about_to_publish_is_refused_to_other_tasks() -> None:
    writing, go = asyncio.Event(), asyncio.Event()

    class Slow(InProcessMetadataRepository):
        async def dump(self, job: str, data: Any) -> None:
            writing.set()
            await go.wait()
            await super().dump(job, data)

    out, later = Slow(), jobs()
    first, second = writer("first", out), writer("second", out, later)
    async with Pipeline([first, second], exclusive=False) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=0.01))
        await writing.wait()
        await later.dump("a", 1)
        while not second.running:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
        while second.running:  # noqa: ASYNC110 - fails before it writes
            await asyncio.sleep(0)
        go.set()
        assert (await run).failed == {"second": ["a"]}
    assert await out.info("a") == "first"


async def test_an_attempt_that_a_store_error_prevented_counts() -> None:
    class Flaky(InProcessMetadataRepository):
        broken = False

        async def contains(self, item: str) -> bool:
            if self.broken:
                self.broken = False
                raise OSError("down")
            return await super().contains(item)

    out, done = Flaky({"a": "first"}), jobs("a")
    first = writer("first", out, done=done)
    ran: list[str] = []

    async def body(job: str, out: Any) -> None:
        ran.append(job)
        out.broken = len(ran) == 1
        raise ValueError(job)

    second = InProcessSyncTask(
        "second", InProcessMetadataRepository(), func=body, retries=Retries(1, delay=0)
    )
    second.link("source", jobs("a"), is_input=True)
    second.link("out", out, is_output=True, shared=True)
    assert await run(first, second) == {"second": ["a"]}
    assert ran == ["a", "a"]


def test_the_error_names_task_key_and_remedy() -> None:
    told = str(OutputConflictError("t", "a", "other", "repo"))
    assert told.startswith("t: 'a' of 'repo' was published by task other")
    assert "use a separate location for each task" in told
