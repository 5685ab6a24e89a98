"""The results as JSON for programs and as Markdown for readers.

The report contains the latest figures of each contestant, so that a case, a size or a contestant
can be measured again without the others. Each run states its date and its machine.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .case import OURS, Size
from .table import Run, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .case import Case, Figure
    from .table import Spread

__all__ = ["as_json", "as_markdown", "from_json"]

HOW_TO_READ = (
    "Each figure is the median of several rounds, in which the contestants take turns, each in a "
    "fresh process, with the minimum and the maximum in parentheses. A ratio is relative to "
    "pydatatask in the same round: above 1, pydatatask is better. Peak memory is that of the "
    "largest process; values below that of the harness (12 to 20 MiB) cannot be distinguished. If "
    "a case was measured in several runs, each row shows the number of its run. A load of more "
    "than about 1 at the start means that the machine was busy with something else; then only the "
    "ratios are meaningful."
)


def as_json(tables: Sequence[Table]) -> str:
    """Return the figures of all rounds as JSON."""
    cases = {table.case.name: _case_as_json(table) for table in tables}
    return json.dumps(cases, indent=1) + "\n"


def _case_as_json(table: Table) -> dict[str, Any]:
    return {
        "title": table.case.title,
        "targets": table.verdicts(),
        "runs": [_run_as_json(run) for run in table.runs],
    }


def _run_as_json(run: Run) -> dict[str, Any]:
    return {
        "machine": dict(run.machine),
        "command": run.command,
        "sizes": [
            {
                "items": size.items,
                "at_once": size.at_once,
                "files_on": size.files_on,
                "rounds": run.rounds.get(size, {}),
                "remarks": run.remarks.get(size, {}),
            }
            for size in run.sizes()
        ],
    }


def from_json(text: str, cases: Mapping[str, Case]) -> dict[str, Table]:
    """Parse the results of the cases that still exist.

    :param text: the result of :func:`as_json`.
    :param cases: the existing cases by name.
    """
    return {
        name: Table(cases[name], *map(_run_from_json, told["runs"]))
        for name, told in json.loads(text).items()
        if name in cases
    }


def _run_from_json(told: Mapping[str, Any]) -> Run:
    run = Run(told["machine"], told["command"])
    for part in told["sizes"]:
        size = Size(part["items"], part["at_once"], part["files_on"])
        run.rounds[size].update(part["rounds"])
        run.remarks[size].update(part["remarks"])
    return run


def as_markdown(tables: Sequence[Table]) -> str:
    """Return a Markdown page with the tables of each case."""
    lines = ["# Benchmarks", "", f"Made by `./dev bench`. {HOW_TO_READ}", ""]
    for table in tables:
        lines += _case_as_markdown(table)
    return "\n".join(lines).rstrip("\n") + "\n"


def _case_as_markdown(table: Table) -> Iterator[str]:
    case = table.case
    yield from (f"## {case.name}: {case.title}", "")
    if case.note:
        yield from (case.note, "")
    for size in table.sizes():
        yield from _size_as_markdown(table, size)
    verdicts = table.verdicts()
    yield from (f"- {verdict}" for verdict in verdicts)
    if verdicts:
        yield ""
    for number, run in enumerate(table.runs, 1):
        which = f"Run {number}: " if len(table.runs) > 1 else ""
        machine = ", ".join(f"{name} {value}" for name, value in run.machine.items())
        yield from (f"{which}`{run.command}`: {machine}.", "")


def _size_as_markdown(table: Table, size: Size) -> Iterator[str]:
    case = table.case
    found = {c.name: run for c in case.contestants if (run := table.run_of(size, c.name))}
    if not found:
        return
    measured = list(found)
    several = len(table.runs) > 1
    figures = [f for f in case.figures if any(table.figure(size, n, f.key) for n in measured)]
    yield from (f"### {case.name}, {size}", "")
    compared = [figure for figure in case.figures[: case.compared] if figure in figures]
    ratios = ["ratio", *(f"ratio: {figure.title}" for figure in compared[1:])]
    heads = [*(figure.title for figure in figures), *ratios, "rounds", *["run"] * several]
    yield f"| | {' | '.join(heads)} |"
    yield f"|---|{'--:|' * len(heads)}"
    for name, run in found.items():
        cells = [_cell(table.figure(size, name, figure.key), figure) for figure in figures]
        cells += [_ratio(table, size, name, figure) for figure in compared]
        cells += [str(len(run.rounds[size][name]))]
        cells += [str(table.runs.index(run) + 1)] * several
        yield f"| {name} | {' | '.join(cells)} |"
    yield ""
    remarks = [f"{name}: {why}" for name, why in table.remarks(size).items()]
    if remarks:
        yield from (f"Not measured: {'; '.join(remarks)}.", "")


def _ratio(table: Table, size: Size, name: str, figure: Figure) -> str:
    if name == OURS:
        return "1"
    spread = table.ratio(size, name, figure.key)
    if spread is None:
        return ""
    return f"{spread.median:.2f} ({spread.least:.2f}..{spread.most:.2f})"


def _cell(spread: Spread | None, figure: Figure) -> str:
    if spread is None:
        return ""
    middle, least, most = (f"{value * figure.scale:,.{figure.digits}f}" for value in spread)
    return middle if least == most else f"{middle} ({least}..{most})"
