"""Calls at the wrong time and invalid arguments raise clear errors and do no harm."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core import (
    Pipeline,
)
from pydatatask_core.errors import (
    PipelineConfigurationError,
    PipelineError,
    PipelineNotOpenError,
)

from .fakes import function_task, jobs, quiet
from .waits import FAR, settled

if TYPE_CHECKING:
    from collections.abc import Awaitable

# -- one at a time -----------------------------------------------------------------------------


async def test_steps_are_refused_while_the_pipeline_is_run() -> None:
    gate = asyncio.Event()

    async def body(job: str) -> None:
        await gate.wait()

    async with Pipeline([function_task("t", body, jobs("a"))]) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=FAR))
        await settled()
        steps: list[Awaitable[Any]] = [
            pipeline.update(),
            pipeline.update_only_update(),
            pipeline.update_only_launch(),
        ]
        for step in steps:
            with pytest.raises(PipelineError, match="is not possible during run"):
                await step
        gate.set()
        await run
        assert not await pipeline.update()


async def test_two_launch_phases_at_once_are_refused() -> None:
    gate = asyncio.Event()

    async def body(job: str) -> None:
        await gate.wait()

    async with Pipeline([function_task("t", body, jobs("a"))]) as pipeline:
        first = asyncio.create_task(pipeline.update_only_launch())
        await settled()
        with pytest.raises(PipelineError, match=r"has to wait until update_only_launch\(\)"):
            await pipeline.update_only_launch()
        gate.set()
        await first


async def test_a_run_ends_with_an_error_when_its_pipeline_is_closed() -> None:
    async with Pipeline([function_task("t", quiet, jobs("a"))]) as pipeline:
        run = asyncio.create_task(pipeline.run(forever=True, poll=FAR))
        await settled()
    with pytest.raises(PipelineNotOpenError, match="closed during its run"):
        await run


# -- arguments ---------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, "high", [1]])
async def test_the_error_names_a_priority_that_is_not_a_number(value: Any) -> None:
    task = function_task("t", quiet, jobs("a"))
    async with Pipeline([task], priority=lambda task, job: value) as pipeline:
        with pytest.raises(PipelineConfigurationError, match=r"priority\('t', 'a'\)"):
            await pipeline.run(poll=FAR)


async def test_an_exception_of_a_hook_or_a_progress_display_is_reported_and_harmless(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*args: Any) -> None:
        raise RuntimeError("broken display")

    task = function_task("t", quiet, jobs("a"))
    async with Pipeline([task]) as pipeline:
        with pytest.raises(RuntimeError, match="broken display"):
            await pipeline.run(poll=FAR, progress=broken)
        assert (await pipeline.run(poll=FAR)).launched.get("t", 0) <= 1
    assert await task.links["done"].repo.contains("a")


async def test_the_error_of_a_background_task_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail() -> None:
        raise ValueError("beside")

    async with Pipeline([]) as pipeline:
        pipeline.spawn(fail(), "something")
        await settled()

    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert record.getMessage() == "something ended with an error"


@pytest.mark.usefixtures("impatient")
async def test_a_background_task_that_ignores_its_cancellation_is_abandoned(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = asyncio.Event()

    async def deaf() -> None:
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                continue

    async with Pipeline([]) as pipeline:
        pipeline.spawn(deaf(), "something deaf")
        await settled()

    assert "something deaf does not finish although it was cancelled" in caplog.text
    gate.set()
    await settled()
