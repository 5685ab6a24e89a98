"""A wall clock that jumps has no effect on running jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core import ProcessTask, Resources, Retries
from pydatatask_core.task.process import job as live
from pydatatask_core.task.process import launch as launching
from pydatatask_core.task.process import recorder as ending

if TYPE_CHECKING:
    from processes.lab import Lab

HOUR = timedelta(hours=1)


class _LikeDatetime(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, datetime)


class Clock:
    """Shifts the driver's wall clock in the modules that use it.

    :param monkeypatch: undoes the change after the test.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def shift(self, by: timedelta) -> None:
        """Shift the clock from now on."""

        class Shifted(metaclass=_LikeDatetime):
            fromtimestamp = datetime.fromtimestamp

            @staticmethod
            def now(zone: Any) -> datetime:
                return datetime.now(zone) + by

        for module in (ending, launching, live):
            self._monkeypatch.setattr(module, "datetime", Shifted)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def left_running(lab: Lab, **options: Any) -> ProcessTask:
    """Abandon a driver that has a running job."""
    await lab.add("a")
    task = lab.task("echo ready >>LOG; WAIT", **options)
    await task.launch("a")
    await lab.logged()
    task.attach(None)
    return task


@pytest.mark.parametrize("jump", [HOUR, -HOUR, timedelta(seconds=0.01)])
async def test_no_record_ends_before_its_start_or_includes_a_clock_jump(
    lab: Lab, clock: Clock, jump: timedelta
) -> None:
    clock.shift(jump)
    await lab.add("a")
    await lab.run(lab.task("exit 0"))
    record = await lab.done.info("a")
    assert record["start_time"] <= record["end_time"] < record["start_time"] + HOUR / 2
    assert record["duration"] == (record["end_time"] - record["start_time"]).total_seconds()


async def test_no_record_of_an_adopted_job_ends_before_its_start(lab: Lab) -> None:
    await left_running(lab)
    record = await lab.pids.info("a")
    record["start_time"] += HOUR
    await lab.pids.dump("a", record)
    lab.go.touch()
    await lab.run(lab.again().task("echo ready >>LOG; WAIT"))
    record = await lab.done.info("a")
    assert record["end_time"] >= record["start_time"]


async def test_a_clock_set_forward_ends_no_job_early(lab: Lab, clock: Clock) -> None:
    await left_running(lab)
    clock.shift(2 * HOUR)
    lab.go.touch()
    await lab.run(lab.again().task("echo ready >>LOG; WAIT", timeout=HOUR))
    assert (await lab.done.info("a"))["success"] is True


async def test_a_clock_set_back_does_not_extend_a_timeout(lab: Lab, clock: Clock) -> None:
    await left_running(lab)
    clock.shift(-2 * HOUR)
    await lab.run(lab.again().task("echo ready >>LOG; WAIT", timeout=0.01))
    assert (await lab.done.info("a"))["timed_out"] is True


@pytest.mark.parametrize(
    ("retry_time", "delay"), [(10 * HOUR, 0.01), (-HOUR, 3600)], ids=["set back", "set forward"]
)
async def test_a_recorded_retry_delay_is_limited_to_that_of_the_policy(
    lab: Lab, retry_time: timedelta, delay: float
) -> None:
    await lab.add("a")
    await lab.pids.validate()
    now = datetime.now(UTC)
    record = {"attempt": 2, "retry_time": now + retry_time, "start_time": now}
    await lab.pids.dump("a", record)
    await lab.run(lab.task("exit 0", retries=Retries(1, delay=delay)), timeout=60)
    assert (await lab.done.info("a"))["attempt"] == 2


async def test_a_failed_launch_is_retried_within_a_minute(lab: Lab) -> None:
    task = lab.task("exit 0", retries=Retries(2, delay=5))
    waits = []
    for attempt in (1, 2, 3, 4):
        job = live.ProcessJob("a", attempt=attempt)
        until = datetime.now(UTC) + 10 * HOUR
        waits.append(task._tracker.recorder._remaining_wait(job, until))
    assert waits == [60, 5, 10, 60]


async def test_a_clock_set_back_does_not_extend_the_launch_window(lab: Lab, clock: Clock) -> None:
    task = await left_running(lab, job_resources=Resources.parse(1, 1, 1), window=HOUR)
    record = await lab.pids.info("a")
    record["start_time"] += 5 * HOUR
    await lab.pids.dump("a", record)
    again = lab.again().task("WAIT", window=timedelta(microseconds=1))
    assert (await again._usage()).launches == 0
    assert (await task._usage()).launches == 1
    lab.go.touch()
    await lab.quiet(task)
