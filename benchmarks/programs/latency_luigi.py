"""A chain of commands with Luigi.

Usage: latency_luigi.py STEPS
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import luigi
from latencies import tell


class Step(luigi.Task):
    """One step."""

    number = luigi.IntParameter()

    def requires(self) -> list[luigi.Task]:
        """Return the previous step."""
        return [Step(number=self.number - 1)] if self.number else []

    def output(self) -> luigi.LocalTarget:
        """Return the output."""
        return luigi.LocalTarget(f"out/{self.number}")

    def run(self) -> None:
        """Run the command."""
        with self.output().temporary_path() as path:
            subprocess.run(f"(date +%s%N; date +%s%N) >{path}", shell=True, check=True)


steps = int(sys.argv[1])
assert luigi.build([Step(number=steps - 1)], local_scheduler=True, log_level="ERROR")
tell([Path("out", str(number)) for number in range(steps)])
