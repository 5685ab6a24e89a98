"""Third-party tasks that implement only the documented contract: polling, limits and retries."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pydatatask_core import (
    InProcessMetadataRepository,
    Pipeline,
    ResourceManager,
    Resources,
    Task,
)
from pydatatask_core.errors import (
    LaunchRefusedError,
)

from .fakes import Counting, Detached, function_task, jobs
from .waits import FAR, a_while, cancelled, settled

# -- tasks of the old kind ---------------------------------------------------------------------


class Silent(Detached):
    """A task of the old kind, whose launch silently does nothing if its quota is exhausted."""

    async def launch(self, job: str) -> None:
        assert self.quota is not None
        self.attempts += 1
        if await self.quota.reserve(Resources.parse(1, 0)) is not None:
            return
        self.launches.append(job)
        await self.live.dump(job, {})


async def test_a_task_that_silently_launches_nothing_is_retried_at_the_poll_interval() -> None:
    task = Silent("t", jobs("a", "b"), ResourceManager(Resources.parse(1, 1)))
    async with Pipeline([task]) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=FAR))
        while task.attempts < 2:
            await settled()
        await a_while()
        assert task.attempts == 2
        await cancelled(run)

        run = asyncio.create_task(pipeline.run(poll=0.01))
        for _ in range(2):
            while not task.live.data:
                await settled()
            await task.end(next(iter(task.live.data)))
        await run

    assert sorted(task.launches) == ["a", "b"]


async def test_the_last_launch_of_a_polled_task_is_polled_before_the_run_is_quiet() -> None:
    class Immediate(Detached):
        """A task whose jobs end before the next update, without notice."""

        async def launch(self, job: str) -> None:
            await super().launch(job)
            await self.end(job)

        async def update(self) -> bool:
            return False

    first, second = Immediate("first", jobs("a")), Immediate("second", jobs())
    second.links.pop("source")
    second.plug(first)
    async with Pipeline([first, second]) as pipeline:
        await pipeline.run(poll=0.001)

    assert second.launches == ["a"]


@pytest.mark.parametrize("event_driven", [True, False])
async def test_concurrency_limits_tasks_that_launch_without_running(event_driven: bool) -> None:
    class Slow(Detached):
        most = 0

        @property
        def running(self) -> Any:
            return self.live.data.keys() if event_driven else frozenset()

        async def launch(self, job: str) -> None:
            await asyncio.sleep(0)  # the job becomes visible with a delay
            await super().launch(job)
            self.most = max(self.most, len(self.live.data))

    Slow.event_driven = event_driven
    task = Slow("t", jobs(*(f"j{number}" for number in range(10))), concurrency=3)
    async with Pipeline([task]) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=0.001))
        for _ in range(10):
            while not task.live.data:
                await settled()
            await settled()
            await task.end(next(iter(task.live.data)))
            task.wake()
        await run

    assert task.most == 3
    assert len(task.launches) == 10


async def test_a_job_that_waits_for_a_retry_does_not_count_for_the_concurrency() -> None:
    class Retrying(Detached):
        event_driven = True

        @property
        def running(self) -> Any:
            return self.live.data.keys() | super().running

        async def launch(self, job: str) -> None:
            if job == "a" and not self.launches:
                self.launches.append("a, in vain")
                self.retry_later(job, 0.01)
                return
            await super().launch(job)
            assert len(self.live.data) == 1

    task = Retrying("t", jobs("a", "b"), concurrency=1)
    async with Pipeline([task]) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=FAR))
        for job in ("b", "a"):
            while job not in task.live.data:
                await settled()
            await a_while()
            await task.end(job)
            task.wake()
        await run

    assert task.launches == ["a, in vain", "b", "a"]


async def test_a_third_partys_task_can_request_retries_without_implementing_them() -> None:
    class Retrying(Detached):
        tries = 0

        async def launch(self, job: str) -> None:
            self.tries += 1
            if self.tries < 3:
                self.retry_later(job, 0.001)
                return
            await super().launch(job)
            await self.end(job)
            self.wake()

    task = Retrying("t", jobs("a"))
    async with Pipeline([task]) as pipeline:
        await pipeline.run(poll=0.01)

    assert task.tries == 3
    assert not task.running


async def test_a_refused_retry_waits_without_spinning() -> None:
    class Refusing(Detached):
        event_driven = True
        room = False

        @property
        def running(self) -> Any:
            return self.live.data.keys() | super().running

        async def launch(self, job: str) -> None:
            self.attempts += 1
            if self.attempts == 1:
                self.retry_later(job, 0.001)
            elif self.room:
                await super().launch(job)
                await self.end(job)
                self.wake()
            else:
                raise LaunchRefusedError(self.name, job, "room")

    task = Refusing("t", jobs("a"))
    async with Pipeline([task]) as pipeline:
        await pipeline.update_only_launch()
        await asyncio.sleep(0.01)
        assert task.due_retries
        assert await pipeline.update_only_launch()
        assert task.attempts == 2
        run = asyncio.create_task(pipeline.run(poll=FAR))
        while task.attempts < 3:
            await settled()
        await a_while()
        assert task.attempts == 3
        task.room = True
        task.wake()
        await run

    assert task.launches == ["a"]


# -- quotas ------------------------------------------------------------------------------------


async def test_the_end_of_a_job_of_another_task_causes_no_request_to_a_quota() -> None:
    gate = asyncio.Event()

    async def body(job: str) -> None:
        await gate.wait()

    quota = ResourceManager(Resources.parse(1, 1))
    source = Counting({"a": None, "b": None})
    refused = Detached("refused", source, quota)
    other = function_task("other", body, jobs(*(f"j{number}" for number in range(20))))
    async with Pipeline([refused, other]) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=FAR))
        while refused.attempts < 2:
            await settled()
        attempts, rounds = refused.attempts, source.listings
        gate.set()
        await a_while()
        assert refused.attempts - attempts <= source.listings - rounds
        await cancelled(run)


async def test_reopening_reads_the_usage_of_quotas_again() -> None:
    in_use = Resources(launches=0)

    async def usage() -> Resources:
        return in_use

    quota = ResourceManager(Resources.parse(1, 1))
    quota.register(usage)
    task = Detached("t", jobs("a"), quota)
    pipeline = Pipeline([task])
    async with pipeline:
        await quota.reserve(Resources.parse(1, 0))
    in_use = Resources(launches=0)  # the job has ended while the pipeline was closed
    async with pipeline:
        await pipeline.update_only_launch()

    assert task.launches == ["a"]


class Bare(Task):
    """A task with only the two documented methods, one of which returns nothing here."""

    def __init__(self, name: str, source: InProcessMetadataRepository) -> None:
        super().__init__(name)
        self.out = InProcessMetadataRepository()
        self.link("source", source, is_input=True)
        self.link("out", self.out, is_output=True, inhibits_start=True)

    async def update(self) -> bool:  # type: ignore[empty-body]
        """Return None, as authors may by mistake."""

    async def launch(self, job: str) -> None:
        await self.out.dump(job, job)


async def test_the_two_documented_methods_are_enough_for_a_task() -> None:
    first, second = Bare("first", jobs("a", "b")), Bare("second", jobs())
    second.links.pop("source")
    second.links.pop("out")
    second.link("made", second.out, is_output=True, inhibits_start=True)
    second.plug(first)
    async with Pipeline([first, second]) as pipeline:
        summary = await pipeline.run(poll=0.001)

    assert summary.launched == {"first": 2, "second": 2}
    assert second.out.data == {"a": "a", "b": "b"}
