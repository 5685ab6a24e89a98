"""roundrobin, run_to_completion and run_concurrently."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from itertools import zip_longest
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydatatask_core.utils import roundrobin, run_concurrently, run_to_completion

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator


async def drip(items: str, closed: list[str] | None = None) -> AsyncGenerator[str, None]:
    try:
        for item in items:
            await asyncio.sleep(0)
            yield item
    finally:
        if closed is not None:
            closed.append(items)


def plain(items: str, closed: list[str]) -> Generator[str, None, None]:
    try:
        yield from items
    finally:
        closed.append(items)


async def test_the_documented_order() -> None:
    assert [item async for item in roundrobin("ABC", "D", "EF")] == list("ADEBFC")
    assert [x async for x in roundrobin(drip("ABC"), drip("D"), drip("EF"))] == list("ADEBFC")


@given(st.lists(st.lists(st.integers(), max_size=5), max_size=5))
async def test_iterables_yield_in_turn(iterables: list[list[int]]) -> None:
    rounds = zip_longest(*[[(item,) for item in iterable] for iterable in iterables])
    expected = [entry[0] for turn in rounds for entry in turn if entry is not None]
    assert [item async for item in roundrobin(*iterables)] == expected


async def test_generators_are_closed_if_the_loop_ends_early() -> None:
    closed: list[str] = []
    generators = drip("ABC", closed), plain("DEF", closed)  # kept alive
    async with aclosing(roundrobin(*generators)) as items:
        async for item in items:
            if item == "D":
                break
    assert sorted(closed) == ["ABC", "DEF"]


async def test_a_failing_generator_closes_the_others() -> None:
    async def failing() -> AsyncGenerator[str, None]:
        yield "x"
        raise OSError("torn")

    closed: list[str] = []
    items = roundrobin(failing(), drip("ABC", closed))
    assert [await anext(items), await anext(items)] == ["x", "A"]
    with pytest.raises(OSError, match="torn"):
        await anext(items)
    assert closed == ["ABC"]


async def test_an_argument_that_is_not_iterable_is_refused() -> None:
    with pytest.raises(TypeError, match="roundrobin accepts iterables, not 5"):
        await anext(roundrobin("AB", 5))  # type: ignore[arg-type]


async def test_run_to_completion_returns_the_result() -> None:
    async def work() -> int:
        return 5

    assert await run_to_completion(work()) == 5


async def test_run_to_completion_raises_the_failure() -> None:
    async def work() -> int:
        raise OSError("torn")

    with pytest.raises(OSError, match="torn"):
        await run_to_completion(work())


@pytest.mark.parametrize("cancellations", [1, 3])
async def test_run_to_completion_finishes_before_it_is_cancelled(cancellations: int) -> None:
    async def work() -> None:
        await go_on.wait()
        done.append("work")

    go_on = asyncio.Event()
    done: list[str] = []
    task = asyncio.create_task(run_to_completion(work()))
    for _ in range(cancellations):
        await asyncio.sleep(0)
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
    async def work() -> None:
        await go_on.wait()
        raise OSError("torn")

    go_on = asyncio.Event()
    task = asyncio.create_task(run_to_completion(work()))
    await asyncio.sleep(0)
    task.cancel()
    go_on.set()
    with caplog.at_level(logging.ERROR), pytest.raises(asyncio.CancelledError):
        await task
    assert [record.getMessage() for record in caplog.records] == [
        "Failed after the task was cancelled: torn"
    ]


async def test_the_error_of_one_coroutine_is_raised_after_the_others_have_ended() -> None:
    ended: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("waiting")

    async def fail() -> None:
        await asyncio.sleep(0)
        raise KeyError("one")

    with pytest.raises(KeyError, match="one"):
        await run_concurrently([wait(), fail(), wait()])
    assert ended == ["waiting"] * 2


async def test_several_failures_do_not_change_the_cancellation_count_of_the_caller() -> None:
    async def fail() -> None:
        raise KeyError("one")

    async def fail_and_wait() -> None:
        with pytest.raises(KeyError):
            await run_concurrently([fail(), fail()])
        current = asyncio.current_task()
        assert current is not None
        assert current.cancelling() == before
        await asyncio.Event().wait()

    current = asyncio.current_task()
    assert current is not None
    before = current.cancelling()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await fail_and_wait()


async def test_a_cancelled_caller_waits_for_the_end_of_all_coroutines() -> None:
    ended: list[str] = []

    async def linger() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            ended.append("lingering")

    running = asyncio.create_task(run_concurrently([linger(), linger()]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for _ in range(2):
        running.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended == ["lingering"] * 2


async def test_a_cancellation_from_inside_is_raised() -> None:
    async def escape() -> None:
        raise asyncio.CancelledError("inside")

    with pytest.raises(asyncio.CancelledError, match="inside"):
        await run_concurrently([escape()])
