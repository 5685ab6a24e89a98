"""A script for each file of a folder; for this version and the published 0.4.7.

Usage: scripts_pydatatask.py ITEMS AT_ONCE, in the folder that contains ``in``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from whole_run import run_to_the_end

import pydatatask


def counting(at_once: int) -> pydatatask.Pipeline:
    """Create the pipeline."""
    manager = pydatatask.LocalLinuxManager("bench", Path("running").resolve())
    quota = pydatatask.ResourceManager(pydatatask.Resources.parse(at_once, "64Gi", 1_000_000))
    task = pydatatask.ProcessTask(
        "count",
        lambda: manager,
        quota,
        pydatatask.Resources.parse(1, "1Mi"),
        pydatatask.YamlMetadataFileRepository("pids"),
        "wc -c < {{ text }}\n",
        done=pydatatask.YamlMetadataFileRepository("done"),
        stdout=pydatatask.FileRepository("out", ".txt"),
    )
    task.link("text", pydatatask.FileRepository(Path("in").resolve(), ".txt"), is_input=True)
    return pydatatask.Pipeline([task], pydatatask.Session(), [quota])


run_to_the_end(counting(int(sys.argv[2])))
assert len(list(Path("out").glob("*.txt"))) == int(sys.argv[1])
