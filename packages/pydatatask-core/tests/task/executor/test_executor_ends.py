"""Ends of jobs, which executors report in any thread and at any time."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.append(str(Path(__file__).parent / "support"))

import executor_bodies as bodies
from executor_stage import in_memory

from pydatatask_core.repository.job_scope import JobScope
from pydatatask_core.task.executor.submission import Submission
from pydatatask_core.task.executor.submissions import Submissions
from pydatatask_core.task.executor.worker import JobResult

if TYPE_CHECKING:
    import pytest


async def test_a_job_may_be_recorded_before_its_launch_returns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ThreadPoolExecutor(1) as threads:
        stage = in_memory(threads, bodies.copy)
        adapter = stage.task._adapter
        submit = adapter.submit

        async def submit_and_wait_until_recorded(*args: Any) -> None:
            await submit(*args)
            while not await stage.done.contains("a"):
                await stage.task.update()
                await asyncio.sleep(0)

        monkeypatch.setattr(adapter, "submit", submit_and_wait_until_recorded)
        await stage.feed("a")

        await stage.task.launch("a")

    assert (await stage.done.info("a"))["success"]
    assert not stage.task.running


class Ends:
    """Submissions, and the future of each of them."""

    def __init__(self) -> None:
        self.wakes: list[str] = []
        self.submissions = Submissions(lambda: self.wakes.append("woken"))
        self.jobs = [Submission(job, 1, JobScope("work", job)) for job in "abc"]

    async def submit(self) -> None:
        self.submissions.enter(asyncio.get_running_loop())
        for job in self.jobs:
            self.submissions.on_submitted(job, Future())

    def end(self, job: Submission) -> None:
        assert job.future is not None
        job.future.set_result(JobResult({"success": True}))


async def test_ends_that_are_reported_together_are_handled_together() -> None:
    ends = Ends()
    await ends.submit()

    for job in ends.jobs:
        ends.end(job)
    await ends.jobs[0].ended.wait()

    assert ends.wakes == ["woken"]
    assert list(ends.submissions.finished) == ends.jobs
    assert all(job.ended.is_set() for job in ends.jobs)


async def test_an_end_that_is_reported_after_others_were_handled_is_handled_too() -> None:
    ends = Ends()
    await ends.submit()

    for job in ends.jobs:
        ends.end(job)
        await job.ended.wait()

    assert list(ends.submissions.finished) == ends.jobs


def test_ends_that_are_reported_without_a_loop_are_handled_by_the_next_one() -> None:
    ends = Ends()
    asyncio.run(ends.submit())

    for job in ends.jobs[:2]:
        ends.end(job)

    async def enter_and_end_another() -> None:
        ends.submissions.enter(asyncio.get_running_loop())
        assert list(ends.submissions.finished) == ends.jobs[:2]
        ends.end(ends.jobs[2])
        await ends.jobs[2].ended.wait()

    asyncio.run(enter_and_end_another())

    assert list(ends.submissions.finished) == ends.jobs
