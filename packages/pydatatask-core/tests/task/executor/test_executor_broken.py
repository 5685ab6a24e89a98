"""Executors that break or are shut down, and workers that cannot run their jobs."""

from __future__ import annotations

import asyncio
import gc
import logging
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from blockbuster import blockbuster

sys.path.append(str(Path(__file__).parent / "support"))  # workers import from it too

import executor_bodies as bodies
from executor_kinds import dask_cluster, reusable
from executor_stage import Stage, in_files, in_memory

from pydatatask_core import Retries
from pydatatask_core.errors import TaskConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydatatask_core.pipeline import RunSummary

SPAWN = multiprocessing.get_context("spawn")
GOOD = [f"good{n}" for n in range(60)]


async def run(stage: Stage) -> RunSummary:
    async with stage.pipeline() as pipeline:
        return await pipeline.run(timeout=50)


async def verdicts(stage: Stage) -> dict[str, bool]:
    return {job: r["success"] for job, r in (await stage.done.info_all()).items()}


async def test_a_broken_pool_fails_jobs_that_may_have_started_and_leaves_the_others_ready(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ProcessPoolExecutor(1, mp_context=SPAWN) as pool:
        stage = in_files(tmp_path, pool, bodies.die)
        await stage.feed("bad", *GOOD)

        summary = await run(stage)

    found = await verdicts(stage)
    record = await stage.done.info("bad")
    assert record["success"] is False
    assert record["exception"].startswith("BrokenProcessPool: ")
    assert "its worker died" in record["reason"]
    # One in the worker, plus the pool's call queue.
    assert len(found) <= 1 + 1 + 1
    assert set(summary.given_up["work"]) == {"bad", *GOOD} - found.keys()
    refusals = [r for r in caplog.records if "accepts no more jobs" in r.getMessage()]
    told = [r.getMessage() for r in refusals if r.levelno >= logging.ERROR]
    assert len([message for message in told if "next try" in message]) == 1
    assert len(told) <= 1 + 6  # the count is logged each time it doubles


async def test_jobs_left_by_a_broken_pool_run_in_the_next_pool(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1, mp_context=SPAWN) as pool:
        stage = in_files(tmp_path, pool, bodies.die)
        await stage.feed("bad", *GOOD)
        await run(stage)
    before = await verdicts(stage)
    with ProcessPoolExecutor(1, mp_context=SPAWN) as pool:
        stage = in_files(tmp_path, pool, bodies.die)

        await run(stage)

    after = await verdicts(stage)
    assert after == dict.fromkeys(GOOD, True) | before


def remaking(made: list[Any], make: Callable[[], Any]) -> Callable[[], Any]:
    """Return a function that creates a new executor at each call; it may block."""

    def give() -> Any:
        blockbuster._skip.value = True
        try:
            made.append(make())
        finally:
            blockbuster._skip.value = False
        return made[-1]

    return give


@pytest.mark.parametrize("kind", ["own pools", "loky"])
async def test_an_executor_factory_is_called_again_and_the_remaining_jobs_are_retried(
    tmp_path: Path, kind: str
) -> None:
    made: list[Any] = []
    make: dict[str, Callable[[], Any]] = {
        "own pools": lambda: ProcessPoolExecutor(2, mp_context=SPAWN),
        "loky": lambda: reusable(2),
    }
    stage = in_files(
        tmp_path, remaking(made, make[kind]), bodies.die_once, retries=Retries(1, delay=0.01)
    )
    await stage.feed("bad", *GOOD)

    summary = await run(stage)

    for executor in made:
        executor.shutdown()
    assert await verdicts(stage) == dict.fromkeys(["bad", *GOOD], True)
    assert summary.failed == {}
    assert summary.given_up == {}
    assert (await stage.done.info("bad"))["attempt"] == 2
    assert len({id(executor) for executor in made}) == 2


@pytest.fixture
def dask_client() -> Iterator[Any]:
    with dask_cluster(2) as client:
        yield client


async def test_a_job_that_kills_its_dask_workers_is_the_only_failure(
    tmp_path: Path, dask_client: Any
) -> None:
    stage = in_files(tmp_path, dask_client.get_executor(), bodies.die, concurrency=1)
    await stage.feed("bad", *GOOD[:5])

    await run(stage)

    assert await verdicts(stage) == {"bad": False} | dict.fromkeys(GOOD[:5], True)
    assert (await stage.done.info("bad"))["exception"].startswith("KilledWorker: ")


async def test_an_executor_that_was_shut_down_fails_no_jobs(tmp_path: Path) -> None:
    pool = ThreadPoolExecutor(1)
    stage = in_memory(pool, bodies.copy)
    await stage.feed("a", "b")
    pool.shutdown()

    summary = await run(stage)

    assert summary.given_up == {"work": ["a", "b"]}
    assert summary.failed == {}
    assert not await stage.done.keys()
    with pytest.raises(TaskConfigurationError, match="ThreadPoolExecutor accepts no more jobs"):
        await stage.task.launch("a")


async def test_jobs_that_the_executor_cancels_are_recorded(tmp_path: Path) -> None:
    import threading

    begun, go = threading.Event(), threading.Event()

    def hold(job: str, inp: Any) -> None:
        begun.set()
        go.wait()

    pool = ThreadPoolExecutor(1)
    stage = in_memory(pool, hold)
    await stage.feed("a", "b")

    async with stage.pipeline() as pipeline:
        await pipeline.update()
        begun.wait()
        pool.shutdown(wait=False, cancel_futures=True)
        go.set()
        await pipeline.run(timeout=50)

    record = await stage.done.info("b")
    assert record["success"] is False
    assert record["reason"] == "cancelled by the executor"


async def test_a_failing_initializer_fails_no_more_jobs_than_necessary(tmp_path: Path) -> None:
    def stumble() -> None:
        raise RuntimeError("nothing is set up")

    with ThreadPoolExecutor(1, initializer=stumble) as pool:
        stage = in_memory(pool, bodies.copy)
        await stage.feed(*GOOD)

        summary = await run(stage)

    found = await verdicts(stage)
    assert len(found) <= 1
    assert set(summary.given_up["work"]) == set(GOOD) - found.keys()


async def test_workers_that_cannot_import_the_function_fail_no_jobs_and_stop_the_task(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ProcessPoolExecutor(1, mp_context=SPAWN) as pool:
        stage = in_files(tmp_path, pool, bodies.HomeBody())
        await stage.feed(*GOOD)

        summary = await run(stage)

    assert not await stage.done.keys()
    assert set(summary.given_up["work"]) == set(GOOD)
    told = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
    assert len([message for message in told if "jobs could not be launched" not in message]) == 2
    assert "launches nothing until the pipeline is opened again: I do not travel well" in told[0]


async def test_a_factory_that_does_not_return_an_executor_is_rejected_when_it_is_called() -> None:
    stage = in_memory(lambda: 5, bodies.copy)

    with pytest.raises(
        TaskConfigurationError, match="callable returned 5, which is not an executor"
    ):
        await run(stage)


@pytest.mark.parametrize("wrong", [None, 4, "threads", ThreadPoolExecutor])
def test_an_object_that_is_not_an_executor_is_rejected_when_the_task_is_created(wrong: Any) -> None:
    with pytest.raises(TaskConfigurationError, match="work: executor has to be"):
        in_memory(wrong, bodies.copy)


async def test_dask_keeps_no_references_to_finished_jobs(tmp_path: Path, dask_client: Any) -> None:
    stage = in_files(tmp_path, dask_client.get_executor(), bodies.die)
    await stage.feed(*GOOD)

    gc.disable()  # objects that only the cycle collector would free must not exist
    try:
        await run(stage)
        while dask_client.futures:  # noqa: ASYNC110 - no event to wait for
            await asyncio.sleep(0)
    finally:
        gc.enable()
