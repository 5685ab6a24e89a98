"""Functions that do nothing, submitted to executors by hand, with or without records.

Usage: executors_bare.py ITEMS nothing|memory|files [KIND...]

``memory`` and ``files`` keep the records that pydatatask keeps: in a dict, or in a YAML file each,
which is published when it is complete.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from concurrent.futures import Executor, Future, as_completed, wait
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from executors_kinds import KINDS, nothing, ready

Record = dict[str, Any]


def noted(job: str) -> Record:
    """Run the function in a worker, and return the record of the job."""
    start = datetime.now(UTC)
    nothing(job)
    return {
        "success": True,
        "start_time": start,
        "end_time": datetime.now(UTC),
        "worker": f"{socket.gethostname()}:{os.getpid()}",
        "attempt": 1,
    }


def write(folder: Path, job: str, record: Record) -> None:
    """Publish a record as a whole."""
    new = folder / f".{job}.new"
    with new.open("w") as file:
        yaml.dump(record, file, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper))
    new.replace(folder / f"{job}.yaml")


def submit(executor: Executor, items: int, records: str, folder: Path) -> int:
    """Submit all jobs, and return the number of jobs that have ended or are recorded."""
    jobs = [f"item{i:07}" for i in range(items)]
    if records == "nothing":
        return len(wait([executor.submit(nothing, job) for job in jobs]).done)
    done: dict[str, Record] = {}
    keep = done.__setitem__ if records == "memory" else partial(write, folder)
    futures: dict[Future[Record], str] = {executor.submit(noted, job): job for job in jobs}
    for future in as_completed(futures):
        keep(futures[future], future.result())
    return len(done) if records == "memory" else len(list(folder.glob("*.yaml")))


def main() -> None:
    """Measure each kind of executor."""
    items, records = int(sys.argv[1]), sys.argv[2]
    figures: dict[str, float] = {}
    for kind in sys.argv[3:] or KINDS:
        folder = Path(f"done-{kind}")
        folder.mkdir()
        with ready(kind) as executor:
            began = time.perf_counter()
            assert submit(executor, items, records, folder) == items
            figures[kind] = time.perf_counter() - began
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
