"""Print the latency between the end of each step of a chain and the start of the next.

Each step has written two lines to a file in ``out``: the times of its start and end in nanoseconds.
Usage: latencies.py STEPS, in the folder that contains ``out``. Programs that run the chain
themselves call :func:`tell`.
"""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path
from statistics import median

__all__ = ["tell"]


def tell(paths: list[Path]) -> None:
    """Print the latencies as figures.

    :param paths: the files written by the steps, in the order of the steps.
    """
    times = [[int(line) for line in path.read_text().split()] for path in paths]
    waits = [(start - end) / 1e9 for (_, end), (start, _) in pairwise(times)]
    print(json.dumps({"latency": median(waits), "longest": max(waits)}))


if __name__ == "__main__":
    tell([Path("out", str(number)) for number in range(int(sys.argv[1]))])
