"""Stopping functions in threads, and recording outcomes that arrive at any time."""

from __future__ import annotations

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.append(str(Path(__file__).parent / "support"))

from executor_bound import Bound
from executor_stage import in_memory

from pydatatask_core import (
    Pipeline,
)
from pydatatask_core.errors import TaskError
from pydatatask_core.task.executor import portal as hop
from pydatatask_core.task.executor.portal import LoopPortal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


class Holding:
    """An async body that signals its start and waits to be cancelled or released."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.cancelled = threading.Event()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.go: asyncio.Event | None = None
        self.runs = 0

    async def __call__(self, job: str, inp: Any) -> None:
        self.loop, self.go = asyncio.get_running_loop(), asyncio.Event()
        self.runs += 1
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    def let_go(self) -> None:
        assert self.loop is not None
        assert self.go is not None
        self.loop.call_soon_threadsafe(self.go.set)


def calling(holding: Holding) -> Callable[..., Any]:
    async def body(job: str, inp: Any) -> None:
        await holding(job, inp)

    return body


async def begun(event: threading.Event) -> None:
    await asyncio.to_thread(event.wait)


async def test_deleting_a_running_job_from_live_stops_and_records_it(
    threads: ThreadPoolExecutor,
) -> None:
    holding = Holding()
    stage = in_memory(threads, calling(holding), retries=3)
    live = stage.task.links["live"].repo
    await stage.feed("a")

    async with stage.pipeline() as pipeline:
        await pipeline.update()
        await begun(holding.begun)
        assert await live.keys() == {"a"}
        await live.delete("a")

        assert holding.cancelled.is_set()
        assert not await live.contains("a")
        assert not await live.keys()
        assert not await pipeline.gather_ready_jobs(stage.task)
        await live.delete("a")  # deleting a missing job succeeds
    record = await stage.done.info("a")
    assert record["success"] is False
    assert record["reason"] == "cancelled"


async def test_a_job_that_ignores_its_cancellation_is_recorded_with_its_own_outcome(
    threads: ThreadPoolExecutor,
) -> None:
    started = threading.Event()

    async def body(job: str, inp: Any) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    stage = in_memory(threads, body)
    await stage.feed("a")

    async with stage.pipeline() as pipeline:
        await pipeline.update()
        await begun(started)
        await stage.task.cancel("a")

    record = await stage.done.info("a")
    assert record["success"] is True
    assert "reason" not in record


async def test_a_job_that_cancels_itself_has_failed_and_is_not_recorded_as_cancelled(
    threads: ThreadPoolExecutor,
) -> None:
    async def body(job: str, inp: Any) -> None:
        raise asyncio.CancelledError

    stage = in_memory(threads, body)
    await stage.feed("a")

    await stage.run()

    record = await stage.done.info("a")
    assert record["success"] is False
    assert record["exception"] == "CancelledError: CancelledError"
    assert "reason" not in record


async def test_closing_cancels_async_functions_and_records_no_outcome(
    threads: ThreadPoolExecutor,
) -> None:
    holding = Holding()
    stage = in_memory(threads, calling(holding))
    await stage.feed("a", "b", "c", "d")

    async with stage.pipeline() as pipeline:
        await pipeline.update()
        await begun(holding.begun)

    assert holding.cancelled.is_set()
    assert holding.runs <= 2
    assert not stage.task.running
    assert not await stage.done.keys()
    async with stage.pipeline() as pipeline:
        assert await pipeline.gather_ready_jobs(stage.task) == {"a", "b", "c", "d"}


async def test_cancelling_a_run_leaves_its_jobs_to_the_next_run_of_the_open_pipeline(
    threads: ThreadPoolExecutor,
) -> None:
    holding = Holding()
    stage = in_memory(threads, calling(holding))
    await stage.feed("a")

    async with stage.pipeline() as pipeline:
        run = asyncio.create_task(pipeline.run())
        await begun(holding.begun)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert stage.task.running == {"a"}
        holding.let_go()
        await pipeline.run(timeout=50)

    assert holding.runs == 1
    assert (await stage.done.info("a"))["success"] is True


async def test_a_portal_call_that_is_cancelled_returns_after_it_has_ended_in_the_drivers_loop(
    threads: ThreadPoolExecutor,
) -> None:
    repo = Bound()
    after: list[str] = []

    async def body(job: str, repo: Any, inp: Any) -> None:
        try:
            await repo.wait()
        finally:
            after.extend(repo.entered)

    stage = in_memory(threads, body)
    stage.task.link("repo", repo)
    await stage.feed("a")

    async with stage.pipeline() as pipeline:
        await pipeline.update()
        await begun(repo.waiting)
        await stage.task.cancel("a")

    assert after == ["cancelled"]


async def test_closing_releases_a_thread_that_waits_for_the_drivers_loop() -> None:
    """Otherwise the pool could not be shut down and the process would not exit."""
    repo = Bound()
    told: list[str] = []

    def body(job: str, repo: Any, inp: Any) -> None:
        try:
            asyncio.run(repo.wait())
        except TaskError as e:
            told.append(str(e))
        try:
            asyncio.run(repo.info(job))
        except TaskError as e:
            told.append(str(e))

    with ThreadPoolExecutor(1) as pool:
        stage = in_memory(pool, body)
        stage.task.link("repo", repo)
        await stage.feed("a")
        async with stage.pipeline() as pipeline:
            await pipeline.update()
            await begun(repo.waiting)
        # Shutting down blocks this loop until the thread has ended.

    assert len(told) == 2
    assert all("the pipeline that this job belongs to was closed" in text for text in told)


def test_a_loop_that_ends_without_closing_the_pipeline_also_releases_threads() -> None:
    told: list[str] = []

    def body(job: str, repo: Any, inp: Any) -> None:
        try:
            asyncio.run(repo.wait())
        except TaskError as e:
            told.append(str(e))

    async def forget() -> None:
        repo = Bound()
        stage = in_memory(pool, body)
        stage.task.link("repo", repo)
        await stage.feed("a")
        await stage.task.launch("a")
        await begun(repo.waiting)

    with ThreadPoolExecutor(1) as pool:
        asyncio.run(forget())

    assert len(told) == 1


def test_a_portal_call_that_never_ran_ends_when_the_loop_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hop, "LOOP_CHECK_INTERVAL_SECONDS", 0.01)
    loop = asyncio.new_event_loop()
    posted = threading.Event()
    post = loop.call_soon_threadsafe

    def noting(*args: Any) -> Any:
        handle = post(*args)
        posted.set()
        return handle

    monkeypatch.setattr(loop, "call_soon_threadsafe", noting)
    bridge = LoopPortal(loop)

    async def never() -> None:
        raise AssertionError

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(asyncio.run, bridge.run(never))
        posted.wait()
        loop.close()

        with pytest.raises(TaskError, match="was closed"):
            waiting.result()


def test_a_job_that_ends_between_two_loops_is_recorded_in_the_second_loop(
    threads: ThreadPoolExecutor,
) -> None:
    started, go = threading.Event(), threading.Event()

    def body(job: str, inp: Any) -> None:
        started.set()
        go.wait()

    stage = in_memory(threads, body)

    async def launch() -> None:
        await stage.feed("a")
        async with stage.pipeline() as pipeline:
            await pipeline.update()
            await begun(started)

    async def cancel() -> None:
        async with stage.pipeline():
            await stage.task.cancel("a")

    asyncio.run(launch())
    go.set()
    threads.shutdown()
    asyncio.run(cancel())

    assert asyncio.run(stage.done.info("a"))["success"] is True


async def test_an_interrupt_fails_a_job_unless_it_also_ends_the_pipeline(
    threads: ThreadPoolExecutor,
) -> None:
    def body(job: str, inp: Any) -> None:
        raise KeyboardInterrupt

    stage = in_memory(threads, body)
    await stage.feed("a")

    async with stage.pipeline() as pipeline:
        await pipeline.update()
        await stage.task._by_job["a"].ended.wait()
    after_closing = await stage.done.keys()
    await stage.run()

    assert not after_closing
    assert (await stage.done.info("a"))["exception"].startswith("KeyboardInterrupt")


async def test_jobs_that_end_while_no_pipeline_is_open_are_recorded_at_the_next_opening(
    threads: ThreadPoolExecutor,
) -> None:
    started, go, ended = threading.Event(), threading.Event(), threading.Event()

    def body(job: str, inp: Any) -> None:
        started.set()
        go.wait()
        ended.set()

    stage = in_memory(threads, body)
    await stage.feed("a")
    async with stage.pipeline() as pipeline:
        await pipeline.update()
        await begun(started)
    go.set()
    await begun(ended)

    async with Pipeline([stage.task]) as pipeline:
        summary = await pipeline.run(timeout=50)

    assert summary.launched == {}
    assert (await stage.done.info("a"))["success"] is True


def test_a_task_can_be_used_in_several_loops_one_after_another(threads: ThreadPoolExecutor) -> None:
    async def body(job: str, inp: Any, out: Any) -> None:
        await out.dump(job, await inp.info(job))

    stage = in_memory(threads, body)

    async def once(job: str) -> None:
        await stage.feed(job)
        await stage.task.launch(job)
        await stage.finish()

    for job in ("a", "b"):
        asyncio.run(once(job))

    assert asyncio.run(stage.out.info_all()) == {"a": 1, "b": 1}
