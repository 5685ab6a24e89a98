"""Measurement of a case: all contestants take turns, round after round."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .measure import ContestantFailedError, TooSlowError, measure
from .peers import UnavailableError, python_of, tool
from .table import FAILED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .case import Case, Contestant, Size
    from .table import Run

__all__ = ["Pace", "do_case"]


@dataclass(frozen=True)
class Pace:
    """The limits of a measurement.

    :param rounds: the number of rounds; None for that of the case.
    :param limit: the time limit in seconds of a contestant for one size in one round.
    :param budget: the total seconds per size after which a contestant skips the remaining rounds.
    """

    rounds: int | None
    limit: float
    budget: float


def do_case(case: Case, sizes: Sequence[Size], pace: Pace, run: Run, parent: Path) -> None:
    """Measure a case in a folder.

    :param case: the case.
    :param sizes: the sizes to measure.
    :param pace: the limits of the measurement.
    :param run: the run to which the figures are added.
    :param parent: the folder in which the working directories are created.
    """
    pythons, out = _found(case)
    for size in sizes:
        try:
            with (
                _folder(case, size, parent) if case.shared else nullcontext() as shared,
                case.service() as environ,
            ):
                _do_size(_Turns(case, run, size, pace, pythons, parent, shared, environ), out)
        except UnavailableError as e:
            print(f"{case.name} is skipped: {e}", file=sys.stderr)


@dataclass(frozen=True)
class _Turns:
    case: Case
    run: Run
    size: Size
    pace: Pace
    pythons: dict[str, Path]
    parent: Path
    shared: Path | None
    environ: Mapping[str, str]


def _do_size(turns: _Turns, out: dict[str, str]) -> None:
    """Measure all rounds of one size.

    :param out: the reasons why contestants are excluded, by name; failures are added.
    """
    case, size = turns.case, turns.size
    remarks = turns.run.remarks[size]
    remarks.update(out)
    spent = dict.fromkeys(turns.pythons, 0.0)
    for number in range(turns.pace.rounds or case.rounds):
        for contestant in case.contestants:
            name = contestant.name
            if name in out or (number and spent[name] > turns.pace.budget):
                continue
            if contestant.takes_too_long(size):
                remarks[name] = "takes too long for this size"
                continue
            began = time.monotonic()
            failure = _turn(turns, contestant, first=not number)
            spent[name] += time.monotonic() - began
            if failure is not None:
                out[name] = remarks[name] = failure
            told = failure or _told(turns, name)
            print(f"{case.name} {size}, round {number + 1}: {name}: {told}", file=sys.stderr)


def _turn(turns: _Turns, contestant: Contestant, first: bool) -> str | None:
    """Measure one contestant once, and return a remark if it failed, else None."""
    case, size, python = turns.case, turns.size, turns.pythons[contestant.name]
    with nullcontext(turns.shared) if turns.shared else _folder(case, size, turns.parent) as folder:
        try:
            if contestant.before is not None and (first or not case.shared):
                before = replace(contestant, command=contestant.before)
                measure(before, size, python, folder, turns.environ, turns.pace.limit)
            figures = measure(contestant, size, python, folder, turns.environ, turns.pace.limit)
        except TooSlowError:
            return f"takes more than {turns.pace.limit:.0f} s for {size}"
        except ContestantFailedError as e:
            print(f"{contestant.name} failed: {e}", file=sys.stderr)
            return f"{FAILED} for {size}"
    turns.run.rounds[size][contestant.name].append(figures)
    return None


@contextmanager
def _folder(case: Case, size: Size, parent: Path) -> Iterator[Path]:
    """Create a folder with the initial state of the work, and remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pydatatask-bench-", dir=parent))
    try:
        if case.prepare is not None:
            case.prepare(folder, size)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _told(turns: _Turns, name: str) -> str:
    figures = turns.run.rounds[turns.size][name][-1]
    return ", ".join(
        f"{figures[figure.key] * figure.scale:,.{figure.digits}f} {figure.title}"
        for figure in turns.case.figures
        if figure.key in figures
    )


def _found(case: Case) -> tuple[dict[str, Path], dict[str, str]]:
    """Return the Pythons of the available contestants, and the reasons why others are excluded."""
    pythons: dict[str, Path] = {}
    absent: dict[str, str] = {}
    for contestant in case.contestants:
        try:
            if contestant.tool is not None:
                tool(*contestant.tool)
            pythons[contestant.name] = python_of(contestant.peer)
        except UnavailableError as e:
            absent[contestant.name] = str(e)
            print(f"{case.name}: {contestant.name} is skipped: {e}", file=sys.stderr)
    return pythons, absent
