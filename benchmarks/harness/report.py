"""The same results for programs (JSON) and for readers (Markdown)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .case import OURS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .case import Case, Figure, Size
    from .table import Spread, Table

__all__ = ["as_json", "as_markdown"]


HOW_TO_READ = (
    "Each figure is the median of some rounds, in which the contestants take turns, each in a "
    "fresh process; in parentheses the least and the most. A ratio is to ours in the same round: "
    "above 1, ours is ahead. Peak memory is that of the largest process, and what is below that "
    "of the harness (about 20 MiB) cannot be told apart."
)


def as_json(machine: Mapping[str, str], command: str, tables: Sequence[Table]) -> str:
    """Give everything that was measured, round by round."""
    return json.dumps(
        {
            "machine": dict(machine),
            "command": command,
            "cases": [_case_as_json(table) for table in tables],
        },
        indent=1,
    )


def _case_as_json(table: Table) -> dict[str, Any]:
    return {
        "name": table.case.name,
        "title": table.case.title,
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


def as_markdown(machine: Mapping[str, str], command: str, tables: Sequence[Table]) -> str:
    """Give a page with a table for each case."""
    lines = [
        "# Benchmarks",
        "",
        f"Made by `{command}`. {HOW_TO_READ}",
        "",
        *(f"- {name}: {value}" for name, value in machine.items()),
        "",
    ]
    for table in tables:
        lines += _case_as_markdown(table)
    return "\n".join(lines)


def _case_as_markdown(table: Table) -> Iterator[str]:
    case = table.case
    yield from (f"## {case.name}: {case.title}", "")
    if case.note:
        yield from (case.note, "")
    for size in table.sizes():
        yield from _size_as_markdown(table, size)
    yield from (f"- {verdict}" for verdict in table.verdicts())
    yield ""


def _size_as_markdown(table: Table, size: Size) -> Iterator[str]:
    case, rounds = table.case, table.rounds[size]
    measured = [contestant.name for contestant in case.contestants if rounds[contestant.name]]
    if not measured:
        return
    figures = [f for f in case.figures if any(table.figure(size, n, f.key) for n in measured)]
    yield from (f"### {size}", "")
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
