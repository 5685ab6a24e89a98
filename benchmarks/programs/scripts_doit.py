"""A script for each file of a folder, with doit.

Usage: scripts_doit.py ITEMS AT_ONCE [nothing], in the folder that contains ``in``. With ``nothing``
the outputs already exist, and doit only records them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doit.cmd_base import ModuleTaskLoader
from doit.doit_cmd import DoitMain

if TYPE_CHECKING:
    from collections.abc import Iterator

ITEMS, AT_ONCE = int(sys.argv[1]), sys.argv[2]


def nothing() -> None:
    """Leave the output as it is."""


def task_count() -> Iterator[dict[str, Any]]:
    """Generate all tasks."""
    for path in sorted(Path("in").glob("*.txt")):
        action: Any = nothing if "nothing" in sys.argv else f"wc -c <{path} >out/{path.name}"
        yield {
            "name": path.stem,
            "actions": [action],
            "file_dep": [str(path)],
            "targets": [f"out/{path.name}"],
        }


if __name__ == "__main__":
    loader = ModuleTaskLoader({"task_count": task_count, "DOIT_CONFIG": {"verbosity": 0}})
    options = ["run", "--reporter", "zero", "--db-file", "doit.db"]
    if "nothing" not in sys.argv:
        options += ["-n", AT_ONCE, "-P", "thread"]
    assert DoitMain(loader).run(options) == 0
    assert len(list(Path("out").glob("*.txt"))) == ITEMS
