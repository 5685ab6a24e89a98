"""What was measured, and what follows from it."""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from .case import OURS

if TYPE_CHECKING:
    from .case import Case, Size

__all__ = ["FAILED", "Spread", "Table"]

FAILED = "failed"
"""What the remark on a contestant begins with that was there and did not do its work."""


class Spread(NamedTuple):
    """The middle of some values, and how far they lie apart."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: list[float]) -> Spread | None:
        """Sum up some values; None if there are none."""
        return cls(median(values), min(values), max(values)) if values else None


class Table:
    """The figures of one case, by size and contestant, one for each round.

    :param case: the case.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self.rounds: dict[Size, dict[str, list[dict[str, float]]]] = defaultdict(
            lambda: defaultdict(list)
        )
        self.remarks: dict[Size, dict[str, str]] = defaultdict(dict)
        """Why a contestant has no figures for a size."""

    def figure(self, size: Size, contestant: str, key: str) -> Spread | None:
        """Sum up a figure of a contestant; None if it was not measured."""
        rounds = self.rounds[size][contestant]
        return Spread.of([figures[key] for figures in rounds if key in figures])

    def ratio(self, size: Size, contestant: str, key: str, to: str = OURS) -> Spread | None:
        """Sum up how many times as large a figure is as another contestant's in the same round."""
        pairs = zip(self.rounds[size][contestant], self.rounds[size][to], strict=False)
        return Spread.of([a[key] / b[key] for a, b in pairs if key in a and b.get(key)])

    def middle(self, size: Size, contestant: str, key: str) -> float | None:
        """Give the median of a figure, or None if it was not measured."""
        spread = self.figure(size, contestant, key)
        return None if spread is None else spread.median

    def middle_ratio(self, size: Size, contestant: str, key: str, to: str = OURS) -> float | None:
        """Give the median of a ratio, or None if it was not measured."""
        spread = self.ratio(size, contestant, key, to)
        return None if spread is None else spread.median

    def failed(self) -> list[str]:
        """Name those that were there and did not do their work."""
        return [
            f"{self.case.name}: {name} {remark}"
            for remarks in self.remarks.values()
            for name, remark in remarks.items()
            if remark.startswith(FAILED)
        ]

    def sizes(self) -> list[Size]:
        """List the sizes for which anything is known, in the order in which they were done."""
        return list(dict.fromkeys([*self.rounds, *self.remarks]))

    def verdicts(self) -> list[str]:
        """Say of each target that was measured whether it was met, and with what value."""
        values = [(target, target.value(self)) for target in self.case.targets]
        return [
            f"{'met' if target.met(value) else '**missed**'}: {target.title}: {value:,.4g}"
            for target, value in values
            if value is not None
        ]
