"""Compare pydatatask with its peers: ``./dev bench [--quick] [CASE...]``.

The results are written to ``benchmarks/results.json`` and ``benchmarks/RESULTS.md`` after each
case. They replace earlier results of the same contestants and sizes; other results are kept. On an
idle machine all cases take most of an hour. With ``--quick``, which only checks that every case
runs, they take two minutes.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from cases import CASES
from harness.case import OURS, Case
from harness.machine import describe_machine, file_system
from harness.report import as_json, as_markdown, from_json
from harness.table import Run, Table
from harness.turns import Pace, do_case

HERE = Path(__file__).resolve().parent


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="./dev bench", description=__doc__.partition("\n")[0])
    made.add_argument("case", nargs="*", help=f"one of {', '.join(CASES)}; default: all")
    made.add_argument("--quick", action="store_true", help="small sizes, one round, two minutes")
    made.add_argument("--rounds", type=int, help="number of rounds; default: that of the case")
    made.add_argument("--most", type=int, help="run only sizes of at most this many items")
    made.add_argument(
        "--only",
        action="append",
        help="run only pydatatask and contestants whose names contain this text; can be repeated",
    )
    made.add_argument(
        "--folder",
        action="append",
        type=Path,
        help="measure cases that depend on the file system in this folder; can be repeated, for "
        "example with a folder on a disk and /dev/shm; default: the folder for temporary files",
    )
    made.add_argument(
        "--out", type=Path, help="folder for the results; none by default with --quick"
    )
    return made


def with_only(case: Case, parts: list[str] | None) -> Case:
    """Return a case with only pydatatask and the contestants whose names contain a given part."""
    if parts is None:
        return case
    kept = [c for c in case.contestants if c.name == OURS or any(part in c.name for part in parts)]
    return replace(case, contestants=kept)


def measure(name: str, options: argparse.Namespace) -> Run:
    """Measure a case with the options of the command line."""
    pace = Pace(1, 20, 0) if options.quick else Pace(options.rounds, 300, 30)
    case = with_only(CASES[name], options.only)
    sizes = case.quick if options.quick else case.sizes
    if options.most is not None:
        sizes = [size for size in sizes if size.items <= options.most]
    temporary = Path(tempfile.gettempdir())
    folders = (options.folder or [temporary]) if case.file_systems else [temporary]
    types = [file_system(folder) for folder in folders]
    machine = describe_machine(files_on=", ".join(types))
    run = Run(machine, shlex.join(["./dev", "bench", *sys.argv[1:]]))
    for folder, files_on in zip(folders, types, strict=True):
        named = [replace(size, files_on=files_on) for size in sizes] if case.file_systems else sizes
        do_case(case, named, pace, run, folder)
    return run


def check_folders(folders: list[Path]) -> None:
    """Exit with an error if a folder is missing, or on the same type of file system as another."""
    known: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            parser().error(f"--folder {folder} is not a folder")
        other = known.setdefault(file_system(folder), folder)
        if other is not folder:
            parser().error(f"--folder {other} and {folder} are both on {file_system(folder)}")


def write(name: str, run: Run, folder: Path) -> None:
    """Write the results of a case, and replace those that the run has measured again."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "results.json"
    known = from_json(path.read_text(), CASES) if path.exists() else {}
    known.setdefault(name, Table(CASES[name])).add(run)
    every = [known[name] for name in CASES if name in known]
    path.write_text(as_json(every))
    (folder / "RESULTS.md").write_text(as_markdown(every))


def main() -> int:
    """Measure the requested cases, and write the results."""
    options = parser().parse_args()
    unknown = [name for name in options.case if name not in CASES]
    if unknown:
        parser().error(f"unknown case {unknown[0]!r}; choose from {', '.join(CASES)}")
    check_folders(options.folder or [])
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
