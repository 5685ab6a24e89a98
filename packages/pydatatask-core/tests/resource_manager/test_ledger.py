"""Ledger: usage never exceeds the quota and never falls below zero."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pydatatask_core.errors import QuantityError
from pydatatask_core.resource_manager import Resources, ResourceType
from pydatatask_core.resource_manager.ledger import Ledger


class Clock:
    """A clock that advances only when a test advances it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


QUOTA = Resources.parse(4, 4, 3)


def one(launches: int = 1) -> Resources:
    return Resources.parse(1, 1, launches)


def test_an_excessive_request_is_refused_and_changes_nothing(clock: Clock) -> None:
    ledger = Ledger(QUOTA, clock)
    for _ in range(3):
        assert ledger.reserve(one()) is None
    before = ledger.usage()
    assert ledger.reserve(one()) is ResourceType.RATE
    assert ledger.reserve(Resources.parse(5, 5, 5)) is ResourceType.CPU
    assert ledger.reserve(Resources.parse(1, "3.1", 5)) is ResourceType.MEM
    assert ledger.usage() == before == Resources.parse(3, 3, 3)


@pytest.mark.parametrize(
    "request_",
    [
        one(),
        one(launches=0),
        Resources.parse("300m", "0.7"),
        Resources.parse(0, 1, 0),
        Resources.parse(5, 0, 0),
    ],
)
@pytest.mark.parametrize("quota", [QUOTA, Resources.parse(4, 4)])
@pytest.mark.parametrize("taken", [0, 1, 3])
def test_the_room_is_the_number_of_requests_that_fit(
    clock: Clock, quota: Resources, taken: int, request_: Resources
) -> None:
    ledger = Ledger(quota, clock)
    for _ in range(taken):
        ledger.reserve(one())
        ledger.expire_at(one(), clock.now + 10)
    room = ledger.room(request_)
    assert room is not None
    assert [ledger.reserve(request_) for _ in range(room)] == [None] * room
    assert ledger.reserve(request_) is not None
    assert ledger.room(request_) == 0


def test_a_request_of_nothing_has_no_limit(clock: Clock) -> None:
    assert Ledger(Resources.parse(1, 1), clock).room(Resources.parse(0, 0, 5)) is None


def test_releasing_too_much_empties_the_ledger_and_is_logged(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger(QUOTA, clock)
    ledger.reserve(Resources.parse(2, 1, 3))
    with caplog.at_level(logging.ERROR):
        ledger.release(Resources.parse(1, 2, 1))
    assert ledger.usage() == Resources.parse(1, 0, 2)
    assert "resources are relinquished twice" in caplog.text


@pytest.mark.parametrize("operation", ["reserve", "release"])
def test_negative_amounts_are_refused(clock: Clock, operation: str) -> None:
    ledger = Ledger(QUOTA, clock)
    with pytest.raises(QuantityError, match="is negative"):
        getattr(ledger, operation)(one() - Resources.parse(2, 2, 0))
    assert ledger.usage() == Resources(launches=0)


def test_launches_with_a_window_expire_after_it(clock: Clock) -> None:
    ledger = Ledger(QUOTA, clock)
    for _ in range(3):
        assert ledger.reserve(one()) is None
        ledger.expire_at(one(), clock.now + 60)
        clock.now += 10
    ledger.release(Resources.parse(3, 3, 0))
    assert ledger.reserve(one()) is ResourceType.RATE
    assert ledger.next_release() == 30
    clock.now += 30
    assert ledger.next_release() == 10
    assert ledger.reserve(one()) is None
    assert ledger.usage() == Resources.parse(1, 1, 3)


def test_launches_with_a_window_cannot_be_released(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger(QUOTA, clock)
    ledger.reserve(one())
    ledger.expire_at(one(), clock.now + 60)
    ledger.release(one())
    assert ledger.usage() == Resources.parse(0, 0, 1)
    assert "resources are relinquished twice" in caplog.text


def test_launches_without_a_limit_are_not_counted(clock: Clock) -> None:
    ledger = Ledger(Resources.parse(4, 4), clock)
    for _ in range(4):
        assert ledger.reserve(one()) is None
        ledger.expire_at(one(), clock.now + 60)
    ledger.release(one())
    assert ledger.usage() == Resources.parse(3, 3, 0)
    assert ledger.next_release() is None


def test_filling_keeps_only_the_launches_within_their_window(clock: Clock) -> None:
    ledger = Ledger(QUOTA, clock)
    ledger.reserve(one(2))
    ledger.expire_at(one(2), clock.now + 60)
    ledger.reserve(one())
    ledger.fill([])
    assert ledger.usage() == Resources.parse(0, 0, 2)


def test_reported_launches_are_not_counted_twice(clock: Clock) -> None:
    ledger = Ledger(QUOTA, clock)
    ledger.reserve(one(2))
    ledger.expire_at(one(2), clock.now + 10)
    window = timedelta(seconds=60)
    # One of the two has ended; the reports contain the other one and a job of another driver.
    ledger.fill([(Resources.parse(2, 2, 2), window), (Resources.parse(1, 1, 1), window)])
    assert ledger.usage() == Resources.parse(3, 3, 3)
    clock.now += 10
    assert ledger.usage().launches == 1
    clock.now += 50
    assert ledger.usage() == Resources.parse(3, 3, 0)


def test_reported_launches_without_a_window_stay_until_released(clock: Clock) -> None:
    ledger = Ledger(QUOTA, clock)
    ledger.fill([(one(2), None)])
    clock.now += 10**9
    assert ledger.usage() == one(2)
    ledger.release(one(2))
    assert ledger.usage() == Resources(launches=0)


def test_reported_usage_may_exceed_the_quota_and_then_refuses_everything(clock: Clock) -> None:
    ledger = Ledger(QUOTA, clock)
    ledger.fill([(Resources.parse(9, 0, 0), None)])
    assert ledger.reserve(Resources.parse(0, 1, 0)) is ResourceType.CPU
    ledger.release(Resources.parse(5, 0, 0))
    assert ledger.reserve(Resources.parse(0, 1, 0)) is None


class LedgerMachine(RuleBasedStateMachine):
    """A ledger, checked against a list of running jobs."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.quota = Resources.parse("2.5", "4Gi", 5)
        self.ledger = Ledger(self.quota, self.clock)
        self.running: list[Resources] = []
        self.recent: list[float] = []

    @rule(
        cpu=st.sampled_from(["100m", "0.3", "1"]),
        mem=st.sampled_from(["1", "1Gi", "700M"]),
        window=st.integers(0, 50),
    )
    def launch(self, cpu: str, mem: str, window: int) -> None:
        request = Resources.parse(cpu, mem)
        if self.ledger.reserve(request) is None:
            self.ledger.expire_at(request, self.clock.now + window)
            self.running.append(request)
            self.recent.append(self.clock.now + window)
        else:
            assert (self.expected() + request).excess(self.quota) is not None

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        if self.running:
            job = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
            self.ledger.release(job.without_launches())

    @rule(seconds=st.integers(1, 30))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds

    @rule()
    def fill(self) -> None:
        self.ledger.fill([(job.without_launches(), timedelta(1)) for job in self.running])

    def expected(self) -> Resources:
        recent = [due for due in self.recent if due > self.clock.now]
        used = Resources(launches=len(recent))
        for job in self.running:
            used += job.without_launches()
        return used

    @invariant()
    def the_ledger_holds_what_runs(self) -> None:
        assert self.ledger.usage() == self.expected()
        assert self.ledger.usage().excess(self.quota) is None
        recent = [due for due in self.recent if due > self.clock.now]
        assert self.ledger.next_release() == (min(recent) - self.clock.now if recent else None)


TestLedgerMachine = LedgerMachine.TestCase
