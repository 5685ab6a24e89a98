"""Executors of third-party packages."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dask
import loky  # type: ignore[import-untyped] # no type information

if TYPE_CHECKING:
    from collections.abc import Iterator


def reusable(workers: int) -> Any:
    """Return loky's executor for this process; replace it if it is broken. This may block.

    Its workers never time out. By default a worker exits after 10 s without work; if a job is
    submitted at that moment, loky warns in its own thread, and because warnings are errors here,
    the pool breaks.
    """
    return loky.get_reusable_executor(workers, timeout=None)


@contextmanager
def dask_cluster(workers: int, threads: int = 1, processes: bool = True) -> Iterator[Any]:
    """Run a cluster on this machine, and yield a client of it.

    Dask does not retry a job that ends its worker; by default it does so three times.
    """
    from distributed import (
        Client,
        LocalCluster,
    )  # before the settings, because the import adds its own

    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        cluster = LocalCluster(  # type: ignore[no-untyped-call] # incomplete types
            n_workers=workers,
            threads_per_worker=threads,
            processes=processes,
            dashboard_address=":0",  # any port, because the default one may be in use
        )
        with cluster, Client(cluster) as client:  # type: ignore[no-untyped-call] # as above
            yield client
