"""A script for each file of a folder; for this version and the published 0.4.7.

Usage: scripts_pydatatask.py ITEMS AT_ONCE [default-shell], in the folder that contains ``in``.
Without ``default-shell`` the scripts are run by ``sh``, as those of the peers.
"""

from __future__ import annotations

import sys
from pathlib import Path

from whole_run import run_to_the_end

import pydatatask

__all__ = ["SCRIPT", "count_outputs", "counting"]

SCRIPT = "#!/bin/sh\nwc -c < {{ text }}\n"
DEFAULT_SHELL_SCRIPT = "wc -c < {{ text }}\n"


def counting(at_once: int, script: str = SCRIPT) -> pydatatask.Pipeline:
    """Create the pipeline.

    :param at_once: the number of jobs at a time.
    :param script: the script for the file ``text``.
    """
    manager = pydatatask.LocalLinuxManager("bench", Path("running").resolve())
    quota = pydatatask.ResourceManager(pydatatask.Resources.parse(at_once, "64Gi", 1_000_000))
    task = pydatatask.ProcessTask(
        "count",
        lambda: manager,
        quota,
        pydatatask.Resources.parse(1, "1Mi"),
        pydatatask.YamlMetadataFileRepository("pids"),
        script,
        done=pydatatask.YamlMetadataFileRepository("done"),
        stdout=pydatatask.FileRepository("out", ".txt"),
    )
    task.link("text", pydatatask.FileRepository(Path("in").resolve(), ".txt"), is_input=True)
    return pydatatask.Pipeline([task], pydatatask.Session(), [quota])


def count_outputs() -> int:
    """Return the number of outputs."""
    return sum(1 for _ in Path("out").glob("*.txt"))


if __name__ == "__main__":
    default_shell = "default-shell" in sys.argv
    run_to_the_end(counting(int(sys.argv[2]), DEFAULT_SHELL_SCRIPT if default_shell else SCRIPT))
    assert count_outputs() == int(sys.argv[1])
