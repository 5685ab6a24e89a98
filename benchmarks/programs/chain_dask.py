"""The same chain with Dask: its threaded scheduler, or the distributed one in this process.

Usage: chain_dask.py ITEMS threads|distributed
"""

from __future__ import annotations

import json
import sys
import time

from dask.base import compute
from dask.delayed import delayed
from dask.distributed import Client

STAGES = 3


def nothing(job: str) -> str:
    """Do the work of a job."""
    return job


def threads(items: int) -> list[str]:
    """Create one graph, and compute it."""
    body = delayed(nothing, pure=False)
    ends = []
    for i in range(items):
        job = f"item{i:07}"
        for _ in range(STAGES):
            job = body(job)
        ends.append(job)
    return list(compute(*ends, scheduler="threads", num_workers=2, optimize_graph=False))


def distributed(items: int) -> list[str]:
    """Submit a task for each job."""
    with Client(
        processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None
    ) as client:
        futures = [f"item{i:07}" for i in range(items)]
        for _ in range(STAGES):
            futures = client.map(nothing, futures, pure=False)
        return list(client.gather(futures))


count = int(sys.argv[1])
began = time.perf_counter()
assert len((threads if sys.argv[2] == "threads" else distributed)(count)) == count
seconds = time.perf_counter() - began
print(json.dumps({"loop": seconds, "rate": count * STAGES / seconds}))
