"""Say how long it took from the end of each step of a chain to the start of the next.

Each step has written two lines to ``out``, the nanosecond at which it began and ended. Usage:
latencies.py STEPS, in that folder, or :func:`tell` of a program that has run the chain.
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

    :param paths: what the steps have written, in their order.
    """
    times = [[int(line) for line in path.read_text().split()] for path in paths]
    waits = [(start - end) / 1e9 for (_, end), (start, _) in pairwise(times)]
    print(json.dumps({"latency": median(waits), "longest": max(waits)}))


if __name__ == "__main__":
    tell([Path("out", str(number)) for number in range(int(sys.argv[1]))])
