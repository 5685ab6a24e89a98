"""ResourceManager: launches never exceed a quota; none is lost or counted twice."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydatatask_core.resource_manager import ResourceManager, Resources, ResourceType

if TYPE_CHECKING:
    from collections.abc import Callable

ONE = Resources.parse(1, 1)
FREED = ONE.without_launches()
WINDOW = timedelta(seconds=60)


def cpus(count: int, launches: int = 0) -> Resources:
    return Resources.parse(count, count, launches)


class Jobs:
    """Live jobs, and a callback that counts them as slowly as a server does."""

    def __init__(self, count: int = 0) -> None:
        self.alive = count
        self.asked = 0
        self.asking = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def report(self) -> Resources:
        self.asked += 1
        self.asking.set()
        alive = self.alive
        await self.may_answer.wait()
        return cpus(alive)


@pytest.fixture
def manager() -> ResourceManager:
    return ResourceManager(Resources.parse(4, 4))


async def spin() -> None:
    """Run every task until it blocks."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_reservations_add_up_to_the_quota_and_no_further(manager: ResourceManager) -> None:
    answers = [await manager.reserve(ONE) for _ in range(6)]
    assert answers == [None] * 4 + [ResourceType.CPU] * 2
    await manager.relinquish(ONE)
    assert await manager.reserve(ONE) is None
    assert await manager.reserve(ONE) is ResourceType.CPU


async def test_concurrent_requests_read_the_usage_once(
    manager: ResourceManager,
) -> None:
    first, second = Jobs(1), Jobs(2)
    manager.register(first.report)
    manager.register(second.report)
    first.may_answer.clear()
    requests = [asyncio.create_task(manager.reserve(ONE)) for _ in range(5)]
    await first.asking.wait()
    await spin()
    first.may_answer.set()
    answers = await asyncio.gather(*requests)
    assert answers.count(None) == 1
    assert (first.asked, second.asked) == (1, 1)


async def test_a_failed_callback_leaves_the_usage_unknown_and_is_called_again(
    manager: ResourceManager,
) -> None:
    async def report() -> Resources:
        if failing:
            raise OSError("server is down")
        return cpus(3)

    failing = True
    manager.register(report)
    for _ in range(2):
        with pytest.raises(OSError, match="server is down") as caught:
            await manager.reserve(ONE)
        assert "was called to report the resources in use" in caught.value.__notes__[0]
        assert manager.usage() is None
    failing = False
    assert await manager.reserve(ONE) is None
    assert await manager.reserve(ONE) is ResourceType.CPU


async def test_the_room_is_unknown_before_the_usage_is(
    manager: ResourceManager,
) -> None:
    assert manager.room(cpus(1)) is None
    await manager.fill()
    known = manager.room(cpus(1))
    assert known is not None
    assert await manager.reserve(cpus(1)) is None
    assert manager.room(cpus(1)) == known - 1


async def test_a_callback_that_returns_another_type_is_named(manager: ResourceManager) -> None:
    async def report() -> Any:
        return 5

    manager.register(report)
    with pytest.raises(TypeError, match=r"report.* returned 5, which is not a Resources"):
        await manager.reserve(ONE)


async def test_a_request_that_is_cancelled_while_reading_usage_does_not_delay_the_others(
    manager: ResourceManager,
) -> None:
    jobs = Jobs(3)
    manager.register(jobs.report)
    jobs.may_answer.clear()
    first = asyncio.create_task(manager.reserve(ONE))
    second = asyncio.create_task(manager.reserve(ONE))
    await jobs.asking.wait()
    first.cancel()
    jobs.may_answer.set()
    assert await second is None
    assert first.cancelled()
    assert manager.usage() == cpus(4)


async def test_registering_a_callback_later_counts_its_usage(manager: ResourceManager) -> None:
    assert await manager.reserve(ONE) is None
    manager.register(Jobs(4).report)
    assert await manager.reserve(ONE) is ResourceType.CPU


async def test_flushing_reads_the_usage_again(manager: ResourceManager) -> None:
    jobs = Jobs(0)
    manager.register(jobs.report)
    await manager.fill()
    jobs.alive = 4
    assert manager.usage() == cpus(0)
    await manager.flush()
    assert manager.usage() is None
    assert await manager.reserve(ONE) is ResourceType.CPU
    assert jobs.asked == 2


async def test_a_reservation_that_raises_releases_everything(manager: ResourceManager) -> None:
    async def launch() -> None:
        async with manager.reservation(cpus(4), window=WINDOW) as refused:
            assert refused is None
            raise OSError("launch failed")

    with pytest.raises(OSError, match="launch failed"):
        await launch()
    assert manager.usage() == cpus(0)


async def test_a_refused_reservation_releases_nothing(manager: ResourceManager) -> None:
    async def launch() -> None:
        async with manager.reservation(ONE) as refused:
            assert refused is ResourceType.CPU
            raise KeyError

    await manager.reserve(cpus(4))
    with pytest.raises(KeyError):
        await launch()
    assert manager.usage() == cpus(4)


async def test_flushing_waits_for_launches_and_counts_each_once(manager: ResourceManager) -> None:
    async def launch(launched: asyncio.Event) -> None:
        async with manager.reservation(ONE) as refused:
            assert refused is None
            await launched.wait()
            jobs.alive += 1

    jobs = Jobs(1)
    first, second = asyncio.Event(), asyncio.Event()
    manager.register(jobs.report)
    launches = [asyncio.create_task(launch(launched)) for launched in (first, second)]
    await spin()
    flushing = asyncio.create_task(manager.flush())
    late = asyncio.create_task(manager.reserve(ONE))
    await spin()
    first.set()
    await spin()
    # One job is reserved but not reported by the callback yet: counting now would be wrong.
    assert not flushing.done()
    assert not late.done()
    assert jobs.asked == 1
    second.set()
    await flushing
    assert await late is None
    assert manager.usage() == cpus(4)
    assert jobs.asked == 2
    await asyncio.gather(*launches)


async def test_every_flush_waits(manager: ResourceManager) -> None:
    async def launch() -> None:
        async with manager.reservation(ONE):
            await launched.wait()

    for _ in range(2):
        launched = asyncio.Event()
        launching = asyncio.create_task(launch())
        await spin()
        flushing = asyncio.create_task(manager.flush())
        await spin()
        assert not flushing.done()
        launched.set()
        await asyncio.gather(launching, flushing)


async def test_a_launch_that_fails_while_a_flush_waits_is_not_counted(
    manager: ResourceManager,
) -> None:
    async def launch() -> None:
        async with manager.reservation(ONE):
            await fail.wait()
            raise OSError("launch failed")

    fail = asyncio.Event()
    manager.register(Jobs(1).report)
    launching = asyncio.create_task(launch())
    await spin()
    flushing = asyncio.create_task(manager.flush())
    await spin()
    fail.set()
    await flushing
    with pytest.raises(OSError, match="launch failed"):
        await launching
    await manager.fill()
    assert manager.usage() == cpus(1)


async def test_a_job_that_ends_while_usage_is_read_is_counted_correctly(
    manager: ResourceManager,
) -> None:
    jobs = Jobs(2)
    manager.register(jobs.report)
    jobs.may_answer.clear()
    filling = asyncio.create_task(manager.fill())
    await jobs.asking.wait()
    # The callback has counted two jobs, one of which ends before the callback returns.
    jobs.alive -= 1
    await manager.relinquish(FREED)
    jobs.may_answer.set()
    await filling
    assert manager.usage() == cpus(1)


async def test_a_job_that_ends_before_usage_is_read_needs_no_correction(
    manager: ResourceManager, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = Jobs(1)
    manager.register(jobs.report)
    await manager.relinquish(FREED)
    await manager.fill()
    assert manager.usage() == cpus(1)
    assert not caplog.records


async def test_a_flush_while_usage_is_read_is_not_forgotten(manager: ResourceManager) -> None:
    jobs = Jobs(1)
    manager.register(jobs.report)
    jobs.may_answer.clear()
    filling = asyncio.create_task(manager.fill())
    await jobs.asking.wait()
    jobs.alive = 3
    await manager.flush()
    jobs.may_answer.set()
    await filling
    assert manager.usage() == cpus(3)


@pytest.mark.parametrize("use", ["flush", "reserve"])
async def test_waiting_for_its_own_reservation_raises_instead_of_deadlocking(
    manager: ResourceManager, use: str
) -> None:
    async with manager.reservation(ONE):
        manager.register(Jobs().report)
        call: Callable[..., Any] = getattr(manager, use)
        with pytest.raises(
            RuntimeError, match="this asyncio task has one open: leave its block first"
        ):
            await call(*([ONE] if use == "reserve" else []))
    assert await manager.reserve(ONE) is None


async def test_launches_count_for_their_window() -> None:
    now = 0.0
    manager = ResourceManager(Resources.parse(100, 100, 2), clock=lambda: now)
    assert manager.next_release() is None
    async with manager.reservation(ONE, window=WINDOW):
        now += 5  # the window begins with the launch, however long the launch takes
    assert await manager.reserve(ONE, window=WINDOW) is None
    assert await manager.reserve(ONE) is ResourceType.RATE
    assert manager.next_release() == 55
    now += 55
    assert await manager.reserve(ONE) is None


async def test_launches_within_their_window_survive_a_flush() -> None:
    now = 0.0
    manager = ResourceManager(Resources.parse(100, 100, 2), clock=lambda: now)
    manager.register(Jobs().report, window=WINDOW)
    for _ in range(2):
        assert await manager.reserve(ONE, window=WINDOW) is None
    await manager.flush()
    assert await manager.reserve(ONE) is ResourceType.RATE
    now += 60
    assert await manager.reserve(ONE) is None


async def test_launches_of_an_earlier_driver_expire_after_the_window() -> None:
    async def report() -> Resources:
        return cpus(2, launches=2)

    now = 0.0
    manager = ResourceManager(Resources.parse(100, 100, 2), clock=lambda: now)
    manager.register(report, window=WINDOW)
    assert await manager.reserve(ONE) is ResourceType.RATE
    now += 60
    assert await manager.reserve(ONE) is None


async def test_listeners_are_notified_of_room_and_a_failing_one_does_not_affect_the_others(
    manager: ResourceManager, caplog: pytest.LogCaptureFixture
) -> None:
    def failing() -> None:
        raise OSError("deaf")

    def hear() -> None:
        heard.append("room")

    heard: list[str] = []
    manager.add_listener(failing)
    manager.add_listener(hear)
    await manager.reserve(cpus(2))
    assert heard == []
    await manager.relinquish(cpus(1))
    assert heard == ["room"]
    with pytest.raises(KeyError):
        async with manager.reservation(ONE):
            raise KeyError
    assert heard == ["room"] * 2
    assert "A listener of <ResourceManager" in caplog.text
    manager.remove_listener(hear)
    manager.remove_listener(hear)
    await manager.relinquish(cpus(1))
    assert heard == ["room"] * 2


def test_a_request_that_can_never_be_granted_is_detected(manager: ResourceManager) -> None:
    assert manager.fits(cpus(4, launches=1000))
    assert not manager.fits(cpus(5))
    assert not ResourceManager(Resources.parse(4, 4, 0)).fits(ONE)


def test_a_manager_can_be_used_in_one_loop_after_another(manager: ResourceManager) -> None:
    async def contend() -> None:
        jobs.asking, jobs.may_answer = asyncio.Event(), asyncio.Event()
        requests = [asyncio.create_task(manager.reserve(ONE)) for _ in range(3)]
        await jobs.asking.wait()
        jobs.may_answer.set()
        assert await asyncio.gather(*requests) == [None] * 3
        await manager.flush()

    jobs = Jobs()
    manager.register(jobs.report)
    asyncio.run(contend())
    asyncio.run(contend())
    assert jobs.asked == 2


def test_a_quota_must_be_resources() -> None:
    with pytest.raises(TypeError, match="the quota of a ResourceManager must be Resources, not 5"):
        ResourceManager(5)  # type: ignore[arg-type]


def test_a_manager_shows_its_quota(manager: ResourceManager) -> None:
    assert "in use: not known yet" in repr(manager)


@given(st.lists(st.sampled_from(["launch", "fail", "end", "flush", "spin"]), max_size=30))
async def test_the_ledger_agrees_with_live_jobs_under_concurrent_events(
    events: list[str],
) -> None:
    manager = ResourceManager(Resources.parse(3, 3))
    alive = most = 0

    async def launch(fails: bool) -> None:
        nonlocal alive, most
        try:
            async with manager.reservation(ONE) as refused:
                if refused is None:
                    await asyncio.sleep(0)
                    if fails:
                        raise OSError
                    alive += 1
                    most = max(most, alive)
        except OSError:
            pass

    async def report() -> Resources:
        seen = alive
        await asyncio.sleep(0)
        return cpus(seen)

    async def end() -> None:
        nonlocal alive
        if alive:
            alive -= 1
            await manager.relinquish(FREED)

    manager.register(report)
    async with asyncio.TaskGroup() as group:
        for event in events:
            if event in ("launch", "fail"):
                group.create_task(launch(event == "fail"))
            elif event == "end":
                group.create_task(end())
            elif event == "flush":
                group.create_task(manager.flush())
            else:
                await asyncio.sleep(0)
    await manager.fill()
    assert manager.usage() == cpus(alive)
    assert most <= 3
