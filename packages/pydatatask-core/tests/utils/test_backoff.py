"""Backoff: the delays between attempts."""

from __future__ import annotations

from pydatatask_core.utils import Backoff


def test_the_delay_does_not_overflow_after_thousands_of_failures() -> None:
    backoff = Backoff(0.5, 60.0, factor=4.0, failures=5000)
    assert [backoff.next_delay(), backoff.next_delay()] == [60.0, 60.0]


def test_the_first_delay_does_not_exceed_the_maximum() -> None:
    assert Backoff(0.1, 0.05).next_delay() == 0.05


def test_the_delay_doubles_up_to_the_maximum_and_starts_again_after_a_reset() -> None:
    backoff = Backoff(0.5, 3.0)
    assert [backoff.next_delay() for _ in range(4)] == [0.5, 1.0, 2.0, 3.0]
    assert backoff.failures == 4
    backoff.reset()
    assert backoff.next_delay() == 0.5
