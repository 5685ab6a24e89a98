"""State that a round or a run leaves behind is neither lost nor a hindrance later."""

from __future__ import annotations

import asyncio
import time

import pytest

from pydatatask_core import Pipeline, ResourceManager, Resources
from pydatatask_core.pipeline.run import PipelineRun

from .fakes import Broken, Detached, jobs
from .waits import FAR, a_while, cancelled, settled


async def test_launch_once_launches_jobs_that_wait_for_a_quota_although_a_listing_fails() -> None:
    source = Broken({"x": None})
    waits = Detached("waits", jobs("a", "b", "c"), ResourceManager(Resources.parse(1, 1)))
    unknown = Detached("unknown", source)
    async with Pipeline([waits, unknown]) as pipeline, asyncio.timeout(20):
        run = asyncio.create_task(pipeline.run(launch_once=True, poll=0.01))
        for job in "abc":
            while waits.launches[-1:] != [job]:
                await a_while()
                assert not run.done()
            await a_while()  # rounds in which the other task is unknown
            await waits.end(job)
        source.out_of_order = False
        while not unknown.launches:
            await a_while()
        await unknown.end("x")
        summary = await run

    assert summary.launched == {"waits": 3, "unknown": 1}


async def test_a_cancelled_launch_does_not_block_other_jobs_in_the_next_run() -> None:
    class Hanging(Detached):
        event_driven = True

        async def launch(self, job: str) -> None:
            if not self.attempts:
                self.attempts += 1
                await asyncio.Event().wait()
            await super().launch(job)

    high, low = Hanging("high", source := jobs("a")), Detached("low", jobs("b"))
    pipeline = Pipeline([high, low], priority=lambda task, _: int(task == "high"))
    async with pipeline:
        run = asyncio.create_task(pipeline.run(poll=FAR))
        while not high.attempts:
            await settled()
        assert not low.launches
        await cancelled(run)
        await source.delete("a")
        run = asyncio.create_task(pipeline.run(poll=0.01))
        async with asyncio.timeout(5):
            while not low.launches:
                await a_while()
        await cancelled(run)


async def test_a_quota_released_just_when_a_wait_ends_is_noticed() -> None:
    async with Pipeline([Detached("t", jobs())]) as pipeline:
        loop = PipelineRun(pipeline._scheduler, (), False, False, FAR, None)
        waiting = asyncio.create_task(loop._wait(0.01))
        await settled()
        time.sleep(0.02)  # noqa: ASYNC251 - the timeout expires before the loop continues
        asyncio.get_running_loop().call_soon(loop.on_quota_released)
        await waiting
        assert loop._quota_released


async def test_a_pipeline_whose_closing_is_cancelled_releases_its_tasks() -> None:
    quota = ResourceManager(Resources.parse(1, 1))

    class Deaf(Detached):
        async def update(self) -> bool:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await asyncio.sleep(0.3)
            return False

    task = Deaf("t", jobs("a"), quota)
    pipeline = Pipeline([task], resources=[quota])
    await pipeline.open()
    update = asyncio.create_task(pipeline.update_only_update())
    await settled()
    close = asyncio.create_task(pipeline.close())
    await settled()
    close.cancel()
    with pytest.raises(asyncio.CancelledError):
        await close
    update.cancel()
    await asyncio.wait([update])
    assert task.runtime is None
    assert not quota._listeners
