"""Case 4: from the end of a job to the start of the next that it allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.case import OURS, PEAK, Case, Contestant, Figure, Size, Target, program, shell

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LATENCY"]

TELL = "&& python {programs}/latencies.py {items}"
_STEPS = Size(30)


def _out(folder: Path, size: Size) -> None:
    (folder / "out").mkdir()


LATENCY = Case(
    "latency",
    "from the end of a process to the start of the next that it allows",
    note="A chain of so many scripts, each of which waits for the one before. A script writes "
    "when it began and when it ended, so what is measured has a little of the shell's start and "
    "end in it. In milliseconds; the median and the longest of one run.",
    contestants=[
        Contestant(OURS, program("latency_pydatatask")),
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
        Target(
            "milliseconds from an end to the next start, the median, below 20",
            lambda table: (table.middle(_STEPS, OURS, "latency") or 0) * 1000 or None,
            most=20,
        )
    ],
    prepare=_out,
)
