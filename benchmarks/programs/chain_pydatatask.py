"""A chain of three tasks whose bodies do nothing; for this version and the published 0.4.7.

Usage: chain_pydatatask.py ITEMS
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from memory import resident

import pydatatask

STAGES = 3


async def nothing(job: str) -> None:
    """Do the work of a job."""


def chain(items: int) -> tuple[pydatatask.Pipeline, list[pydatatask.InProcessMetadataRepository]]:
    """Create the pipeline, and return it with the ``done`` repositories of its tasks."""
    source = pydatatask.InProcessMetadataRepository({f"item{i:07}": {} for i in range(items)})
    tasks: list[pydatatask.InProcessSyncTask] = []
    dones: list[pydatatask.InProcessMetadataRepository] = []
    for number in range(STAGES):
        done = pydatatask.InProcessMetadataRepository()
        task = pydatatask.InProcessSyncTask(f"stage{number}", done)(nothing)
        if tasks:
            task.plug(tasks[-1])
        else:
            task.link("source", source, is_input=True)
        tasks.append(task)
        dones.append(done)
    return pydatatask.Pipeline(tasks, pydatatask.Session(), []), dones


async def measure(items: int) -> dict[str, float]:
    """Run all jobs and then some idle rounds, and return the figures."""
    pipeline, dones = chain(items)
    async with pipeline:
        before, began, used = resident(), time.perf_counter(), time.process_time()
        if hasattr(pipeline, "run"):
            await pipeline.run()
        else:  # 0.4.7: its loop, without the pause of one second after each round
            while await pipeline.update():
                pass
        seconds, processor = time.perf_counter() - began, time.process_time() - used
        grown = resident() - before
        idle = []
        for _ in range(5):
            began = time.perf_counter()
            await pipeline.update()
            idle.append(time.perf_counter() - began)
    for done in dones:
        assert len(await done.info_all()) == items
    return {
        "loop": seconds,
        "processor": processor,
        "rate": items * STAGES / seconds,
        "idle": sorted(idle)[2],
        "per_job": grown / (items * STAGES),
    }


print(json.dumps(asyncio.run(measure(int(sys.argv[1])))))
