"""Growing delays between attempts."""

from __future__ import annotations

__all__ = ["Backoff"]

_MAX_EXPONENT = 64
"""Larger exponents would overflow, long after the maximum delay is reached."""


class Backoff:
    """The delays between attempts, each a multiple of the previous one, up to a maximum.

    :param first: the delay after the first failure, in seconds.
    :param maximum: the maximum delay, in seconds.
    :param factor: the factor by which the delay grows with each failure.
    :param failures: the number of consecutive failures so far.
    """

    def __init__(
        self, first: float, maximum: float, factor: float = 2.0, failures: int = 0
    ) -> None:
        self.first = first
        self.maximum = maximum
        self.factor = factor
        self.failures = failures

    def next_delay(self) -> float:
        """Count a failure, and return the delay before the next attempt in seconds."""
        delay = self.first * self.factor ** min(self.failures, _MAX_EXPONENT)
        self.failures += 1
        return min(delay, self.maximum)

    def reset(self) -> None:
        """Start again with the first delay, after a success."""
        self.failures = 0
