"""Measure ourselves beside the peers: ``./dev bench [--quick] [CASE...]``.

What is measured goes to ``benchmarks/results.json`` and ``benchmarks/RESULTS.md`` after each case,
in the place of what was known of the same contestants and sizes; the rest stays. On a machine that
does nothing else all cases take most of an hour; with ``--quick``, which says only that everything
can be run, two minutes.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import replace
from pathlib import Path

from cases import CASES
from harness.case import OURS, Case
from harness.machine import describe_machine
from harness.report import as_json, as_markdown, from_json
from harness.table import Run, Table
from harness.turns import Pace, do_case

HERE = Path(__file__).resolve().parent


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    made = argparse.ArgumentParser(prog="./dev bench", description=__doc__.partition("\n")[0])
    made.add_argument("case", nargs="*", help=f"of {', '.join(CASES)}; all by default")
    made.add_argument("--quick", action="store_true", help="small sizes, one round, two minutes")
    made.add_argument("--rounds", type=int, help="how many rounds, if not as many as usual")
    made.add_argument("--most", type=int, help="only sizes of at most so many items")
    made.add_argument(
        "--only",
        action="append",
        help="only contestants with this in their names, and ours; may be given several times",
    )
    made.add_argument("--out", type=Path, help="the folder for the results (none if --quick)")
    return made


def with_only(case: Case, parts: list[str] | None) -> Case:
    """Leave out the contestants whose names have none of some parts, but ours."""
    if parts is None:
        return case
    kept = [c for c in case.contestants if c.name == OURS or any(part in c.name for part in parts)]
    return replace(case, contestants=kept)


def measure(name: str, options: argparse.Namespace) -> Run:
    """Do a case as it is asked for."""
    pace = Pace(1, 20, 0) if options.quick else Pace(options.rounds, 300, 30)
    case = with_only(CASES[name], options.only)
    sizes = case.quick if options.quick else case.sizes
    if options.most is not None:
        sizes = [size for size in sizes if size.items <= options.most]
    run = Run(describe_machine(), shlex.join(["./dev", "bench", *sys.argv[1:]]))
    do_case(case, sizes, pace, run)
    return run


def write(name: str, run: Run, folder: Path) -> None:
    """Put what was measured of a case in the place of what it has measured anew."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "results.json"
    known = from_json(path.read_text(), CASES) if path.exists() else {}
    known.setdefault(name, Table(CASES[name])).add(run)
    every = [known[name] for name in CASES if name in known]
    path.write_text(as_json(every))
    (folder / "RESULTS.md").write_text(as_markdown(every))


def main() -> int:
    """Measure what is asked for, and write it down."""
    options = parser().parse_args()
    unknown = [name for name in options.case if name not in CASES]
    if unknown:
        parser().error(f"there is no case {unknown[0]!r}; there are {', '.join(CASES)}")
    folder = options.out or (None if options.quick else HERE)
    tables = []
    for name in options.case or CASES:
        run = measure(name, options)
        if folder is not None:
            write(name, run, folder)
        tables.append(Table(CASES[name], run))
    print(as_markdown(tables))
    failed = [name for table in tables for name in table.failed()]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
