"""The loop of run: its launches, its timing, its end, and its cancellation."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core import (
    InProcessMetadataRepository,
    Pipeline,
    Progress,
    ResourceManager,
    Resources,
    Retries,
    Session,
)
from pydatatask_core.errors import PipelineError
from pydatatask_core.pipeline.run import PipelineRun

from .fakes import Broken, Counting, Detached, function_task, jobs, quiet
from .waits import cancelled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FAR = 3600.0
"""A poll interval in seconds that no test reaches."""


async def test_every_job_passes_a_chain_of_tasks_once_without_polling() -> None:
    """P3: the end of each job starts the next one."""
    ran: list[str] = []

    def body(name: str) -> Any:
        async def run(job: str) -> None:
            ran.append(f"{name}.{job}")

        return run

    tasks = [function_task("t0", body("t0"), jobs(*(f"j{i}" for i in range(500))))]
    for i in (1, 2):
        tasks.append(function_task(f"t{i}", body(f"t{i}")))
        tasks[i].plug(tasks[i - 1])
    async with Pipeline(tasks) as pipeline:
        summary = await pipeline.run(poll=FAR)

    assert sorted(ran) == sorted(f"t{i}.j{j}" for i in range(3) for j in range(500))
    assert summary.launched == {"t0": 500, "t1": 500, "t2": 500}
    assert not summary.failed
    assert not summary.given_up


async def test_a_hanging_function_delays_only_its_own_job() -> None:
    never = asyncio.Event()
    others = [f"j{i}" for i in range(50)]

    async def body(job: str) -> None:
        if job == "hangs":
            await never.wait()

    first = function_task("first", body, jobs("hangs", *others))
    second = function_task("second", quiet)
    second.plug(first)
    seen = asyncio.Event()

    def watch(progress: Progress) -> None:
        if progress.launched.get("second") == len(others):
            seen.set()

    async with Pipeline([first, second]) as pipeline, asyncio.TaskGroup() as group:
        run = group.create_task(pipeline.run(poll=FAR, progress=watch))
        await seen.wait()
        assert not await second.links["done"].repo.contains("hangs")
        never.set()
        summary = await run

    assert summary.launched == {"first": 51, "second": 51}


async def test_a_job_that_becomes_ready_while_a_function_hangs_runs_beside_it() -> None:
    """P6: a function that hangs is a bad job as well."""
    started, ran = asyncio.Event(), asyncio.Event()
    source = jobs("hangs")

    async def body(job: str) -> None:
        if job == "hangs":
            started.set()
            await asyncio.Event().wait()
        ran.set()

    async with Pipeline([function_task("task", body, source)]) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=0.01))
        await started.wait()
        await source.dump("late", None)
        await ran.wait()
        await cancelled(run)


async def test_while_jobs_run_and_nothing_ends_no_round_is_made() -> None:
    never, started = asyncio.Event(), asyncio.Event()
    source = Counting(dict.fromkeys(["a"]))

    async def body(job: str) -> None:
        started.set()
        await never.wait()

    async with Pipeline([function_task("t", body, source)]) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=FAR))
        await started.wait()
        before = source.listings
        for _ in range(1000):
            await asyncio.sleep(0)
        assert source.listings <= before + 1
        never.set()
        await run


async def test_data_that_is_injected_while_the_loop_runs_is_found_by_polling() -> None:
    source = jobs("a")
    task = function_task("t", quiet, source)
    done = task.links["done"].repo
    async with Pipeline([task]) as pipeline:
        run = asyncio.create_task(pipeline.run(forever=True, poll=0.01))
        while not await done.contains("a"):  # noqa: ASYNC110 - a dict has no events
            await asyncio.sleep(0)
        await source.dump("b", None)
        while not await done.contains("b"):  # noqa: ASYNC110
            await asyncio.sleep(0)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run


async def test_after_a_slow_round_the_next_one_does_not_follow_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Pipeline([function_task("t", quiet, jobs())]) as pipeline:
        loop = PipelineRun(pipeline._scheduler, (), False, False, 0.01, None)
        waits: list[float] = []

        async def wait(seconds: float) -> None:
            waits.append(seconds)
            raise InterruptedError

        monkeypatch.setattr(loop, "_wait", wait)
        with pytest.raises(InterruptedError):
            await loop._between_rounds(1000.0)
        assert waits[0] > 1.0


async def test_launch_once_does_not_launch_jobs_that_become_ready_later() -> None:
    first = function_task("first", quiet, jobs("a", "b"))
    second = function_task("second", quiet)
    second.plug(first)
    async with Pipeline([first, second]) as pipeline:
        summary = await pipeline.run(launch_once=True, poll=FAR)

    assert summary.launched == {"first": 2}


async def test_launch_once_waits_for_the_end_of_its_jobs() -> None:
    task = Detached("t", jobs("a"))

    async def end_soon(job: str) -> None:
        await asyncio.sleep(0.05)
        await task.end(job)

    async with Pipeline([task]) as pipeline, asyncio.TaskGroup() as group:
        run = group.create_task(pipeline.run(launch_once=True, poll=0.01))
        group.create_task(end_soon("a"))
        await run

    assert await task.done.contains("a")
    assert not await task.live.contains("a")


async def test_the_timeout_raises_and_leaves_jobs_running() -> None:
    task = Detached("t", jobs("a"))
    async with Pipeline([task]) as pipeline:
        with pytest.raises(TimeoutError):
            await pipeline.run(timeout=0.1, poll=0.01)

    assert await task.live.contains("a")


async def test_cancelling_ends_within_a_second_and_closes_the_session_in_reverse() -> None:
    """T7: a hanging function does not delay it."""
    started, closed = asyncio.Event(), list[str]()
    session = Session()

    def add(name: str) -> None:
        async def manager() -> AsyncIterator[None]:
            yield
            closed.append(name)

        manager.__name__ = name
        session.resource(manager)

    add("a")
    add("b")

    async def deaf(job: str) -> None:
        started.set()
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if closed:
                    raise

    task = function_task("t", deaf, jobs(*(f"j{i}" for i in range(100))))

    async def drive() -> None:
        async with Pipeline([task], session) as pipeline:
            await pipeline.run(poll=FAR)

    run = asyncio.create_task(drive())
    await started.wait()
    began = time.monotonic()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    assert time.monotonic() - began < 5  # takes one second; the rest is for a busy machine
    assert closed == ["b", "a"]
    assert not await task.links["done"].repo.contains("j0")
    leftover = [t for t in asyncio.all_tasks() if t.get_name().startswith("pydatatask launch")]
    for straggler in leftover:
        straggler.cancel()
    await asyncio.gather(*leftover, return_exceptions=True)


async def test_jobs_held_back_by_a_quota_are_launched_as_soon_as_there_is_room() -> None:
    """P3: without waiting for a poll."""
    quota = ResourceManager(Resources.parse(1, 1))
    launched = asyncio.Event()

    class Telling(Detached):
        async def launch(self, job: str) -> None:
            await super().launch(job)
            launched.set()

    task = Telling("t", jobs("a", "b", "c"), quota)
    async with Pipeline([task]) as pipeline, asyncio.TaskGroup() as group:
        run = group.create_task(pipeline.run(poll=0.05))
        for number in range(3):
            await launched.wait()
            launched.clear()
            assert len(task.launches) == number + 1
            await task.end(task.launches[-1])
        summary = await run

    assert sorted(task.launches) == ["a", "b", "c"]
    assert summary.launched == {"t": 3}


async def test_concurrency_limits_the_jobs_that_run_at_once() -> None:
    now = most = 0

    async def body(job: str) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1

    task = function_task("t", body, jobs(*(f"j{i}" for i in range(40))), concurrency=3)
    async with Pipeline([task]) as pipeline:
        await pipeline.run(poll=FAR)

    assert most == 3


async def test_a_failed_job_is_retried_after_a_wait_in_which_other_jobs_run() -> None:
    attempts: dict[str, int] = {}

    async def body(job: str) -> None:
        attempts[job] = attempts.get(job, 0) + 1
        if attempts[job] < 3:
            raise OSError("not yet")

    retries = Retries(2, delay=0.02)
    task = function_task("t", body, jobs("a", "b"), retries=retries, concurrency=1)
    async with Pipeline([task]) as pipeline:
        summary = await pipeline.run(poll=FAR)

    assert attempts == {"a": 3, "b": 3}
    assert not summary.failed
    assert (await task.links["done"].repo.info("a"))["attempt"] == 3


async def test_a_job_that_fails_without_a_retry_is_reported_once_to_hook_and_summary() -> None:
    told: list[tuple[str, str, str]] = []

    async def hook(task: str, job: str, record: Any) -> None:
        told.append((task, job, record["exception"]))
        raise RuntimeError("a failing hook does not stop the run")

    async def body(job: str) -> None:
        if job == "bad":
            raise ValueError("no good")

    task = function_task("t", body, jobs("bad", "good"), retries=Retries(1, delay=0))
    async with Pipeline([task], on_failure=hook) as pipeline:
        summary = await pipeline.run(poll=FAR)

    assert told == [("t", "bad", "ValueError: no good")]
    assert summary.failed == {"t": ["bad"]}


async def test_an_outcome_that_cannot_be_stored_is_kept_and_its_job_runs_only_once() -> None:
    class Full(InProcessMetadataRepository):
        refusals = 2

        async def dump(self, job: str, data: Any) -> None:
            if self.refusals:
                self.refusals -= 1
                raise OSError(28, "No space left on device")
            await super().dump(job, data)

    ran: list[str] = []

    async def body(job: str) -> None:
        ran.append(job)

    task = function_task("t", body, jobs("a"))
    done = Full()
    task = type(task)("t", done, func=body)
    task.link("source", jobs("a"), is_input=True)
    async with Pipeline([task]) as pipeline:
        await pipeline.run(poll=0.05)

    assert ran == ["a"]
    assert (await done.info("a"))["success"] is True


async def test_while_a_store_is_unavailable_the_pipeline_is_not_quiet() -> None:
    broken = Broken(dict.fromkeys(["a"]))
    task = function_task("t", quiet, broken)
    async with Pipeline([task]) as pipeline:
        with pytest.raises(TimeoutError):
            await pipeline.run(poll=0.01, timeout=0.2)
        broken.out_of_order = False
        assert (await pipeline.run(poll=0.01)).launched == {"t": 1}


async def test_a_pipeline_runs_once_at_a_time() -> None:
    never = asyncio.Event()

    async def body(job: str) -> None:
        await never.wait()

    async with Pipeline([function_task("t", body, jobs("a"))]) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=FAR))
        await asyncio.sleep(0)
        with pytest.raises(PipelineError, match="is not possible during run"):
            await pipeline.run()
        never.set()
        await run


@pytest.mark.parametrize("poll", [0, -1])
async def test_an_invalid_poll_interval_is_refused(poll: float) -> None:
    async with Pipeline([]) as pipeline:
        with pytest.raises(ValueError, match="poll has to be"):
            await pipeline.run(poll=poll)


async def test_progress_has_the_numbers_of_waiting_running_launched_and_failed_jobs() -> None:
    seen: list[Progress] = []

    async def body(job: str) -> None:
        if job == "j0":
            raise ValueError("no")
        await asyncio.sleep(0)

    task = function_task("t", body, jobs(*(f"j{i}" for i in range(30))), concurrency=5)
    async with Pipeline([task]) as pipeline:
        await pipeline.run(poll=FAR, progress=seen.append)

    assert seen[0].waiting == {"t": 30}
    assert max(p.running["t"] for p in seen) <= 5
    assert seen[-1] == Progress(
        waiting={"t": 0}, running={"t": 0}, launched={"t": 30}, failed={"t": 1}, adopted={"t": 0}
    )
