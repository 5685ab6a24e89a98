"""Jobs that end or start while repositories are listed are neither launched twice nor forgotten."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatatask_core import InProcessMetadataRepository, InProcessSyncTask, Pipeline, Task
from pydatatask_core.errors import LaunchRefusedError
from pydatatask_core.pipeline import run as loop
from pydatatask_core.pipeline.dispatch import Dispatcher
from pydatatask_core.pipeline.launch_guard import LaunchGuard
from pydatatask_core.pipeline.readiness import ReadyJobs

from .fakes import Detached, Gated
from .waits import settled

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet


class SlowToShow(Detached):
    """A task whose jobs are visible only some time after their launch began."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()

    async def launch(self, job: str) -> None:
        self.begun.set()
        self.launches.append(job)
        await self.gate.wait()
        await self.live.dump(job, {})


async def test_a_launch_that_becomes_visible_during_a_listing_is_not_repeated() -> None:
    source = Gated({"a": 1})
    task = SlowToShow("t", source)
    async with Pipeline([task]) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=0.01))
        await task.begun.wait()
        source.asked.clear()
        source.gate.clear()
        await source.asked.wait()  # live is listed, and shows nothing
        task.gate.set()
        await settled()
        source.gate.set()
        while not await task.live.contains("a"):
            await settled()
        await settled()
        await task.end("a")
        await run

    assert task.launches == ["a"]


async def test_a_launch_that_takes_longer_than_rounds_is_not_repeated() -> None:
    source = Gated({"a": 1})
    task = SlowToShow("t", source)
    async with Pipeline([task]) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=0.01))
        for _ in range(3):
            source.asked.clear()
            await source.asked.wait()
        task.gate.set()
        await settled()
        await task.end("a")
        await run

    assert task.launches == ["a"]


async def test_a_job_that_was_refused_during_a_listing_is_not_forgotten() -> None:
    """No other job keeps the loop going."""
    source = Gated({"a": 1, "b": 1})
    begun, released = asyncio.Event(), asyncio.Event()

    class Refusing(Detached):
        event_driven = True
        refusals = 1

        async def launch(self, job: str) -> None:
            begun.set()
            await released.wait()
            if job == "b" and self.refusals:
                self.refusals -= 1
                raise LaunchRefusedError(self.name, job, "room")
            await super().launch(job)
            await self.end(job)

    task = Refusing("t", source, concurrency=1)
    async with Pipeline([task]) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=0.01))
        await begun.wait()
        source.asked.clear()
        source.gate.clear()
        await source.asked.wait()
        released.set()  # job a ends, and b is taken from the backlog
        await settled()
        source.gate.set()
        await run

    assert task.launches == ["a", "b"]


class Stage:
    """Resumes pending operations one by one, in an order that the test chooses."""

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[None]] = []

    async def pause(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        await future

    def let_one_go_on(self, choice: int) -> None:
        future = self.waiting.pop(choice % len(self.waiting))
        if not future.done():
            future.set_result(None)


class Slow(InProcessMetadataRepository):
    """A repository that pauses before and after each operation."""

    def __init__(self, stage: Stage, data: dict[str, Any] | None = None) -> None:
        super().__init__(data)
        self.stage = stage

    async def keys(self) -> frozenset[str]:
        await self.stage.pause()
        found = await super().keys()
        await self.stage.pause()
        return found

    async def info(self, job: str) -> Any:
        await self.stage.pause()
        return await super().info(job)

    async def dump(self, job: str, data: Any) -> None:
        await self.stage.pause()
        await super().dump(job, data)
        await self.stage.pause()

    async def delete(self, job: str) -> None:
        await self.stage.pause()
        await super().delete(job)
        await self.stage.pause()


class Remote(Task):
    """A task whose jobs run elsewhere: recorded before the launch, and reaped by a later update."""

    def __init__(self, name: str, stage: Stage, told: bool) -> None:
        super().__init__(name)
        self.stage = stage
        self.told = told
        self.live, self.done = Slow(stage), Slow(stage)
        self.ended: set[str] = set()
        self.link("live", self.live, is_status=True, inhibits_start=True, inhibits_output=True)
        self.link("done", self.done, is_status=True, inhibits_start=True, required_for_output=True)

    async def update(self) -> bool:
        live = sorted(self.live.data)
        for job in live:
            if job in self.ended:
                await self.done.dump(job, {"success": True})
                await self.live.delete(job)
        return bool(live)

    async def launch(self, job: str) -> None:
        await self.stage.pause()
        await self.live.dump(job, {})
        assert self.runtime is not None
        self.runtime.spawn(self._run(job), job)

    async def _run(self, job: str) -> None:
        await self.stage.pause()
        self.ended.add(job)
        if self.told:
            self.wake()


def counting(task: Task, launches: Counter[tuple[str, str]]) -> Task:
    launch = task.launch

    async def counted(job: str) -> None:
        launches[task.name, job] += 1
        await launch(job)

    task.launch = counted  # type: ignore[method-assign]
    return task


@pytest.fixture(scope="module", autouse=True)
def _no_pauses_between_rounds() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "ROUND_PAUSE_FACTOR", 0.0)
        yield


@settings(max_examples=60, deadline=None)
@given(
    schedule=st.lists(st.integers(0, 30), max_size=120),
    kinds=st.lists(st.sampled_from(["told", "polled", "in process"]), min_size=1, max_size=3),
    late=st.lists(st.integers(0, 60), max_size=2),
    concurrency=st.sampled_from([None, 1, 2]),
)
def test_in_any_order_of_events_each_task_runs_each_job_exactly_once(
    schedule: list[int], kinds: list[str], late: list[int], concurrency: int | None
) -> None:
    launches: Counter[tuple[str, str]] = Counter()
    stage = Stage()
    source = Slow(stage, {"a": 1, "b": 1})

    async def body(job: str) -> None:
        await stage.pause()

    makers: dict[str, Callable[[str], Task]] = {
        "told": lambda name: Remote(name, stage, told=True),
        "polled": lambda name: Remote(name, stage, told=False),
        "in process": lambda name: InProcessSyncTask(name, Slow(stage), func=body),
    }
    tasks: list[Task] = []
    for number, kind in enumerate(kinds):
        task = counting(makers[kind](f"t{number}"), launches)
        task.concurrency = concurrency or task.concurrency
        if tasks:
            task.plug(tasks[-1])
        else:
            task.link("source", source, is_input=True)
        tasks.append(task)
    appear = {moment: f"late{moment}" for moment in late}

    async def drive() -> None:
        async with Pipeline(tasks) as pipeline:
            run = asyncio.create_task(pipeline.run(poll=0.002))
            step = 0
            while not run.done():
                await settled()
                if step in appear and not run.done():
                    source.data[appear[step]] = 1
                if stage.waiting:
                    stage.let_one_go_on(schedule[step] if step < len(schedule) else 0)
                    step += 1
                else:
                    await asyncio.sleep(0.001)
            await run

    asyncio.run(drive())

    assert all(count == 1 for count in launches.values()), launches
    assert {(task.name, job) for task in tasks for job in ("a", "b")} <= launches.keys()


async def test_only_a_job_that_waited_before_a_listing_counts_as_missing_in_it() -> None:
    class Waits(Detached):
        missing: AbstractSet[str] = frozenset()

        def note_missing(self, jobs: AbstractSet[str]) -> None:
            self.missing = jobs

    task = Waits("t", InProcessMetadataRepository())
    dispatcher = Dispatcher(None, LaunchGuard())
    nothing = ReadyJobs(frozenset(), frozenset())
    dispatcher.begin_listing([task])
    task.retry_later("a", 3600)
    dispatcher.set_ready({task: nothing})
    assert task.missing == frozenset()
    dispatcher.begin_listing([task])
    dispatcher.set_ready({task: nothing})
    assert task.missing == {"a"}
    task.attach(None)
