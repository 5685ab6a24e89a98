"""Case 10: functions that do nothing, in executors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.case import OURS, PEAK, Case, Contestant, Figure, Size, Target, program

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.table import Table

__all__ = ["EXECUTORS"]

_MANY = Size(5_000)
_KINDS = ("threads", "processes", "loky", "dask")
_FILES, _BARE, _BY_HAND = f"{OURS}, files", "bare submit", "records by hand, files"


def _over(ours: str, alone: str, kind: str) -> Callable[[Table], float | None]:
    return lambda table: table.middle_ratio(_MANY, ours, kind, alone)


EXECUTORS = Case(
    "executors",
    "Python functions that do nothing, in two workers of an executor",
    note="Seconds of the loop alone; the workers have started before. The records, which have the "
    "same fields everywhere, are kept in memory or in a YAML file each. `bare submit` keeps none: "
    "it submits every function and waits for the end. The ratio is that of threads.",
    contestants=[
        Contestant(OURS, program("executors_pydatatask", "memory")),
        Contestant(_BARE, program("executors_bare", "nothing")),
        Contestant("records by hand", program("executors_bare", "memory")),
        Contestant(_FILES, program("executors_pydatatask", "files")),
        Contestant(_BY_HAND, program("executors_bare", "files")),
    ],
    sizes=[_MANY],
    quick=[Size(100)],
    figures=[
        Figure("threads", "ThreadPoolExecutor"),
        Figure("processes", "ProcessPoolExecutor"),
        Figure("loky", "loky"),
        Figure("dask", "Dask"),
        PEAK,
    ],
    targets=[
        Target(f"{kind}: {ours} relative to {alone}, at most 3", _over(ours, alone, kind), most=3)
        for ours, alone in ((OURS, _BARE), (_FILES, _BY_HAND))
        for kind in _KINDS
    ],
    rounds=3,
)
