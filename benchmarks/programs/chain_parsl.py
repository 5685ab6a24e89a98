"""The same chain with Parsl over threads: each app receives the future of the previous one.

Usage: chain_parsl.py ITEMS
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import parsl
from parsl.config import Config
from parsl.executors.threads import ThreadPoolExecutor

STAGES = 3


@parsl.python_app
def nothing(job: str) -> str:
    """Do the work of a job."""
    return job


items = int(sys.argv[1])
parsl.load(Config(executors=[ThreadPoolExecutor(max_threads=2)], usage_tracking=0))
began = time.perf_counter()
ends = []
for i in range(items):
    future: Any = f"item{i:07}"
    for _ in range(STAGES):
        future = nothing(future)
    ends.append(future)
assert len([end.result() for end in ends]) == items
seconds = time.perf_counter() - began
parsl.dfk().cleanup()
print(json.dumps({"loop": seconds, "rate": items * STAGES / seconds}))
