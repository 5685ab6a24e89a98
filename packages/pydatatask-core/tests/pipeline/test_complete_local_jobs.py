"""Jobs that end with this process are run until they are recorded; no other job is started."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pydatatask_core import InProcessMetadataRepository, InProcessSyncTask, Pipeline, Retries
from pydatatask_core.errors import LaunchRefusedError, StoreConnectionError

from .fakes import Detached, function_task, jobs
from .waits import FAR


async def test_a_job_that_waits_for_a_retry_is_retried_until_it_is_recorded() -> None:
    runs: list[str] = []

    async def body(job: str, source: Any) -> None:
        runs.append(job)
        raise ValueError("always")

    task = function_task("t", body, jobs("a"), retries=Retries(2, delay=0.001))
    async with Pipeline([task]) as pipeline:
        await pipeline.update()
        summary = await pipeline.complete_local_jobs()

    assert runs == ["a"] * 3
    assert summary.failed == {"t": ["a"]}


async def test_jobs_that_become_ready_meanwhile_are_left_to_the_next_round() -> None:
    runs: list[str] = []

    async def body(job: str, **links: Any) -> None:
        runs.append(job)

    up = function_task("up", body, jobs("a"), retries=1)
    down = function_task("down", body)
    down.plug(up)
    async with Pipeline([up, down]) as pipeline:
        await pipeline.update()
        await pipeline.complete_local_jobs()

    assert runs == ["a"]


async def test_jobs_that_outlive_the_process_are_not_waited_for() -> None:
    task = Detached("t", jobs("a"))
    async with Pipeline([task]) as pipeline:
        await pipeline.update()
        summary = await pipeline.complete_local_jobs()
        assert task.launches == ["a"]

    assert summary.failed == {}


class RefusedOnce(Detached):
    """A task that has no room at its first launch and is not notified of free room later."""

    ends_with_process = True

    async def launch(self, job: str) -> None:
        self.attempts += 1
        if self.attempts == 1:
            raise LaunchRefusedError(self.name, job, "workers")
        self.launches.append(job)
        await self.done.dump(job, {"success": True})


async def test_a_refused_job_is_launched_without_a_notification_of_free_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pydatatask_core.pipeline.scheduler._POLL_INTERVAL_SECONDS", 0.01)
    task = RefusedOnce("t", jobs("a"))
    async with Pipeline([task]) as pipeline:
        await pipeline.update()
        await asyncio.wait_for(pipeline.complete_local_jobs(), 30)

    assert task.launches == ["a"]


class Down(InProcessMetadataRepository):
    """A store that refuses the first record."""

    refusals = 1

    async def dump(self, job: str, data: Any) -> None:
        if self.refusals:
            self.refusals -= 1
            raise StoreConnectionError("write", self, OSError("connection refused"))
        await super().dump(job, data)


async def test_a_record_that_the_store_refused_is_written_before_the_call_returns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pydatatask_core.task.outcome_log._FIRST_RETRY_DELAY_SECONDS", 0.001)

    async def body(job: str, source: Any) -> None: ...

    done = Down()
    task = InProcessSyncTask("t", done, func=body)
    task.link("source", jobs("a"), is_input=True)
    pipeline = Pipeline([task])
    await pipeline.open("one")
    try:
        await task.launch("a")
        await pipeline.complete_local_jobs()
    finally:
        await pipeline.close()

    assert await done.contains("a")


# -- cancellation counts ---------------------------------------------------------------------------


class Grouping(InProcessMetadataRepository):
    """A third party's store whose reads fail in a TaskGroup, which matters before Python 3.13."""

    async def info_many(self, jobs: Any) -> Any:
        async def fail() -> None:
            raise OSError(5, "Input/output error")

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
        except ExceptionGroup as e:
            raise e.exceptions[0] from e


@pytest.mark.parametrize("bulk", [True, False], ids=["bulk", "each"])
async def test_a_run_times_out_with_a_timeout_error_after_any_number_of_store_errors(
    bulk: bool,
) -> None:
    class Each(InProcessMetadataRepository):
        async def info_many(self, jobs: Any) -> Any:
            return await super(InProcessMetadataRepository, self).info_many(jobs)

        async def info(self, job: str) -> Any:
            raise StoreConnectionError("read", self, OSError("connection refused"))

    async def body(job: str, **links: Any) -> None: ...

    stored = {"a": {"success": True}}
    up = InProcessSyncTask("up", Grouping(stored) if bulk else Each(stored), func=body)
    up.link("source", jobs("a"), is_input=True)
    down = function_task("down", body)
    down.plug(up)
    current = asyncio.current_task()
    assert current is not None
    async with Pipeline([up, down]) as pipeline:
        with pytest.raises(TimeoutError):
            await pipeline.run(timeout=0.2, poll=0.01)
        assert current.cancelling() == 0
        with pytest.raises(TimeoutError):
            await pipeline.run(timeout=0.05, poll=FAR)
