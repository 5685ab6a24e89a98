"""What was measured, and what follows from it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from .case import OURS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .case import Case, Size

__all__ = ["FAILED", "Run", "Spread", "Table"]

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


@dataclass
class Run:
    """What was measured of one case by one command: figures by size and contestant.

    :param machine: on what it was measured.
    :param command: the command.
    """

    machine: Mapping[str, str]
    command: str
    rounds: dict[Size, dict[str, list[dict[str, float]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    """What each measured, round by round."""
    remarks: dict[Size, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """Why a contestant has no figures for a size."""

    def sizes(self) -> list[Size]:
        """List the sizes for which anything is known."""
        return [size for size in self.rounds | self.remarks if self._about(size)]

    def _about(self, size: Size) -> bool:
        return any(self.rounds.get(size, {}).values()) or bool(self.remarks.get(size))

    def has(self, size: Size, contestant: str) -> bool:
        """Tell whether a contestant was measured."""
        return bool(self.rounds.get(size, {}).get(contestant))

    def knows(self, size: Size, contestant: str) -> bool:
        """Tell whether a contestant was measured, or why it was not."""
        return self.has(size, contestant) or contestant in self.remarks.get(size, {})

    def forget(self, size: Size, contestant: str) -> None:
        """Forget all about a contestant."""
        self.rounds[size].pop(contestant, None)
        self.remarks[size].pop(contestant, None)


class Table:
    """All that is known of one case. Of what was measured several times, the last one counts.

    :param case: the case.
    :param runs: by what it was measured, the last one last.
    """

    def __init__(self, case: Case, *runs: Run) -> None:
        self.case = case
        self.runs: list[Run] = []
        for run in runs:
            self.add(run)

    def add(self, run: Run) -> None:
        """Add a run, and forget what it has measured anew.

        What others measured of ours stays as long as anybody's ratio is to it.
        """
        names = [contestant.name for contestant in self.case.contestants]
        others = [name for name in names if name != OURS]
        for size in run.sizes():
            for old in self.runs:
                for name in others:
                    if run.knows(size, name):
                        old.forget(size, name)
                if not any(old.knows(size, name) for name in others):
                    old.forget(size, OURS)
        self.runs = [old for old in self.runs if old.sizes()] + [run]

    def run_of(self, size: Size, *contestants: str) -> Run | None:
        """Give the last run in which all of some contestants were measured, if there is one."""
        found = (r for r in reversed(self.runs) if all(r.has(size, name) for name in contestants))
        return next(found, None)

    def remarks(self, size: Size) -> dict[str, str]:
        """Say why contestants have no figures, by name."""
        told: dict[str, str] = {}
        for run in self.runs:
            told |= run.remarks.get(size, {})
        return {name: why for name, why in told.items() if self.run_of(size, name) is None}

    def rounds(self, size: Size, contestant: str) -> list[dict[str, float]]:
        """Give what a contestant measured, round by round."""
        run = self.run_of(size, contestant)
        return [] if run is None else run.rounds[size][contestant]

    def figure(self, size: Size, contestant: str, key: str) -> Spread | None:
        """Sum up a figure of a contestant; None if it was not measured."""
        return Spread.of([f[key] for f in self.rounds(size, contestant) if key in f])

    def ratio(self, size: Size, contestant: str, key: str, to: str = OURS) -> Spread | None:
        """Sum up how many times as large a figure is as another contestant's in the same round."""
        run = self.run_of(size, contestant, to)
        if run is None:
            return None
        pairs = zip(run.rounds[size][contestant], run.rounds[size][to], strict=False)
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
            for size in self.sizes()
            for name, remark in self.remarks(size).items()
            if remark.startswith(FAILED)
        ]

    def sizes(self) -> list[Size]:
        """List the sizes for which anything is known, the smallest first."""
        known = {size for run in self.runs for size in run.sizes()}
        return sorted(known, key=lambda size: (size.items, size.at_once))

    def verdicts(self) -> list[str]:
        """Say of each target that was measured whether it was met, and with what value."""
        values = [(target, target.value(self)) for target in self.case.targets]
        return [
            f"{'met' if target.met(value) else '**missed**'}: {target.title}: {value:,.4g}"
            for target, value in values
            if value is not None
        ]
