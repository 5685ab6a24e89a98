"""The retry policy of failed jobs."""

from __future__ import annotations

from dataclasses import dataclass

from pydatatask_core.errors import TaskConfigurationError

from .durations import is_number

__all__ = ["Retries"]


@dataclass(frozen=True)
class Retries:
    """How often, and after which delay, a failed job is retried before its failure is recorded.

    :param times: the maximum number of retries.
    :param delay: the delay before the first retry, in seconds.
    :param factor: the factor by which the delay grows from one retry to the next.
    :param longest: the maximum delay, in seconds.
    """

    times: int
    delay: float = 1.0
    factor: float = 2.0
    longest: float = 300.0

    def __post_init__(self) -> None:
        if not isinstance(self.times, int) or isinstance(self.times, bool) or self.times < 0:
            raise TaskConfigurationError(
                f"retries has to be a number of attempts of at least 0, not {self.times!r}"
            )
        numbers = all(map(is_number, (self.delay, self.factor, self.longest)))
        if not numbers or not (self.delay >= 0 and self.factor >= 1 and self.longest >= 0):
            raise TaskConfigurationError(
                f"{self!r}: delay and longest have to be numbers of at least 0, factor at least 1"
            )

    @classmethod
    def of(cls, value: int | Retries) -> Retries:
        """Convert a plain number to that many retries with the default delays."""
        return value if isinstance(value, Retries) else cls(value)

    def wait_after(self, attempt: int) -> float | None:
        """Return the delay in seconds after a failed attempt, or None if it was the last one.

        :param attempt: the number of the failed attempt, counted from 1.
        """
        if attempt > self.times:
            return None
        exponent = min(attempt - 1, 64)  # larger powers overflow, and `longest` is reached by then
        return float(min(self.delay * self.factor**exponent, self.longest))
