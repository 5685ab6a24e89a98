"""Case 4: latency between the end of a job and the start of the job that depends on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.case import OURS, PEAK, Case, Contestant, Figure, Size, Target, program, shell

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.table import Table

__all__ = ["LATENCY"]

TELL = "&& python {programs}/latencies.py {items}"
_STEPS = Size(30)


def _out(folder: Path, size: Size) -> None:
    (folder / "out").mkdir()


def _milliseconds(key: str) -> Callable[[Table], float | None]:
    """Return a function for a figure of ours, on the slowest file system."""

    def value(table: Table) -> float | None:
        values = [table.middle(size, OURS, key) for size in table.on_file_systems(_STEPS)]
        return max((seconds * 1000 for seconds in values if seconds is not None), default=None)

    return value


LATENCY = Case(
    "latency",
    "latency between the end of a process and the start of the process that depends on it",
    note="A chain of the given number of scripts, each of which depends on the one before. A "
    "script writes the times of its start and end, so the figures include part of the start and "
    "the exit of the shell: `sh`, except in the second row. In milliseconds; the median and the "
    "maximum of one run.",
    contestants=[
        Contestant(OURS, program("latency_pydatatask")),
        Contestant(f"{OURS}, default shell", program("latency_pydatatask", "default-shell")),
        Contestant("pydatatask 0.4.7", program("latency_pydatatask"), "pydatatask-0.4.7"),
        Contestant(
            "make",
            shell(f"make -s -f {{programs}}/latency.mk LAST=$(({{items}} - 1)) {TELL}"),
            tool=("make", "make"),
        ),
        Contestant("doit", program("latency_doit"), "doit"),
        Contestant("Luigi", program("latency_luigi"), "luigi"),
        Contestant(
            "Snakemake",
            shell(
                "snakemake --quiet all --nolock --cores 1 --snakefile {programs}/latency.smk "
                f"--config last=$(({{items}} - 1)) {TELL}"
            ),
            "snakemake",
        ),
    ],
    sizes=[_STEPS],
    quick=[Size(4)],
    figures=[
        Figure("latency", "latency, ms", 1000, 1),
        Figure("longest", "longest, ms", 1000, 1),
        PEAK,
    ],
    targets=[
        Target("median latency in milliseconds, at most 5", _milliseconds("latency"), most=5),
        Target("longest latency in milliseconds, at most 12", _milliseconds("longest"), most=12),
    ],
    prepare=_out,
    file_systems=True,
)
