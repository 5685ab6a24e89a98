"""Measure ourselves beside the peers: ``./dev bench [--quick] [CASE...]``.

What is measured goes to ``benchmarks/results.json`` and ``benchmarks/RESULTS.md``, in the place of
what was known of the same cases. On a machine that does nothing else all cases take most of an
hour; with ``--quick``, which says only that everything can be run, two minutes.
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
from harness.report import Result, as_json, as_markdown, from_json
from harness.turns import Pace, do_case

HERE = Path(__file__).resolve().parent


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    made = argparse.ArgumentParser(prog="./dev bench", description=__doc__.partition("\n")[0])
    made.add_argument("case", nargs="*", help=f"of {', '.join(CASES)}; all by default")
    made.add_argument("--quick", action="store_true", help="small sizes, one round, two minutes")
    made.add_argument("--rounds", type=int, help="how many rounds, if not as many as usual")
    made.add_argument("--most", type=int, help="only sizes of at most so many items")
    made.add_argument("--only", help="only contestants with this in their names, and ours")
    made.add_argument("--out", type=Path, help="the folder for the results (none if --quick)")
    return made


def with_only(case: Case, part: str | None) -> Case:
    """Leave out the contestants whose names have no such part, but ours."""
    kept = [c for c in case.contestants if part is None or c.name == OURS or part in c.name]
    return replace(case, contestants=kept)


def measure(options: argparse.Namespace) -> list[Result]:
    """Do the cases that are asked for."""
    command = shlex.join(["./dev", "bench", *sys.argv[1:]])
    pace = Pace(1, 20, 0) if options.quick else Pace(options.rounds, 300, 60)
    results = []
    for name in options.case or CASES:
        case = with_only(CASES[name], options.only)
        sizes = case.quick if options.quick else case.sizes
        if options.most is not None:
            sizes = [size for size in sizes if size.items <= options.most]
        machine = describe_machine()
        results.append(Result(do_case(case, sizes, pace), machine, command))
    return results


def write(results: list[Result], folder: Path) -> None:
    """Put results in the place of those of the same cases."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "results.json"
    known = from_json(path.read_text(), CASES) if path.exists() else {}
    known.update({result.table.case.name: result for result in results})
    every = [known[name] for name in CASES if name in known]
    path.write_text(as_json(every))
    (folder / "RESULTS.md").write_text(as_markdown(every))


def main() -> int:
    """Measure what is asked for, and write it down."""
    options = parser().parse_args()
    unknown = [name for name in options.case if name not in CASES]
    if unknown:
        parser().error(f"there is no case {unknown[0]!r}; there are {', '.join(CASES)}")
    results = measure(options)
    print(as_markdown(results))
    folder = options.out or (None if options.quick else HERE)
    if folder is not None:
        write(results, folder)
    failed = [name for result in results for name in result.table.failed()]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
