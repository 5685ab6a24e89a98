"""Measure ourselves beside the peers: ``./dev bench [--quick] [CASE...]``.

The results go to a folder as ``results.json`` and ``RESULTS.md``.
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
from harness.report import as_json, as_markdown
from harness.turns import Pace, do_case

HERE = Path(__file__).resolve().parent


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    made = argparse.ArgumentParser(prog="./dev bench", description=__doc__.partition("\n")[0])
    made.add_argument("case", nargs="*", help=f"of {', '.join(CASES)}")
    made.add_argument("--quick", action="store_true", help="small sizes, one round, two minutes")
    made.add_argument("--rounds", type=int, help="how many rounds, if not as many as usual")
    made.add_argument("--size", type=int, help="only the sizes with so many items")
    made.add_argument("--only", help="only contestants with this in their names, and ours")
    made.add_argument("--out", type=Path, help="the folder for the results (none if --quick)")
    return made


def with_only(case: Case, part: str | None) -> Case:
    """Leave out the contestants whose names have no such part, but ours."""
    kept = [c for c in case.contestants if part is None or c.name == OURS or part in c.name]
    return replace(case, contestants=kept)


def main() -> int:
    """Measure what is asked for, and write it down."""
    options = parser().parse_args()
    unknown = [name for name in options.case if name not in CASES]
    if unknown:
        parser().error(f"there is no case {unknown[0]!r}; there are {', '.join(CASES)}")
    machine = describe_machine()
    pace = Pace(1, 20, 0) if options.quick else Pace(options.rounds, 300, 60)
    tables = []
    for name in options.case or CASES:
        case = with_only(CASES[name], options.only)
        sizes = case.quick if options.quick else case.sizes
        if options.size is not None:
            sizes = [size for size in sizes if size.items == options.size]
        tables.append(do_case(case, sizes, pace))
    command = shlex.join(["./dev", "bench", *sys.argv[1:]])
    page = as_markdown(machine, command, tables)
    print(page)
    out = options.out or (None if options.quick else HERE)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "results.json").write_text(as_json(machine, command, tables) + "\n")
        (out / "RESULTS.md").write_text(page + "\n")
    failed = [name for table in tables for name in table.failed()]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
