"""The life of a job: attempts, limits, records, and notification of the pipeline."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.append(str(Path(__file__).parent / "support"))

import executor_bodies as bodies
from executor_stage import in_memory

from pydatatask_core import (
    ExecutorLiveRepo,
    ExecutorTask,
    InProcessMetadataRepository,
    Pipeline,
    Retries,
)
from pydatatask_core.errors import (
    InvalidJobIdError,
    LaunchRefusedError,
    StoreConnectionError,
    TaskConfigurationError,
    TaskError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOON = Retries(2, delay=0.01)


class Counting(ThreadPoolExecutor):
    """A pool that records the maximum number of concurrent jobs."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self._count = 0
        self._counting = threading.Lock()
        self.most = 0
        self.futures: weakref.WeakSet[Future[Any]] = weakref.WeakSet()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        with self._counting:
            self._count += 1
            self.most = max(self.most, self._count)
        future = super().submit(fn, *args, **kwargs)
        future.add_done_callback(self._ended)
        self.futures.add(future)
        return future

    def _ended(self, future: Future[Any]) -> None:
        with self._counting:
            self._count -= 1


@pytest.fixture
def threads() -> Iterator[Counting]:
    with Counting(4) as pool:
        yield pool


class Flaky:
    """A body that fails a given number of times for each job."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.runs: list[str] = []

    async def body(self, job: str, inp: Any) -> None:
        self.runs.append(job)
        if self.runs.count(job) <= self.failures:
            raise ZeroDivisionError(f"attempt {self.runs.count(job)}")


class Held:
    """A synchronous body that signals its start and blocks until it is released."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go = threading.Event()
        self.runs: list[str] = []

    def body(self, job: str, inp: Any) -> None:
        self.runs.append(job)
        self.begun.set()
        self.go.wait()


# -- failures ------------------------------------------------------------------------------------


async def test_a_failed_job_does_not_start_downstream_jobs(threads: Counting) -> None:
    async def body(job: str, inp: Any, out: Any) -> None:
        await out.dump(job, 1)
        if job == "bad":
            raise ValueError("no good")

    after: list[str] = []

    async def note(job: str) -> None:
        after.append(job)

    stage = in_memory(threads, body)
    second = ExecutorTask("second", threads, InProcessMetadataRepository(), func=note)
    second.plug(stage.task)
    await stage.feed("bad", "good")

    async with Pipeline([stage.task, second]) as pipeline:
        summary = await pipeline.run(timeout=50, poll=1000)

    assert after == ["good"]
    assert summary.failed == {"work": ["bad"]}
    record = await stage.done.info("bad")
    assert record["success"] is False
    assert record["exception"] == "ValueError: no good"
    assert 'raise ValueError("no good")' in record["traceback"]


async def test_a_failure_is_recorded_after_the_last_attempt_only(threads: Counting) -> None:
    flaky = Flaky(10)
    stage = in_memory(threads, flaky.body, retries=SOON)
    await stage.feed("a")

    await stage.run()

    record = await stage.done.info("a")
    assert flaky.runs == ["a", "a", "a"]
    assert record["attempt"] == 3
    assert record["exception"] == "ZeroDivisionError: attempt 3"


async def test_a_successful_attempt_is_recorded(threads: Counting) -> None:
    flaky = Flaky(1)
    stage = in_memory(threads, flaky.body, retries=SOON)
    await stage.feed("a", "b")

    await stage.run()

    records = await stage.done.info_all()
    assert sorted(flaky.runs) == ["a", "a", "b", "b"]
    assert {(r["success"], r["attempt"]) for r in records.values()} == {(True, 2)}


async def test_in_synchronous_mode_launch_runs_all_attempts(threads: Counting) -> None:
    flaky = Flaky(2)
    stage = in_memory(threads, flaky.body, retries=SOON)
    await stage.feed("a")

    async with stage.pipeline() as pipeline:
        pipeline.settings(synchronous=True)
        await pipeline.update_only_launch()

        assert (await stage.done.info("a"))["attempt"] == 3
        assert not stage.task.running


async def test_a_job_waiting_for_its_next_attempt_is_live_and_can_be_cancelled(
    threads: Counting,
) -> None:
    flaky = Flaky(10)
    stage = in_memory(threads, flaky.body, retries=Retries(5, delay=3600))
    live = stage.task.links["live"].repo
    await stage.feed("a")

    async with stage.pipeline() as pipeline:
        await pipeline.update()
        while not flaky.runs or not stage.task._waiting:
            await pipeline.update_only_update()
        assert await live.keys() == {"a"}
        await live.delete("a")
        summary = await pipeline.run(timeout=50)

    assert summary.launched == {}
    assert flaky.runs == ["a"]
    record = await stage.done.info("a")
    assert (record["success"], record["reason"], record["attempt"]) == (False, "cancelled", 1)


class Weak(InProcessMetadataRepository):
    """A store whose first writes fail."""

    def __init__(self) -> None:
        super().__init__()
        self.failures = 2

    async def dump(self, job: str, data: Any) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreConnectionError("write", self, "connection refused")
        await super().dump(job, data)


async def test_a_job_whose_record_cannot_be_written_is_not_run_again(threads: Counting) -> None:
    flaky = Flaky(0)
    weak = Weak()
    task = ExecutorTask("work", threads, weak, func=flaky.body)
    task.link("inp", InProcessMetadataRepository({"a": 1}), is_input=True)

    async with Pipeline([task]) as pipeline:
        await pipeline.run(timeout=50, poll=0.1)

    assert flaky.runs == ["a"]
    assert weak.data["a"]["success"] is True


# -- limits --------------------------------------------------------------------------------------


async def test_the_executor_never_has_more_jobs_than_the_concurrency_limit(
    threads: Counting,
) -> None:
    stage = in_memory(threads, bodies.copy, concurrency=2)
    await stage.feed(*(f"a{n}" for n in range(100)))

    await stage.run()

    assert len(await stage.done.keys()) == 100
    assert threads.most <= 2


async def test_without_a_limit_the_executor_has_a_bounded_number_of_jobs(threads: Counting) -> None:
    stage = in_memory(threads, bodies.copy)
    await stage.feed(*(f"a{n}" for n in range(500)))

    await stage.run()

    assert len(await stage.done.keys()) == 500
    assert 4 < threads.most <= 2 * 4 + 16


async def test_a_concurrency_above_the_default_is_honoured(threads: Counting) -> None:
    held = Held()
    stage = in_memory(threads, held.body, concurrency=100)
    await stage.feed(*(f"a{n}" for n in range(150)))

    async with stage.pipeline() as pipeline:
        await pipeline.update()
        assert threads.most == 100
        held.go.set()
        await pipeline.run(timeout=50)

    assert len(await stage.done.keys()) == 150
    assert threads.most == 100


async def test_jobs_waiting_for_their_next_attempt_do_not_block_other_jobs(
    threads: Counting,
) -> None:
    async def body(job: str, inp: Any) -> None:
        if job.startswith("bad"):
            raise ValueError

    stage = in_memory(threads, body, retries=Retries(1, delay=3600))
    bad = [f"bad{n}" for n in range(50)]
    await stage.feed(*bad, *(f"good{n}" for n in range(50)))

    async with stage.pipeline() as pipeline:
        while len(await stage.done.keys()) < 50:
            await pipeline.update()
            await asyncio.sleep(0)

        assert stage.task.running == set(bad)


async def test_manual_launches_are_not_limited(threads: Counting) -> None:
    held = Held()
    stage = in_memory(threads, held.body)
    jobs = [f"a{n}" for n in range(40)]
    await stage.feed(*jobs, "b")

    async with stage.pipeline() as pipeline:
        await pipeline.update()
        with pytest.raises(LaunchRefusedError, match="work's executor"):
            await stage.task.launch("b")
        held.go.set()
    pipeline = stage.pipeline()
    held.go.clear()
    await pipeline.open("one")
    for job in jobs:
        if job not in stage.task.running:
            await stage.task.launch(job)
    held.go.set()
    await stage.finish()
    await pipeline.close()

    assert await stage.done.keys() >= set(jobs)


async def test_a_job_is_not_launched_twice_at_once(threads: Counting) -> None:
    held = Held()
    stage = in_memory(threads, held.body)
    await stage.feed("a")

    async with stage.pipeline() as pipeline:
        await pipeline.update()
        with pytest.raises(TaskError, match="job 'a' is running already"):
            await stage.task.launch("a")
        held.go.set()
        await pipeline.run(timeout=50)

    assert held.runs == ["a"]


async def test_a_job_that_could_not_be_recorded_is_not_started(threads: Counting) -> None:
    stage = in_memory(threads, bodies.copy)

    with pytest.raises(InvalidJobIdError):
        await stage.task.launch("../a")

    assert threads.most == 0


def test_a_concurrency_below_one_is_rejected(threads: Counting) -> None:
    with pytest.raises(TaskConfigurationError, match="concurrency"):
        in_memory(threads, bodies.copy, concurrency=0)


# -- leftovers -----------------------------------------------------------------------------------


async def test_finished_jobs_leave_no_references_behind(threads: Counting) -> None:
    stage = in_memory(threads, bodies.copy)
    await stage.feed(*(f"a{n}" for n in range(300)))

    gc.disable()  # objects that only the cycle collector would free must not exist
    try:
        async with stage.pipeline() as pipeline:
            await pipeline.run(timeout=50)
            threads.shutdown()  # a thread keeps a reference to its last job for a moment
            left = list(threads.futures)
    finally:
        gc.enable()

    assert left == []
    assert not stage.task._by_job
    assert not stage.task._submissions.finished
    assert not stage.task._results._attempts


async def test_the_end_of_a_job_wakes_the_loop_at_once(threads: Counting) -> None:
    """A chain of tasks finishes even with one hour between polling rounds."""
    stage = in_memory(threads, bodies.copy)
    done = InProcessMetadataRepository()
    second = ExecutorTask("second", threads, done)

    @second
    async def body(job: str, out: Any) -> None:
        await out.info(job)

    second.plug(stage.task)
    second.links["out"].required_for_start = False
    await stage.feed("a")

    async with Pipeline([stage.task, second]) as pipeline:
        await pipeline.run(timeout=50, poll=3600)

    assert await done.keys() == {"a"}


# -- live ----------------------------------------------------------------------------------------


async def test_live_contains_exactly_the_running_jobs(threads: Counting) -> None:
    held = Held()
    stage = in_memory(threads, held.body)
    live = stage.task.links["live"].repo
    await stage.feed("a", "b")

    assert isinstance(live, ExecutorLiveRepo)
    assert not await live.keys()
    async with stage.pipeline() as pipeline:
        await pipeline.update()
        keys = await live.keys()
        assert keys == {"a", "b"} == {job async for job in live}
        assert await live.keys() is keys
        assert await live.contains("a")
        assert not await live.contains("c")
        assert await live.info_many(["a"]) == {"a": None}
        await live.delete("c")
        with pytest.raises(InvalidJobIdError):
            await live.delete("../a")
        held.go.set()
        await pipeline.run(timeout=50)

    assert not await live.keys()


async def test_live_prevents_a_plugged_task_from_starting(threads: Counting) -> None:
    stage = in_memory(threads, bodies.copy)
    second = ExecutorTask("second", threads, InProcessMetadataRepository(), func=bodies.copy)

    second.plug(stage.task)

    assert second.links["work_live"].inhibits_start
    assert {n for n, link in stage.task.links.items() if link.is_status} == {"live", "done"}
