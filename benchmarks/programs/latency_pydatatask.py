"""A chain of process tasks, each dependent on the previous one; for this version and 0.4.7.

Usage: latency_pydatatask.py STEPS [default-shell]; without ``default-shell`` the scripts are run by
``sh``, as those of the peers.
"""

from __future__ import annotations

import sys
from pathlib import Path

from latencies import tell
from whole_run import run_to_the_end

import pydatatask

DEFAULT_SHELL_SCRIPT = "date +%s%N\ndate +%s%N\n"
SCRIPT = f"#!/bin/sh\n{DEFAULT_SHELL_SCRIPT}"


def chain(steps: int, script: str) -> pydatatask.Pipeline:
    """Create the pipeline."""
    manager = pydatatask.LocalLinuxManager("bench", Path("running").resolve())
    quota = pydatatask.ResourceManager(pydatatask.Resources.parse(2, "64Gi", 1_000_000))
    tasks: list[pydatatask.ProcessTask] = []
    dones: list[pydatatask.YamlMetadataFileRepository] = []
    for number in range(steps):
        done = pydatatask.YamlMetadataFileRepository(f"done/{number}")
        task = pydatatask.ProcessTask(
            f"step{number}",
            lambda: manager,
            quota,
            pydatatask.Resources.parse(1, "1Mi"),
            pydatatask.YamlMetadataFileRepository(f"pids/{number}"),
            script,
            done=done,
            stdout=pydatatask.FileRepository(f"out/{number}", ".txt"),
        )
        if tasks:
            task.link("before", dones[-1], is_input=True)
        else:
            begin = pydatatask.InProcessMetadataRepository({"job": {}})
            task.link("begin", begin, is_input=True)
        tasks.append(task)
        dones.append(done)
    return pydatatask.Pipeline(tasks, pydatatask.Session(), [quota])


count = int(sys.argv[1])
run_to_the_end(chain(count, DEFAULT_SHELL_SCRIPT if "default-shell" in sys.argv else SCRIPT))
tell([Path("out", str(number), "job.txt") for number in range(count)])
