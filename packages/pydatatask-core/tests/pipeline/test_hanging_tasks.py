"""A hanging or failing task delays no other task, and the loop never spins."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest

from pydatatask_core import (
    Pipeline,
    Progress,
)
from pydatatask_core.pipeline import launch_guard
from pydatatask_core.pipeline import run as loop
from pydatatask_core.pipeline.dispatch import Dispatcher
from pydatatask_core.pipeline.launch_guard import LaunchGuard

from .fakes import Counting, Detached, function_task, jobs, quiet
from .waits import FAR, a_while, cancelled, settled

# -- updates that hang -------------------------------------------------------------------------


class Hanging(Detached):
    """A task whose update waits for the test."""

    event_driven = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.gate = asyncio.Event()
        self.updates = 0
        self.deaf = False

    async def update(self) -> bool:
        self.updates += 1
        while not self.gate.is_set():
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                if not self.deaf:
                    raise
        return await super().update()


@pytest.mark.usefixtures("impatient")
async def test_a_hanging_update_delays_only_its_own_task() -> None:
    hangs = Hanging("hangs", jobs("x"))
    first = function_task("first", quiet, jobs("a", "b"))
    second = function_task("second", quiet)
    second.plug(first)
    seen = asyncio.Event()

    def watch(progress: Progress) -> None:
        if progress.launched.get("second") == 2:
            seen.set()

    async with Pipeline([hangs, first, second]) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=FAR, progress=watch))
        await seen.wait()
        assert (hangs.updates, hangs.launches) == (1, [])

        hangs.gate.set()
        while not hangs.launches:
            await settled()
        await hangs.end("x")
        hangs.wake()
        summary = await run

    assert summary.launched == {"hangs": 1, "first": 2, "second": 2}


@pytest.mark.usefixtures("impatient")
async def test_a_hanging_update_that_ignores_its_cancellation_does_not_keep_the_run_open(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hangs = Hanging("hangs", jobs("x"))
    hangs.deaf = True
    async with Pipeline([hangs]) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=FAR))
        while not hangs.updates:
            await settled()
        await cancelled(run)

    assert "pydatatask update hangs does not finish although it was cancelled" in caplog.text
    hangs.gate.set()
    await settled()


@pytest.mark.usefixtures("impatient")
async def test_a_job_that_ends_during_a_slow_update_is_handled_by_another_update() -> None:
    class Slow(Hanging):
        over: ClassVar[set[str]] = set()

        async def update(self) -> bool:
            live = sorted(self.live.data)  # read before the job ends
            await super().update()
            for job in live:
                if job in self.over:
                    await self.end(job)
            return bool(self.live.data)

    slow = Slow("slow", jobs("x"))
    slow.gate.set()
    async with Pipeline([slow]) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=FAR))
        while not slow.launches:
            await settled()
        slow.gate.clear()
        before = slow.updates
        slow.wake()
        while slow.updates == before:
            await settled()
        await a_while()  # longer than the timeout
        slow.over.add("x")
        slow.wake()
        await settled()
        slow.gate.set()
        await run

    assert slow.done.data.keys() == {"x"}


# -- launches that hang or fail ----------------------------------------------------------------


@pytest.mark.parametrize("names", [("high", "low"), ("low", "high")])
async def test_with_priorities_a_hanging_function_delays_only_its_own_job(
    names: tuple[str, str],
) -> None:
    never, done = asyncio.Event(), asyncio.Event()

    async def hang(job: str) -> None:
        await never.wait()

    async def finish(job: str) -> None:
        done.set()

    bodies = {"high": hang, "low": finish}
    tasks = [function_task(name, bodies[name], jobs("a")) for name in names]
    async with Pipeline(tasks, priority=lambda task, job: task == "high") as pipeline:
        run = asyncio.create_task(pipeline.run(poll=FAR))
        await done.wait()
        await cancelled(run)


async def test_a_task_of_lower_priority_starts_when_the_launch_of_the_higher_returns() -> None:
    gate = asyncio.Event()

    class Slow(Detached):
        event_driven = True

        async def launch(self, job: str) -> None:
            order.append(f"{self.name} begins")
            if self.name == "high":
                await gate.wait()
            await super().launch(job)
            order.append(f"{self.name} returns")

    order: list[str] = []
    tasks = [Slow("low", jobs("a")), Slow("high", jobs("a"))]
    async with Pipeline(tasks, priority=lambda task, job: task == "high") as pipeline:
        run = asyncio.create_task(pipeline.run(poll=FAR))
        await settled()
        assert order == ["high begins"]
        gate.set()
        while len(order) < 4:
            await settled()
        await cancelled(run)

    assert order == ["high begins", "high returns", "low begins", "low returns"]


async def test_step_by_step_waiting_for_a_higher_priority_costs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = asyncio.Event()
    pumped = 0
    pump = Dispatcher.start_workers

    def counted(*args: Any, **kwargs: Any) -> None:
        nonlocal pumped
        pumped += 1
        pump(*args, **kwargs)

    async def hang(job: str) -> None:
        await gate.wait()

    monkeypatch.setattr(Dispatcher, "start_workers", counted)
    tasks = [function_task("high", hang, jobs("a")), function_task("low", quiet, jobs("a"))]
    async with Pipeline(tasks, priority=lambda task, job: task == "high") as pipeline:
        launching = asyncio.create_task(pipeline.update_only_launch())
        await settled()
        await settled()
        assert pumped <= 3
        gate.set()
        assert await launching
    assert await tasks[1].links["done"].repo.contains("a")


@pytest.mark.parametrize("error", [asyncio.CancelledError("inside"), ValueError("no"), OSError()])
async def test_any_exception_of_a_launch_leaves_the_other_jobs_launched(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch_guard, "_INITIAL_BACKOFF_SECONDS", 0.001)

    class Failing(Detached):
        async def launch(self, job: str) -> None:
            if job == "bad":
                raise error
            await super().launch(job)
            await self.end(job)

    task = Failing("t", jobs("bad", *(f"j{number}" for number in range(40))))
    async with Pipeline([task]) as pipeline:
        summary = await pipeline.run(poll=0.01)

    assert summary.launched == {"t": 40}
    assert summary.given_up == {"t": ["bad"]}


async def test_with_launch_once_the_run_does_not_wait_for_a_failed_launch() -> None:
    class Failing(Detached):
        async def launch(self, job: str) -> None:
            raise ValueError("no")

    task = Failing("t", jobs("a"))
    async with Pipeline([task]) as pipeline:
        summary = await pipeline.run(launch_once=True, poll=0.01)

    assert summary.given_up == {"t": ["a"]}


async def test_a_failed_launch_is_retried_in_time_regardless_of_the_poll_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(launch_guard, "_INITIAL_BACKOFF_SECONDS", 0.001)

    class Failing(Detached):
        event_driven = True
        failures = 2

        async def launch(self, job: str) -> None:
            if self.failures:
                self.failures -= 1
                raise ValueError("no")
            await super().launch(job)
            await self.end(job)
            self.wake()

    task = Failing("t", jobs("a"))
    async with Pipeline([task]) as pipeline:
        summary = await pipeline.run(poll=FAR)

    assert summary.launched == {"t": 1}
    assert summary.given_up == {}


async def test_a_retry_that_exceeds_the_concurrency_causes_no_rounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(launch_guard, "_INITIAL_BACKOFF_SECONDS", 0.001)
    source = Counting({"a": None, "b": None})

    class Failing(Detached):
        event_driven = True
        failed = False

        @property
        def running(self) -> Any:
            return self.live.data.keys()

        async def launch(self, job: str) -> None:
            if job == "b" and not self.failed:
                self.failed = True
                raise ValueError("no")
            await super().launch(job)

    task = Failing("t", source)
    async with Pipeline([task]) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=FAR))
        while not task.failed:
            await settled()
        task.concurrency = 1  # reached by job a
        await a_while()
        before = source.listings
        await a_while()
        assert source.listings <= before + 1
        await task.end("a")
        task.wake()
        while "b" not in task.launches:
            await settled()
        await task.end("b")
        task.wake()
        await run


def test_a_launch_that_fails_for_days_is_still_retried() -> None:
    now = 0.0
    guard = LaunchGuard(lambda: now)
    task = Detached("t", jobs("a"))
    for _ in range(5000):
        guard.failed(task, "a", ValueError("no"))
        assert guard.allowed(task, {"a"}, set()) == set()
        wait = guard.seconds_until_retry()
        assert wait is not None
        assert 0 < wait <= 60
        now += wait
        assert guard.allowed(task, {"a"}, set()) == {"a"}
        assert guard.seconds_until_retry() is None


def test_a_failed_launch_keeps_its_count_while_its_job_seems_to_be_live() -> None:
    guard = LaunchGuard(lambda: 0.0)
    task = Detached("t", jobs("a"))
    guard.failed(task, "a", ValueError("no"))

    guard.allowed(task, set(), {"a"})
    assert guard.has_pending_retries

    guard.allowed(task, set(), set())
    assert not guard.has_pending_retries


async def test_when_nothing_is_left_to_do_a_round_follows_at_once_even_if_rounds_are_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "ROUND_PAUSE_FACTOR", 1e9)
    first = function_task("first", quiet, jobs(*(f"j{number}" for number in range(100))))
    second = function_task("second", quiet)
    second.plug(first)
    async with Pipeline([first, second]) as pipeline:
        summary = await pipeline.run(poll=FAR)

    assert summary.launched == {"first": 100, "second": 100}
