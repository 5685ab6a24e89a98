"""Executors that other distributions bring."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dask
import loky  # type: ignore[import-untyped] # it has no types

if TYPE_CHECKING:
    from collections.abc import Iterator


def reusable(workers: int) -> Any:
    """Give loky's executor for this process, another one if that is broken. This may block.

    Its workers wait for work for ever. By default one that waited for 10 s leaves, and if jobs
    come at that moment loky warns of it in its own thread; warnings are errors here, and the pool
    is broken by that one.
    """
    return loky.get_reusable_executor(workers, timeout=None)


@contextmanager
def dask_cluster(workers: int, threads: int = 1, processes: bool = True) -> Iterator[Any]:
    """Run a cluster on this machine, and give a client of it.

    A job that ends its worker is not tried again by Dask, which by itself does so three times.
    """
    from distributed import Client, LocalCluster  # before the settings, to which it adds its own

    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        cluster = LocalCluster(  # type: ignore[no-untyped-call] # half of its types are missing
            n_workers=workers,
            threads_per_worker=threads,
            processes=processes,
            dashboard_address=":0",  # any port, since others may have the usual one
        )
        with cluster, Client(cluster) as client:  # type: ignore[no-untyped-call] # as above
            yield client
