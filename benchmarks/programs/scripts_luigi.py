"""A script for each file of a folder, with Luigi.

Usage: scripts_luigi.py ITEMS AT_ONCE, in the folder that contains ``in``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import luigi


class Count(luigi.Task):
    """The script for one file."""

    name = luigi.Parameter()

    def output(self) -> luigi.LocalTarget:
        """Return the output."""
        return luigi.LocalTarget(f"out/{self.name}.txt")

    def run(self) -> None:
        """Run the script, and publish its output when it is complete."""
        with self.output().temporary_path() as path:
            subprocess.run(f"wc -c <in/{self.name}.txt >{path}", shell=True, check=True)


items, at_once = int(sys.argv[1]), int(sys.argv[2])
tasks = [Count(name=path.stem) for path in sorted(Path("in").glob("*.txt"))]
assert luigi.build(tasks, workers=at_once, local_scheduler=True, log_level="ERROR")
assert len(list(Path("out").glob("*.txt"))) == items
