"""OwnerTask: a single task enters and leaves a context manager for all callers."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.utils import OwnerTask

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Scope:
    """A context manager that records the tasks entering and leaving it, and that can be blocked."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[Any] | None] = []
        self.entering = asyncio.Event()
        self.leaving = asyncio.Event()
        self.may_enter = asyncio.Event()
        self.may_leave = asyncio.Event()
        self.may_enter.set()
        self.may_leave.set()
        self.cancelled = 0

    @asynccontextmanager
    async def __call__(self) -> AsyncGenerator[str, None]:
        self.tasks.append(asyncio.current_task())
        self.entering.set()
        await self.may_enter.wait()
        try:
            yield "value"
        finally:
            self.leaving.set()
            try:
                await self.may_leave.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
            self.tasks.append(asyncio.current_task())


async def test_one_task_enters_and_leaves_for_all_callers() -> None:
    scope = Scope()
    owner = OwnerTask(scope(), "scope")
    assert await asyncio.create_task(owner.enter()) == "value"
    assert not owner.ended
    await asyncio.create_task(owner.exit())
    assert owner.ended
    assert scope.tasks[0] is scope.tasks[1]
    assert scope.tasks[0] is not asyncio.current_task()


async def test_a_failure_to_enter_is_raised() -> None:
    @asynccontextmanager
    async def broken() -> AsyncGenerator[None, None]:
        raise OSError("no")
        yield

    owner = OwnerTask(broken(), "broken")
    with pytest.raises(OSError, match="no"):
        await owner.enter()
    assert owner.ended


async def test_a_failure_to_leave_is_raised() -> None:
    @asynccontextmanager
    async def broken() -> AsyncGenerator[None, None]:
        yield
        raise OSError("no")

    owner = OwnerTask(broken(), "broken")
    await owner.enter()
    with pytest.raises(OSError, match="no"):
        await owner.exit()
    assert owner.ended


async def test_entering_again_is_refused() -> None:
    owner = OwnerTask(Scope()(), "scope")
    await owner.enter()
    with pytest.raises(RuntimeError, match="scope has already been entered"):
        await owner.enter()
    await owner.exit()


async def test_leaving_before_entering_or_a_second_time_does_nothing() -> None:
    owner = OwnerTask(Scope()(), "scope")
    await owner.exit()
    assert not owner.ended
    await owner.enter()
    await owner.exit()
    await owner.exit()


async def test_leaving_from_inside_raises_instead_of_deadlocking() -> None:
    @asynccontextmanager
    async def silly() -> AsyncGenerator[None, None]:
        await owner.exit()
        yield

    owner = OwnerTask(silly(), "silly")
    with pytest.raises(RuntimeError, match="silly cannot be left from inside itself"):
        await owner.enter()


def test_leaving_in_another_loop_is_refused() -> None:
    owner = OwnerTask(Scope()(), "scope")
    with asyncio.Runner() as first, asyncio.Runner() as second:
        first.run(owner.enter())
        with pytest.raises(RuntimeError, match="scope was entered in another event loop"):
            second.run(owner.exit())
        first.run(owner.exit())


async def test_cancelling_enter_leaves_before_the_cancellation_is_raised() -> None:
    scope = Scope()
    scope.may_enter.clear()
    owner = OwnerTask(scope(), "scope")
    opener = asyncio.create_task(owner.enter())
    await scope.entering.wait()
    opener.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opener
    assert owner.ended


async def test_cancelling_exit_cancels_the_context_manager_and_waits_for_its_end() -> None:
    scope = Scope()
    scope.may_leave.clear()
    owner = OwnerTask(scope(), "scope")
    await owner.enter()
    closer = asyncio.create_task(owner.exit())
    await scope.leaving.wait()
    closer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closer
    assert owner.ended
    assert scope.cancelled == 1
    assert len(scope.tasks) == 2


async def test_a_failure_while_being_cancelled_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    @asynccontextmanager
    async def broken() -> AsyncGenerator[None, None]:
        yield
        try:
            leaving.set()
            await asyncio.Event().wait()
        finally:
            raise OSError("no")

    leaving = asyncio.Event()
    owner = OwnerTask(broken(), "broken")
    await owner.enter()
    closer = asyncio.create_task(owner.exit())
    await leaving.wait()
    closer.cancel()
    with caplog.at_level(logging.ERROR), pytest.raises(asyncio.CancelledError):
        await closer
    assert [record.getMessage() for record in caplog.records] == [
        "broken: no, after it was cancelled"
    ]


def test_the_end_of_the_loop_leaves_the_context_manager() -> None:
    scope = Scope()
    owner = OwnerTask(scope(), "scope")
    asyncio.run(owner.enter())
    assert owner.ended
    assert scope.tasks[0] is scope.tasks[1]
    asyncio.run(owner.exit())
