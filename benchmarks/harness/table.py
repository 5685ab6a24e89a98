"""The measured figures, and the statistics derived from them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from .case import OURS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .case import Case, Size

__all__ = ["FAILED", "Run", "Spread", "Table"]

FAILED = "failed"
"""Prefix of the remark on a contestant that was available and failed."""


class Spread(NamedTuple):
    """The median, the minimum and the maximum of some values."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: list[float]) -> Spread | None:
        """Return the spread of some values, or None if the list is empty."""
        return cls(median(values), min(values), max(values)) if values else None


@dataclass
class Run:
    """The figures of one case from one command, by size and contestant.

    :param machine: the properties of the machine.
    :param command: the command.
    """

    machine: Mapping[str, str]
    command: str
    rounds: dict[Size, dict[str, list[dict[str, float]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    """The figures of each round, by size and contestant."""
    remarks: dict[Size, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """The reason why a contestant has no figures, by size and contestant."""

    def sizes(self) -> list[Size]:
        """Return the sizes with figures or remarks."""
        return [size for size in self.rounds | self.remarks if self._about(size)]

    def _about(self, size: Size) -> bool:
        return any(self.rounds.get(size, {}).values()) or bool(self.remarks.get(size))

    def has(self, size: Size, contestant: str) -> bool:
        """Return True if a contestant has figures for a size."""
        return bool(self.rounds.get(size, {}).get(contestant))

    def knows(self, size: Size, contestant: str) -> bool:
        """Return True if a contestant has figures or a remark for a size."""
        return self.has(size, contestant) or contestant in self.remarks.get(size, {})

    def forget(self, size: Size, contestant: str) -> None:
        """Remove the figures and the remark of a contestant for a size."""
        self.rounds[size].pop(contestant, None)
        self.remarks[size].pop(contestant, None)


class Table:
    """All results of one case. The latest run of each size and contestant takes precedence.

    :param case: the case.
    :param runs: the runs of the case, the latest one last.
    """

    def __init__(self, case: Case, *runs: Run) -> None:
        self.case = case
        self.runs: list[Run] = []
        for run in runs:
            self.add(run)

    def add(self, run: Run) -> None:
        """Add a run, and remove the older results that it replaces.

        Older figures of ours are kept as long as the ratio of any other contestant refers to them.
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
        """Return the latest run that measured all given contestants, or None."""
        found = (r for r in reversed(self.runs) if all(r.has(size, name) for name in contestants))
        return next(found, None)

    def remarks(self, size: Size) -> dict[str, str]:
        """Return the reasons why contestants have no figures, by name."""
        told: dict[str, str] = {}
        for run in self.runs:
            told |= run.remarks.get(size, {})
        return {name: why for name, why in told.items() if self.run_of(size, name) is None}

    def rounds(self, size: Size, contestant: str) -> list[dict[str, float]]:
        """Return the figures of each round of a contestant."""
        run = self.run_of(size, contestant)
        return [] if run is None else run.rounds[size][contestant]

    def figure(self, size: Size, contestant: str, key: str) -> Spread | None:
        """Return the spread of a figure of a contestant, or None if it was not measured."""
        return Spread.of([f[key] for f in self.rounds(size, contestant) if key in f])

    def ratio(self, size: Size, contestant: str, key: str, to: str = OURS) -> Spread | None:
        """Return the spread of the ratios to another contestant's figure in the same round."""
        run = self.run_of(size, contestant, to)
        if run is None:
            return None
        pairs = zip(run.rounds[size][contestant], run.rounds[size][to], strict=False)
        return Spread.of([a[key] / b[key] for a, b in pairs if key in a and b.get(key)])

    def middle(self, size: Size, contestant: str, key: str) -> float | None:
        """Return the median of a figure, or None if it was not measured."""
        spread = self.figure(size, contestant, key)
        return None if spread is None else spread.median

    def middle_ratio(self, size: Size, contestant: str, key: str, to: str = OURS) -> float | None:
        """Return the median of a ratio, or None if it was not measured."""
        spread = self.ratio(size, contestant, key, to)
        return None if spread is None else spread.median

    def failed(self) -> list[str]:
        """Return the contestants that were available and failed."""
        return [
            f"{self.case.name}: {name} {remark}"
            for size in self.sizes()
            for name, remark in self.remarks(size).items()
            if remark.startswith(FAILED)
        ]

    def sizes(self) -> list[Size]:
        """Return the sizes with figures or remarks, smallest first."""
        known = {size for run in self.runs for size in run.sizes()}
        return sorted(known, key=lambda size: (size.items, size.at_once, size.files_on))

    def on_file_systems(self, size: Size) -> list[Size]:
        """Return the same size on each file system on which it was measured."""
        return [known for known in self.sizes() if replace(known, files_on=size.files_on) == size]

    def verdicts(self) -> list[str]:
        """Return a line for each measured target: whether it was met, and its value."""
        values = [(target, target.value(self)) for target in self.case.targets]
        return [
            f"{'met' if target.met(value) else '**missed**'}: {target.title}: {value:,.4g}"
            for target, value in values
            if value is not None
        ]
