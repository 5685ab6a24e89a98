"""A chain of commands with doit.

Usage: latency_doit.py STEPS
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doit.cmd_base import ModuleTaskLoader
from doit.doit_cmd import DoitMain
from latencies import tell

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS = int(sys.argv[1])


def task_step() -> Iterator[dict[str, Any]]:
    """Generate all tasks."""
    for number in range(STEPS):
        yield {
            "name": str(number),
            "actions": [f"(date +%%s%%N; date +%%s%%N) >out/{number}"],  # doit applies % formatting
            "file_dep": [f"out/{number - 1}"] if number else [],
            "targets": [f"out/{number}"],
        }


loader = ModuleTaskLoader({"task_step": task_step, "DOIT_CONFIG": {"verbosity": 0}})
assert DoitMain(loader).run(["run", "--reporter", "zero", "--db-file", "doit.db"]) == 0
tell([Path("out", str(number)) for number in range(STEPS)])
