"""Single rounds: ready jobs, launches, and the results of the documented calls."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from pydatatask_core import (
    InProcessMetadataRepository,
    Pipeline,
    ResourceManager,
    Resources,
)
from pydatatask_core.errors import PipelineError, PipelineNotOpenError

from .fakes import Broken, Counting, Detached, Gated, function_task, jobs, quiet


async def test_the_error_for_an_unopened_pipeline_has_the_remedy() -> None:
    """P5: and names the call."""
    pipeline = Pipeline([function_task("t", quiet, jobs("a"))])

    for call in (
        pipeline.update(),
        pipeline.update_only_update(),
        pipeline.update_only_launch(),
        pipeline.run(),
        pipeline.gather_ready_jobs(pipeline.tasks["t"]),
    ):
        with pytest.raises(PipelineNotOpenError, match="async with pipeline"):
            await call


async def test_a_pipeline_can_be_opened_again_but_not_twice_at_once() -> None:
    """P5: the error has the remedy."""
    pipeline = Pipeline([function_task("t", quiet, jobs("a"))])
    async with pipeline as entered:
        assert entered is pipeline
        with pytest.raises(PipelineError, match="open already"):
            await pipeline.open()
        assert await pipeline.update()
    async with pipeline:
        assert not await pipeline.update()


async def test_a_round_launches_the_ready_jobs_and_the_next_finds_none() -> None:
    ran: list[str] = []

    async def body(job: str) -> None:
        ran.append(job)

    task = function_task("t", body, jobs("a", "b"))
    async with Pipeline([task]) as pipeline:
        assert await pipeline.gather_ready_jobs(task) == {"a", "b"}
        assert not await pipeline.update_only_update()
        assert await pipeline.update_only_launch()
        assert sorted(ran) == ["a", "b"]
        assert await pipeline.gather_ready_jobs(task) == set()
        assert not await pipeline.update()


async def test_the_update_phase_returns_whether_there_are_live_jobs() -> None:
    task = Detached("t", jobs("a"))
    async with Pipeline([task]) as pipeline:
        assert await pipeline.update_only_launch()
        assert await pipeline.update_only_update()
        await task.end("a")
        assert not await pipeline.update_only_update()
        assert not await pipeline.update_only_launch()


async def test_jobs_held_back_by_a_quota_count_as_activity() -> None:
    task = Detached("t", jobs("a", "b"), ResourceManager(Resources.parse(1, 1)))
    async with Pipeline([task]) as pipeline:
        assert await pipeline.update_only_launch()
        assert len(task.launches) == 1
        assert await pipeline.update_only_launch()
        assert len(task.launches) == 1
        await task.end(task.launches[0])
        assert await pipeline.update_only_launch()
        assert sorted(task.launches) == ["a", "b"]


async def test_after_a_refusal_only_pending_launches_of_the_task_are_attempted() -> None:
    task = Detached(
        "t", jobs(*(f"j{i}" for i in range(10_000))), ResourceManager(Resources.parse(2, 1))
    )
    async with Pipeline([task]) as pipeline:
        await pipeline.update_only_launch()

    assert len(task.launches) == 2
    assert task.attempts <= 2 + 16


async def test_each_repository_is_listed_once_per_round_however_many_tasks_link_it() -> None:
    """P2: a snapshot of the round serves all tasks."""
    source = Counting(dict.fromkeys(["a", "b"]))
    tasks = [function_task(f"t{i}", quiet, source) for i in range(3)]
    async with Pipeline(tasks) as pipeline:
        await pipeline.update()
        source.listings = 0
        await pipeline.update()

    assert source.listings == 1


async def test_an_idle_round_reads_no_value() -> None:
    """P2: values are read only for candidates, and remembered."""
    done = Counting()
    first = function_task("first", quiet, jobs("a", "b"))
    second = function_task("second", quiet)
    first.links["done"].repo = done
    first = function_task("again", quiet, jobs("a", "b"))
    second.plug(first)
    async with Pipeline([first, second]) as pipeline:
        while await pipeline.update():
            pass
        done.reads.clear()
        await pipeline.update()

    assert done.reads == []


async def test_values_are_read_only_for_candidates_and_cached() -> None:
    done = Counting({f"j{i}": {"success": i != 0} for i in range(100)})
    first = Detached("first", jobs())
    first.links.pop("done")
    first.link_outcomes("done", done)
    second = Detached("second", jobs())
    second.links.pop("source")
    second.plug(first)
    await second.done.dump("j1", {})
    async with Pipeline([first, second]) as pipeline:
        assert len(await pipeline.gather_ready_jobs(second)) == 98
        assert "j1" not in done.reads
        assert len(done.reads) == 99
        await pipeline.update_only_launch()
        read = len(done.reads)
        await pipeline.update_only_launch()

    assert len(done.reads) - read <= 1  # j0, which failed, is the only candidate left


async def test_a_failed_listing_blocks_only_the_tasks_that_use_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = Broken(dict.fromkeys(["a"]))
    tasks = [
        function_task("unlucky", quiet, broken),
        function_task("lucky", quiet, jobs("a")),
    ]
    async with Pipeline(tasks) as pipeline:
        assert await pipeline.update()
        assert await pipeline.update()
        assert await tasks[1].links["done"].repo.contains("a")
        assert not await tasks[0].links["done"].repo.contains("a")
        told = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
        assert len(told) == 1
        assert "unlucky" in told[0]
        assert "out of order" in told[0]

        with pytest.raises(ConnectionError):
            await pipeline.gather_ready_jobs(tasks[0])

        broken.out_of_order = False
        while await pipeline.update():
            pass
        assert await tasks[0].links["done"].repo.contains("a")


async def test_a_job_that_ends_while_repositories_are_listed_is_not_launched_again() -> None:
    runs: list[str] = []
    started, let_go = asyncio.Event(), asyncio.Event()

    async def body(job: str) -> None:
        runs.append(job)
        started.set()
        await let_go.wait()

    source = Gated(dict.fromkeys(["a"]))
    task = function_task("t", body, source)
    done = task.links["done"].repo
    assert isinstance(done, InProcessMetadataRepository)
    async with Pipeline([task]) as pipeline, asyncio.TaskGroup() as group:
        run = group.create_task(pipeline.run(poll=0.01))
        await started.wait()
        # A round begins to list, finds `done` empty, and blocks at `source`...
        source.gate.clear()
        source.asked.clear()
        await source.asked.wait()
        # ... while the job ends ...
        let_go.set()
        while not await done.contains("a"):  # noqa: ASYNC110 - a dict has no events
            await asyncio.sleep(0)
        # ... and only then the listing resumes.
        source.gate.set()
        summary = await run

    assert runs == ["a"]
    assert summary.launched == {"t": 1}


@pytest.mark.parametrize("shown", ["fails", "succeeds", "injected"])
async def test_a_failed_job_does_not_start_the_task_plugged_after_it(shown: str) -> None:
    async def body(job: str) -> None:
        if shown == "fails":
            raise ValueError("no")

    first = function_task("first", body, jobs("a"))
    second = function_task("second", quiet)
    second.plug(first)
    if shown == "injected":
        await first.links["done"].repo.dump("a", {})  # type: ignore[attr-defined]
    async with Pipeline([first, second]) as pipeline:
        while await pipeline.update():
            pass

    assert await first.links["done"].repo.contains("a")
    assert await second.links["done"].repo.contains("a") is (shown != "fails")


async def test_an_update_that_raises_stops_no_other_task(caplog: pytest.LogCaptureFixture) -> None:
    class Raises(Detached):
        async def update(self) -> bool:
            raise RuntimeError("broken update")

    bad, good = Raises("bad", jobs("a")), function_task("good", quiet, jobs("a"))
    async with Pipeline([bad, good]) as pipeline:
        assert await pipeline.update()

    assert await good.links["done"].repo.contains("a")
    assert "bad: update failed" in caplog.text


async def test_priorities_are_launched_strictly_in_order() -> None:
    """P1: a lower priority waits for the launches of the higher one."""
    order: list[str] = []

    def body(name: str) -> Any:
        async def run(job: str) -> None:
            order.append(f"{name}.{job}")

        return run

    tasks = [function_task(name, body(name), jobs("x", "y")) for name in ("a", "b")]
    ranks = {("a", "x"): 1, ("b", "x"): 4, ("a", "y"): 3, ("b", "y"): 2}
    async with Pipeline(tasks, priority=lambda task, job: ranks[task, job]) as pipeline:
        await pipeline.update()

    assert order == ["b.x", "a.y", "b.y", "a.x"]


async def test_a_disabled_task_is_neither_updated_nor_launched() -> None:
    task = function_task("t", quiet, jobs("a"), disabled=True)
    async with Pipeline([task]) as pipeline:
        assert not await pipeline.update()

    assert not await task.links["done"].repo.contains("a")


async def test_without_metadata_a_job_runs_once_per_run_and_is_held_back_with_one_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ran: list[str] = []

    async def body(job: str) -> None:
        ran.append(job)

    pipeline = Pipeline([function_task("t", body, jobs("a"))])
    pipeline.settings(metadata=False)
    async with pipeline:
        summary = await pipeline.run(poll=0.01)

    assert ran == ["a"]
    assert summary.given_up == {"t": ["a"]}
    errors = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "ready again" in errors[0].getMessage()


async def test_a_job_whose_launch_fails_is_retried_and_then_abandoned(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Refuses(Detached):
        async def launch(self, job: str) -> None:
            if job == "bad":
                self.attempts += 1
                raise OSError("no such machine")
            await super().launch(job)
            await self.end(job)

    task = Refuses("t", jobs("bad", "good"))
    async with Pipeline([task]) as pipeline:
        summary = await pipeline.run(poll=0.05)

    assert task.launches == ["good"]
    assert task.attempts >= 3
    assert summary.given_up == {"t": ["bad"]}
    assert "no such machine" in caplog.text


async def test_a_round_updates_every_task_before_it_launches_any_job() -> None:
    """P1: so that a round launches with the room and the outputs of the jobs that have ended."""
    calls: list[str] = []

    class Logged(Detached):
        async def update(self) -> bool:
            calls.append("update")
            return await super().update()

        async def launch(self, job: str) -> None:
            calls.append("launch")
            await super().launch(job)

    async with Pipeline([Logged("s", jobs("a")), Logged("t", jobs("a"))]) as pipeline:
        await pipeline.update()

    assert calls == ["update", "update", "launch", "launch"]


async def test_quotas_are_found_from_the_tasks() -> None:
    """P4: once each, also if they are passed to the pipeline as well."""
    quota, other = (ResourceManager(Resources.parse(1, 1)) for _ in range(2))
    tasks = [Detached(name, jobs("a"), quota) for name in ("s", "t")]
    assert Pipeline(tasks).resources == [quota]
    assert Pipeline(tasks, resources=[other, quota]).resources == [other, quota]

    async with Pipeline(tasks) as pipeline:
        await pipeline.update()
    assert sum(len(task.launches) for task in tasks) == 1
