"""in_thread: short functions in worker threads."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading

import pytest

from pydatatask_core.utils import in_thread


async def test_the_result_of_a_function_is_returned() -> None:
    def add(a: int, *, b: int) -> tuple[int, bool]:
        return a + b, threading.current_thread() is threading.main_thread()

    assert await in_thread(add, 2, b=3) == (5, False)


@pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt])
async def test_the_exception_of_a_function_is_raised(kind: type[BaseException]) -> None:
    def tear() -> None:
        raise kind("torn")

    with pytest.raises(kind, match="torn"):
        await in_thread(tear)
    assert await in_thread(int) == 0


async def test_context_variables_are_visible() -> None:
    variable = contextvars.ContextVar("variable", default="before")
    variable.set("now")
    assert await in_thread(variable.get) == "now"


@pytest.mark.parametrize("cancellations", [1, 3])
async def test_a_running_function_finishes_before_the_cancellation_is_raised(
    cancellations: int,
) -> None:
    begun, go_on, done = threading.Event(), threading.Event(), []

    def work() -> None:
        begun.set()
        go_on.wait()
        done.append("work")

    task = asyncio.create_task(in_thread(work))
    await asyncio.to_thread(begun.wait)
    for _ in range(cancellations):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["work"]


async def test_a_failure_after_the_cancellation_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    go_on = threading.Event()

    def work() -> None:
        go_on.wait()
        raise OSError("torn")

    task = asyncio.create_task(in_thread(work))
    await asyncio.sleep(0)
    task.cancel()
    go_on.set()
    with caplog.at_level(logging.ERROR), pytest.raises(asyncio.CancelledError):
        await task
    assert [record.getMessage() for record in caplog.records] == [
        "Failed after the task was cancelled: torn"
    ]


async def test_a_blocking_function_does_not_delay_others() -> None:
    """Each function waits for one that is submitted after it."""
    doors = [threading.Event() for _ in range(4)]
    waiting = [asyncio.create_task(in_thread(door.wait)) for door in doors[1:]]
    await asyncio.gather(*(in_thread(door.set) for door in doors))
    assert await asyncio.gather(*waiting) == [True] * 3


async def test_many_concurrent_results_reach_their_callers() -> None:
    async def several(number: int) -> list[int]:
        return [await in_thread(lambda: number * n) for n in range(20)]  # noqa: B023

    found = await asyncio.gather(*(several(number) for number in range(50)))
    assert found == [[number * n for n in range(20)] for number in range(50)]


def test_each_loop_has_its_own_threads() -> None:
    for number in range(3):
        assert asyncio.run(in_thread(lambda: number)) == number  # noqa: B023


async def test_a_loop_in_a_thread_has_its_own_threads() -> None:
    assert await in_thread(asyncio.run, in_thread(int, "7")) == 7
