"""The same chain with doit: one task per job, which depends on the previous one.

Usage: chain_doit.py ITEMS
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from doit.cmd_base import ModuleTaskLoader
from doit.doit_cmd import DoitMain

if TYPE_CHECKING:
    from collections.abc import Iterator

STAGES = 3
ITEMS = int(sys.argv[1])


def nothing() -> None:
    """Do the work of a job."""


def task_stage() -> Iterator[dict[str, Any]]:
    """Generate all tasks."""
    for number in range(STAGES):
        for i in range(ITEMS):
            before = [f"stage:{number - 1}-{i}"] if number else []
            yield {"name": f"{number}-{i}", "actions": [nothing], "task_dep": before}


def measure() -> dict[str, float]:
    """Run all tasks, and return the figures."""
    loader = ModuleTaskLoader({"task_stage": task_stage, "DOIT_CONFIG": {"verbosity": 0}})
    began = time.perf_counter()
    assert DoitMain(loader).run(["run", "--reporter", "zero"]) == 0
    seconds = time.perf_counter() - began
    return {"loop": seconds, "rate": ITEMS * STAGES / seconds}


print(json.dumps(measure()))
