"""The same chain with asyncio alone: a pool of workers, with or without records.

Usage: chain_asyncio.py ITEMS [records] [tasks]

With ``tasks``, each job runs in its own asyncio task and context, as in pydatatask.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import UTC, datetime

from memory import resident

STAGES = 3
WORKERS = 15


async def nothing(job: str) -> None:
    """Do the work of a job."""


async def stage(jobs: list[str], done: dict[str, object] | None, tasks: bool) -> None:
    """Run the jobs in a few concurrent workers."""
    waiting = iter(jobs)
    create_task = asyncio.get_running_loop().create_task

    async def work() -> None:
        for job in waiting:
            start = datetime.now(UTC) if done is not None else None
            await (create_task(nothing(job)) if tasks else nothing(job))
            if done is not None:
                done[job] = {
                    "success": True,
                    "start_time": start,
                    "end_time": datetime.now(UTC),
                    "attempt": 1,
                }

    await asyncio.gather(*(work() for _ in range(WORKERS)))


async def measure(items: int, records: bool, tasks: bool) -> dict[str, float]:
    """Run all stages, and return the figures."""
    jobs = [f"item{i:07}" for i in range(items)]
    dones: list[dict[str, object]] = [{} for _ in range(STAGES)]
    before, began = resident(), time.perf_counter()
    for done in dones:
        await stage(jobs, done if records else None, tasks)
    seconds = time.perf_counter() - began
    figures = {"loop": seconds, "rate": items * STAGES / seconds}
    if records:
        figures["per_job"] = (resident() - before) / (items * STAGES)
    return figures


records, tasks = "records" in sys.argv, "tasks" in sys.argv
print(json.dumps(asyncio.run(measure(int(sys.argv[1]), records, tasks))))
