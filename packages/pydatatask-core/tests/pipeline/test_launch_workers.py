"""The asyncio tasks that launch the jobs of a backlog, and the rounds meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydatatask_core import Pipeline

from .fakes import Counting, Detached, function_task, jobs

if TYPE_CHECKING:
    from pydatatask_core import InProcessMetadataRepository

FAR = 3600.0
"""A poll interval in seconds that no test reaches."""


class Launching(Detached):
    """A task that records which asyncio tasks launch its jobs; the launch of job ``h`` hangs."""

    def __init__(self, source: InProcessMetadataRepository) -> None:
        super().__init__("t", source)
        self.source = source
        self.launchers: set[Any] = set()
        self.all_launched = asyncio.Event()
        self.go = asyncio.Event()

    async def launch(self, job: str) -> None:
        self.launchers.add(asyncio.current_task())
        self.launches.append(job)
        if len(self.launches) == len(self.source.data):
            self.all_launched.set()
        if job == "h":
            await self.go.wait()
        await self.done.dump(job, {"success": True})


async def test_a_hanging_launch_delays_no_other_job_of_its_task() -> None:
    task = Launching(jobs("h", "i"))
    async with Pipeline([task]) as pipeline, asyncio.TaskGroup() as group:
        group.create_task(pipeline.run(poll=0.01, timeout=50))
        await task.all_launched.wait()
        task.go.set()

    assert task.launches == ["h", "i"]
    assert len(task.launchers) == 2


async def test_launches_that_do_not_wait_share_one_asyncio_task() -> None:
    task = Launching(jobs(*(f"j{i}" for i in range(20))))
    async with Pipeline([task]) as pipeline:
        await pipeline.run(poll=0.01, timeout=50)

    assert len(task.launches) == 20
    assert len(task.launchers) == 1


async def test_repositories_are_not_listed_while_every_task_has_jobs_in_the_backlog() -> None:
    source = Counting(dict.fromkeys(f"j{i}" for i in range(30)))
    listings: list[int] = []

    async def body(job: str) -> None:
        listings.append(source.listings)
        await asyncio.sleep(0)

    task = function_task("t", body, source, concurrency=1)
    async with Pipeline([task]) as pipeline:
        await pipeline.run(poll=FAR)

    assert set(listings[:-1]) == {listings[0]}
    assert source.listings > listings[0]
