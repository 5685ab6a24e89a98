"""Functions that do nothing in executors, as tasks of pydatatask.

Usage: executors_pydatatask.py ITEMS memory|files [KIND...]
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING

from executors_kinds import KINDS, nothing, ready

import pydatatask

if TYPE_CHECKING:
    from concurrent.futures import Executor


async def run(executor: Executor, items: int, done: pydatatask.MetadataRepository) -> float:
    """Run all jobs, and return the seconds of the loop."""
    source = pydatatask.InProcessMetadataRepository({f"item{i:07}": {} for i in range(items)})
    task = pydatatask.ExecutorTask("work", executor, done, func=nothing)
    task.link("source", source, is_input=True)
    async with pydatatask.Pipeline([task]) as pipeline:
        began = time.perf_counter()
        await pipeline.run()
        seconds = time.perf_counter() - began
    assert all(record["success"] for record in (await done.info_all()).values())
    assert len(await done.keys()) == items
    return seconds


def main() -> None:
    """Measure each kind of executor."""
    items, records = int(sys.argv[1]), sys.argv[2]
    figures: dict[str, float] = {}
    for kind in sys.argv[3:] or KINDS:
        done: pydatatask.MetadataRepository = (
            pydatatask.InProcessMetadataRepository()
            if records == "memory"
            else pydatatask.YamlMetadataFileRepository(f"done-{kind}")
        )
        with ready(kind) as executor:
            figures[kind] = asyncio.run(run(executor, items, done))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
