"""The same chain with joblib: a parallel loop over threads for each stage.

Usage: chain_joblib.py ITEMS
"""

from __future__ import annotations

import json
import os
import sys
import time

from joblib import Parallel, delayed

STAGES = 3


def nothing(job: str) -> str:
    """Do the work of a job."""
    return job


items = int(sys.argv[1])
jobs = [f"item{i:07}" for i in range(items)]
began = time.perf_counter()
with Parallel(n_jobs=os.cpu_count(), backend="threading") as parallel:
    for _ in range(STAGES):
        jobs = parallel(delayed(nothing)(job) for job in jobs)
seconds = time.perf_counter() - began
assert len(jobs) == items
print(json.dumps({"loop": seconds, "rate": items * STAGES / seconds}))
