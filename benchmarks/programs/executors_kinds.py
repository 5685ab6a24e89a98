"""The executors of the benchmark, and a function that does nothing for their workers."""

from __future__ import annotations

import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["KINDS", "nothing", "ready"]

WORKERS = 2


def nothing(job: str) -> None:
    """Do the work of a job."""


def _loky() -> Executor:
    from loky import get_reusable_executor  # type: ignore[import-untyped] # no type information

    executor: Executor = get_reusable_executor(WORKERS, timeout=None)
    return executor


@contextmanager
def _dask() -> Iterator[Executor]:
    from distributed import Client

    with Client(  # type: ignore[no-untyped-call] # incomplete types
        n_workers=WORKERS, threads_per_worker=1, dashboard_address=None
    ) as client:
        yield client.get_executor()


KINDS: dict[str, Callable[[], object]] = {
    "threads": lambda: ThreadPoolExecutor(WORKERS),
    "processes": lambda: ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")),
    "loky": _loky,
    "dask": _dask,
}
"""Functions that return a context manager of an executor, by name."""


@contextmanager
def ready(kind: str) -> Iterator[Executor]:
    """Create an executor whose workers have started and have loaded this module."""
    with KINDS[kind]() as executor:  # type: ignore[attr-defined] # a context manager
        wait([executor.submit(time.sleep, 0.05) for _ in range(4 * WORKERS)])
        wait([executor.submit(nothing, "warm") for _ in range(4 * WORKERS)])
        yield executor
