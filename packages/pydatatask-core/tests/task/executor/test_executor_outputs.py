"""Law T6 for executors: recording outcomes that first require a listing of the outputs."""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.append(str(Path(__file__).parent / "support"))

from executor_bodies import copy
from executor_stage import in_memory

from pydatatask_core import (
    ExecutorTask,
    InProcessMetadataRepository,
    InProcessSyncTask,
    Pipeline,
    Retries,
    YamlMetadataFileRepository,
)
from pydatatask_core.errors import StoreConnectionError
from pydatatask_core.task import required_outputs

if TYPE_CHECKING:
    from collections.abc import Iterator

REASON = "succeeded without writing its output `parts`"


class Remote(InProcessMetadataRepository):
    """A repository that acts like one on a server, whose listings wait for ``go``."""

    looks_up_locally = False

    def __init__(self) -> None:
        super().__init__()
        self.listings = 0
        self.problem: Exception | None = None
        self.go = asyncio.Event()
        self.go.set()

    async def keys(self) -> frozenset[str]:
        self.listings += 1
        await self.go.wait()
        if self.problem is not None:
            raise self.problem
        return await super().keys()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def nothing(job: str) -> None:
    """Write nothing."""


async def others(job: str, parts: Any) -> None:
    for n in range(3):
        await parts.dump(f"{job}part{n}", n)


def stage_of(threads: ThreadPoolExecutor, body: Any, parts: Any, **options: Any) -> Any:
    stage = in_memory(threads, body, **options)
    stage.task.link("parts", parts, is_output=True)
    return stage


async def test_other_keys_written_through_a_proxy_count_as_output(
    threads: ThreadPoolExecutor,
) -> None:
    parts = Remote()
    stage = stage_of(threads, others, parts)
    await stage.feed("a", "b")
    await stage.run()
    records = await stage.done.info_all()
    assert [record["success"] for record in records.values()] == [True, True]
    assert records["a"]["fan_out"] == ["parts"]
    assert parts.listings == 0


async def test_one_listing_serves_many_jobs_and_occupies_no_worker(
    threads: ThreadPoolExecutor,
) -> None:
    parts = Remote()
    parts.go.clear()
    stage = stage_of(threads, nothing, parts, concurrency=2)
    jobs = {f"j{n}" for n in range(30)}
    await stage.feed(*jobs)
    parts._data["j7"] = 1
    async with stage.pipeline() as pipeline:
        run = asyncio.create_task(pipeline.run())
        while stage.task.output_check.checking != jobs:  # noqa: ASYNC110 - no event to wait for
            await asyncio.sleep(0.005)
        assert await stage.done.keys() == set()
        assert stage.task.running == jobs
        parts.go.set()
        summary = await run
    assert set(summary.failed["work"]) == jobs - {"j7"}
    assert parts.listings == 2


async def test_a_missing_output_is_retried_like_any_other_failure(
    threads: ThreadPoolExecutor,
) -> None:
    attempts: list[str] = []

    async def second_time(job: str, parts: Any) -> None:
        attempts.append(job)
        if len(attempts) == 2:
            await parts.dump(job, 1)

    for parts in (Remote(), InProcessMetadataRepository()):
        attempts.clear()
        stage = stage_of(threads, second_time, parts, retries=Retries(3, delay=0.01))
        await stage.feed("a")
        await stage.run()
        assert (await stage.done.info("a"))["attempt"] == 2
        assert (await stage.done.info("a"))["success"] is True


async def test_a_missing_output_is_a_failure_in_synchronous_mode(
    threads: ThreadPoolExecutor,
) -> None:
    stage = stage_of(threads, nothing, Remote(), retries=Retries(1, delay=0.01))
    async with stage.pipeline() as pipeline:
        pipeline.settings(synchronous=True)
        await stage.task.launch("a")
    record = await stage.done.info("a")
    assert record["reason"].startswith(REASON)
    assert record["attempt"] == 2


async def test_an_outcome_whose_output_could_not_be_checked_outlives_the_pipeline(
    threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(required_outputs, "FIRST_RETRY_DELAY_SECONDS", 0.01)
    runs: list[str] = []

    def body(job: str) -> None:
        runs.append(job)

    parts = Remote()
    parts.problem = StoreConnectionError("list", parts, "down")
    stage = stage_of(threads, body, parts)
    await stage.feed("a")
    async with stage.pipeline() as pipeline:
        run = asyncio.create_task(pipeline.run())
        while parts.listings < 2:  # noqa: ASYNC110 - no event to wait for
            await asyncio.sleep(0.005)
        assert stage.task.running == {"a"}
        run.cancel()
        await asyncio.wait([run])
    assert await stage.done.keys() == set()
    parts.problem = None
    await stage.run()
    assert (await stage.done.info("a"))["reason"].startswith(REASON)
    assert runs == ["a"]


async def test_a_job_in_another_process_that_overwrites_another_tasks_output_has_failed(
    tmp_path: Path,
) -> None:
    def place(name: str) -> YamlMetadataFileRepository:
        return YamlMetadataFileRepository(tmp_path / name)

    async def publish(job: str, out: Any) -> None:
        await out.dump(job, "first")

    inp = InProcessMetadataRepository({"a": 1})
    done = InProcessMetadataRepository()
    first = InProcessSyncTask("first", done, func=publish)
    first.link("inp", inp, is_input=True)
    first.link("out", place("out"), is_output=True, shared=True)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        task = ExecutorTask("second", pool, InProcessMetadataRepository(), func=copy)
        task.link("inp", place("inp"), is_input=True)
        task.link("after", done, is_input=True)
        task.link("out", place("out"), is_output=True, shared=True)
        await place("inp").validate()
        for job in ("a", "b"):
            await place("inp").dump(job, "second")
        await inp.dump("b", 1)
        await done.dump("b", {"success": True})
        async with Pipeline([first, task], exclusive=False) as pipeline:
            assert (await pipeline.run(timeout=50)).failed == {"second": ["a"]}
    record = await task.links["done"].repo.info("a")
    assert "OutputConflictError: second: 'a' of" in record["exception"]
    assert "was published by task first" in record["exception"]
