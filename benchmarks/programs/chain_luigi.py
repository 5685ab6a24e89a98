"""The same chain with Luigi: targets in memory, its scheduler in this process.

Usage: chain_luigi.py ITEMS
"""

from __future__ import annotations

import json
import sys
import time

import luigi
from luigi.mock import MockTarget

STAGES = 3


class Stage(luigi.Task):
    """One job of one stage."""

    item = luigi.IntParameter()
    number = luigi.IntParameter()

    def requires(self) -> list[luigi.Task]:
        """Return the previous job."""
        return [Stage(item=self.item, number=self.number - 1)] if self.number else []

    def output(self) -> MockTarget:
        """Return the output."""
        return MockTarget(f"{self.number}-{self.item}")

    def run(self) -> None:
        """Do the work of a job."""
        with self.output().open("w") as stream:
            stream.write("")


items = int(sys.argv[1])
ends = [Stage(item=i, number=STAGES - 1) for i in range(items)]
began = time.perf_counter()
assert luigi.build(ends, local_scheduler=True, log_level="ERROR")
seconds = time.perf_counter() - began
print(json.dumps({"loop": seconds, "rate": items * STAGES / seconds}))
