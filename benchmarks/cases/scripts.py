"""Cases 2 and 3: a script for each file of a folder, and a second run with nothing to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.case import CPU, OURS, PEAK, SECONDS, Case, Contestant, Size, Target, program, shell

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.table import Table

__all__ = ["NOTHING", "SCRIPTS"]

SNAKEMAKE = (
    "snakemake --quiet all --nolock --cores {at_once} --snakefile {programs}/scripts.smk "
    "--rerun-triggers mtime"
)
MAKE = "make --silent --jobs={at_once} --file={programs}/scripts.mk"
BY_HAND = "xargs, records by hand"
OLD = "pydatatask 0.4.7"
DEFAULT_SHELL = f"{OURS}, default shell"
RECORD = "success: true\nreturn_code: 0\n"


def files(folder: Path, size: Size) -> None:
    """Create the input files."""
    for name in ("in", "out", "done"):
        (folder / name).mkdir()
    for i in range(size.items):
        (folder / "in" / f"file{i:06}.txt").write_text(f"This is the text of file {i}.\n")


def files_done(folder: Path, size: Size) -> None:
    """Create the input files, and the outputs and records of finished jobs."""
    files(folder, size)
    for path in (folder / "in").iterdir():
        (folder / "out" / path.name).write_text("32\n")
        (folder / "done" / f"{path.stem}.yaml").write_text(RECORD)


def _one_at_a_time(line: str) -> Callable[[Size], list[str]]:
    return shell(line.replace("{at_once}", "1"))


def _relative_to(peer: str, size: Size, key: str) -> Callable[[Table], float | None]:
    """Return a function for our figure relative to a peer's, on the slowest file system."""

    def value(table: Table) -> float | None:
        sizes = table.on_file_systems(size)
        ratios = [table.middle_ratio(measured, OURS, key, peer) for measured in sizes]
        return max((ratio for ratio in ratios if ratio is not None), default=None)

    return value


def _behind(sizes: list[Size], peers: list[str]) -> Callable[[Table], float | None]:
    """Return a function for the smallest ratio of any peer at any size.

    If it is above 1, pydatatask is faster than all of them.
    """

    def value(table: Table) -> float | None:
        measured = [known for size in sizes for known in table.on_file_systems(size)]
        ratios = [table.middle_ratio(size, peer, "seconds") for size in measured for peer in peers]
        return min((ratio for ratio in ratios if ratio is not None), default=None)

    return value


_ENOUGH = 1_000  # with fewer items, the start of the interpreter dominates
_SIZES = [Size(100, 8), Size(1_000, 2), Size(1_000, 8), Size(10_000, 8)]
_MANY = [Size(items) for items in (1_000, 10_000, 100_000)]

SCRIPTS = Case(
    "scripts",
    "a small script for each file of a folder, with its output in another folder",
    note="Seconds of the whole process, and the processor time of all processes, the scripts and "
    "detached supervisors included. The scripts of pydatatask begin with `#!/bin/sh`, because the "
    "other tools use `sh -c`; in the second row they have no such line, so that they are run by "
    "the default shell. `xargs, records by hand` publishes each output by a rename and writes a "
    "record of the outcome and the time of each job, as pydatatask does; the other tools write no "
    "such record (doit, Snakemake and Luigi keep a database of their own, or none). 0.4.7 uses its "
    "own `run`, which waits a second after each round.",
    contestants=[
        Contestant(OURS, program("scripts_pydatatask")),
        Contestant(DEFAULT_SHELL, program("scripts_pydatatask", "default-shell")),
        Contestant(OLD, program("scripts_pydatatask"), "pydatatask-0.4.7", most_in_turn=125),
        Contestant(
            "xargs",
            shell("ls in | xargs -P {at_once} -I N sh -c 'wc -c <in/N >out/N'"),
            tool=("xargs", "findutils"),
        ),
        Contestant(
            BY_HAND,
            shell("ls in | xargs -P {at_once} -n 1 sh {programs}/by_hand.sh"),
            tool=("xargs", "findutils"),
        ),
        Contestant("make", shell(MAKE), tool=("make", "make")),
        Contestant(
            "GNU parallel",
            shell("ls in | parallel --will-cite -j {at_once} 'wc -c <in/{{}} >out/{{}}'"),
            tool=("parallel", "parallel"),
        ),
        Contestant("doit", program("scripts_doit"), "doit"),
        Contestant("Luigi", program("scripts_luigi"), "luigi", most=100),
        Contestant("Snakemake", shell(SNAKEMAKE), "snakemake", most=100),
    ],
    sizes=_SIZES,
    quick=[Size(20, 8)],
    figures=[SECONDS, CPU, PEAK],
    compared=2,
    targets=[
        *(
            Target(
                f"{figure} time relative to {peer}, {size}, at most {most:g}",
                _relative_to(peer, size, key),
                most=most,
            )
            for size in _SIZES
            if size.items >= _ENOUGH
            for key, figure in (("seconds", "wall"), ("cpu", "processor"))
            for peer, most in (("doit", 1), ("make", 1.6))
        ),
        Target(
            "smallest ratio of any pipeline tool at any size, at least 1",
            _behind(_SIZES, [OLD, "doit", "Luigi", "Snakemake"]),
            least=1,
        ),
        Target(
            f"throughput relative to 0.4.7, {_SIZES[2]}, at least 50",
            _behind([_SIZES[2]], [OLD]),
            least=50,
        ),
    ],
    prepare=files,
    file_systems=True,
    rounds=3,
)

NOTHING = Case(
    "nothing",
    "a second run of the same scripts, after all jobs have finished",
    note="Seconds of the whole process, which finds no jobs to run.",
    contestants=[
        Contestant(OURS, program("scripts_pydatatask", "8")),
        Contestant(OLD, program("scripts_pydatatask", "8"), "pydatatask-0.4.7"),
        Contestant("make", _one_at_a_time(MAKE), tool=("make", "make")),
        Contestant(
            "doit",
            program("scripts_doit", "8"),
            "doit",
            before=program("scripts_doit", "8", "nothing"),
        ),
        Contestant("Luigi", program("scripts_luigi", "1"), "luigi", most=10_000),
        Contestant("Snakemake", _one_at_a_time(SNAKEMAKE), "snakemake", most=10_000),
    ],
    sizes=_MANY,
    quick=[Size(20)],
    figures=[SECONDS, CPU, PEAK],
    targets=[
        Target(
            f"smallest ratio of any peer with {size} files, at least 1",
            _behind([size], ["pydatatask 0.4.7", "make", "doit", "Luigi", "Snakemake"]),
            least=1,
        )
        for size in _MANY
    ],
    prepare=files_done,
    shared=True,
    rounds=3,
)
