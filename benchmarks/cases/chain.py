"""Case 1: a chain of three tasks in the driver's process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.case import OURS, PEAK, Case, Contestant, Figure, Size, Target, program

if TYPE_CHECKING:
    from harness.table import Table

__all__ = ["CHAIN"]

_TEN_THOUSAND, _MILLION = Size(10_000), Size(1_000_000)


def _slower_at_a_million(table: Table) -> float | None:
    at_million = table.middle(_MILLION, OURS, "rate")
    at_ten_thousand = table.middle(_TEN_THOUSAND, OURS, "rate")
    return at_ten_thousand / at_million if at_million and at_ten_thousand else None


CHAIN = Case(
    "chain",
    "three chained tasks, Python functions that do nothing",
    note="Seconds of the loop alone, without imports. An idle round is one `Pipeline.update()` "
    "after all jobs have finished. Bytes per job is the growth of resident memory during the run; "
    "for `asyncio, records` that is the size of the records alone.",
    contestants=[
        Contestant(OURS, program("chain_pydatatask")),
        Contestant(
            "pydatatask 0.4.7", program("chain_pydatatask"), "pydatatask-0.4.7", most=100_000
        ),
        Contestant("asyncio, nothing kept", program("chain_asyncio"), "joblib"),
        Contestant("asyncio, records", program("chain_asyncio", "records"), "joblib"),
        Contestant(
            "asyncio, records, a task each", program("chain_asyncio", "records", "tasks"), "joblib"
        ),
        Contestant("joblib, threads", program("chain_joblib"), "joblib", most=10_000),
        Contestant("doit", program("chain_doit"), "doit", most=10_000),
        Contestant("Parsl, threads", program("chain_parsl"), "parsl", most=10_000),
        Contestant("Dask, threads", program("chain_dask", "threads"), "dask", most=10_000),
        Contestant("Dask, distributed", program("chain_dask", "distributed"), "dask", most=1_000),
        Contestant("Luigi", program("chain_luigi"), "luigi", most=1_000),
    ],
    sizes=[Size(100), Size(1_000), _TEN_THOUSAND, Size(100_000), _MILLION],
    quick=[Size(100)],
    figures=[
        Figure("loop", "seconds"),
        Figure("processor", "processor time, s"),
        Figure("rate", "executions/s", digits=0),
        Figure("idle", "idle round, ms", 1000, 2),
        Figure("per_job", "bytes per job", digits=0),
        PEAK,
    ],
    targets=[
        Target(
            "rate relative to asyncio with records at 10,000 items, at least 0.2",
            lambda table: table.middle_ratio(_TEN_THOUSAND, OURS, "rate", "asyncio, records"),
            least=0.2,
        ),
        Target(
            "loop time of 0.4.7 relative to ours at 10,000 items, at least 2",
            lambda table: table.middle_ratio(_TEN_THOUSAND, "pydatatask 0.4.7", "loop"),
            least=2,
        ),
        Target(
            "idle round of 0.4.7 relative to ours at 100,000 items, at least 10",
            lambda table: table.middle_ratio(Size(100_000), "pydatatask 0.4.7", "idle"),
            least=10,
        ),
        Target(
            "time per execution at 1,000,000 items relative to 10,000, at most 2.5",
            _slower_at_a_million,
            most=2.5,
        ),
        Target(
            "seconds of an idle round with 1,000,000 finished jobs, at most 0.1",
            lambda table: table.middle(_MILLION, OURS, "idle"),
            most=0.1,
        ),
        Target(
            "memory per job relative to that of its records alone, at most 1.5",
            lambda table: table.middle_ratio(_MILLION, OURS, "per_job", "asyncio, records"),
            most=1.5,
        ),
    ],
)
