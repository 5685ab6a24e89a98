"""The same results for programs (JSON) and for readers (Markdown).

What is written is everything that was ever measured, case by case, so that one case can be done
anew without the others; each says when and on what it was done.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .case import OURS, Size
from .table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .case import Case, Figure
    from .table import Spread

__all__ = ["Result", "as_json", "as_markdown", "from_json"]

HOW_TO_READ = (
    "Each figure is the median of some rounds, in which the contestants take turns, each in a "
    "fresh process; in parentheses the least and the most. A ratio is to ours in the same round: "
    "above 1, ours is ahead. Peak memory is that of the largest process, and what is below that "
    "of the harness (about 20 MiB) cannot be told apart. A load at the start of more than 1 or so "
    "says that the machine was busy with something else; then only the ratios mean anything."
)


@dataclass
class Result:
    """What was measured of a case, on what and by which command."""

    table: Table
    machine: Mapping[str, str]
    command: str


def as_json(results: Sequence[Result]) -> str:
    """Give everything that was measured, round by round."""
    cases = {result.table.case.name: _case_as_json(result) for result in results}
    return json.dumps(cases, indent=1) + "\n"


def _case_as_json(result: Result) -> dict[str, Any]:
    table = result.table
    return {
        "title": table.case.title,
        "machine": dict(result.machine),
        "command": result.command,
        "targets": table.verdicts(),
        "sizes": [
            {
                "items": size.items,
                "at_once": size.at_once,
                "rounds": dict(table.rounds[size]),
                "remarks": table.remarks[size],
            }
            for size in table.sizes()
        ],
    }


def from_json(text: str, cases: Mapping[str, Case]) -> dict[str, Result]:
    """Read results back, of the cases that there still are.

    :param text: what :func:`as_json` gave.
    :param cases: the cases by name.
    """
    results = {}
    for name, told in json.loads(text).items():
        if name not in cases:
            continue
        table = Table(cases[name])
        for part in told["sizes"]:
            size = Size(part["items"], part["at_once"])
            table.rounds[size].update(part["rounds"])
            table.remarks[size].update(part["remarks"])
        results[name] = Result(table, told["machine"], told["command"])
    return results


def as_markdown(results: Sequence[Result]) -> str:
    """Give a page with a table for each case."""
    lines = ["# Benchmarks", "", f"Made by `./dev bench`. {HOW_TO_READ}", ""]
    for result in results:
        lines += _case_as_markdown(result)
    return "\n".join(lines).rstrip("\n") + "\n"


def _case_as_markdown(result: Result) -> Iterator[str]:
    case, table = result.table.case, result.table
    yield from (f"## {case.name}: {case.title}", "")
    if case.note:
        yield from (case.note, "")
    for size in table.sizes():
        yield from _size_as_markdown(table, size)
    verdicts = table.verdicts()
    yield from (f"- {verdict}" for verdict in verdicts)
    if verdicts:
        yield ""
    machine = ", ".join(f"{name} {value}" for name, value in result.machine.items())
    yield from (f"`{result.command}`: {machine}.", "")


def _size_as_markdown(table: Table, size: Size) -> Iterator[str]:
    case, rounds = table.case, table.rounds[size]
    measured = [contestant.name for contestant in case.contestants if rounds[contestant.name]]
    if not measured:
        return
    figures = [f for f in case.figures if any(table.figure(size, n, f.key) for n in measured)]
    yield from (f"### {case.name}, {size}", "")
    yield f"| | {' | '.join(figure.title for figure in figures)} | ratio | rounds |"
    yield f"|---|{'--:|' * (len(figures) + 2)}"
    for name in measured:
        cells = [_cell(table.figure(size, name, figure.key), figure) for figure in figures]
        ratio = _ratio(table, size, name, case)
        yield f"| {name} | {' | '.join(cells)} | {ratio} | {len(rounds[name])} |"
    yield ""
    remarks = [f"{name}: {why}" for name, why in table.remarks[size].items()]
    if remarks:
        yield from (f"Not measured: {'; '.join(remarks)}.", "")


def _ratio(table: Table, size: Size, name: str, case: Case) -> str:
    if name == OURS:
        return "1"
    spread = table.ratio(size, name, case.figures[0].key)
    if spread is None:
        return ""
    return f"{spread.median:.2f} ({spread.least:.2f}..{spread.most:.2f})"


def _cell(spread: Spread | None, figure: Figure) -> str:
    if spread is None:
        return ""
    middle, least, most = (f"{value * figure.scale:,.{figure.digits}f}" for value in spread)
    return middle if least == most else f"{middle} ({least}..{most})"
