"""When a job that failed is tried again."""

from __future__ import annotations

from dataclasses import dataclass

from pydatatask_core.errors import TaskConfigurationError

from .durations import is_number

__all__ = ["Retries"]


@dataclass(frozen=True)
class Retries:
    """How often, and after how long, a failed job is tried again before its failure is recorded.

    :param times: how many more attempts a job gets.
    :param delay: how long to wait before the first of them, in seconds.
    :param factor: what the wait is multiplied by from one attempt to the next.
    :param longest: the longest wait, in seconds.
    """

    times: int
    delay: float = 1.0
    factor: float = 2.0
    longest: float = 300.0

    def __post_init__(self) -> None:
        if not isinstance(self.times, int) or isinstance(self.times, bool) or self.times < 0:
            raise TaskConfigurationError(
                f"retries has to be a number of attempts from 0 on, not {self.times!r}"
            )
        numbers = all(map(is_number, (self.delay, self.factor, self.longest)))
        if not numbers or not (self.delay >= 0 and self.factor >= 1 and self.longest >= 0):
            raise TaskConfigurationError(
                f"{self!r}: delay and longest have to be numbers of at least 0, factor at least 1"
            )

    @classmethod
    def of(cls, value: int | Retries) -> Retries:
        """Take a plain number for that many retries with the usual waits."""
        return value if isinstance(value, Retries) else cls(value)

    def wait_after(self, attempt: int) -> float | None:
        """Give the seconds to wait after a failed attempt, or None if it was the last.

        :param attempt: which attempt failed, counted from 1.
        """
        if attempt > self.times:
            return None
        exponent = min(attempt - 1, 64)  # beyond it the power overflows, the limit long reached
        return float(min(self.delay * self.factor**exponent, self.longest))
