"""A script for each file of a folder, by a driver with much resident memory.

Usage: scripts_large_driver.py ITEMS AT_ONCE MIB, in the folder that contains ``in``. The printed
seconds are those of the run alone, because it takes a while to fill the memory.
"""

from __future__ import annotations

import json
import mmap
import sys
import time

from memory import resident
from scripts_pydatatask import count_outputs, counting
from whole_run import run_to_the_end

MIB = 2**20


def fill_memory(mib: int) -> mmap.mmap:
    """Return memory that is resident in pages of normal size, as that of many small objects is.

    :param mib: its size in MiB.
    """
    memory = mmap.mmap(-1, mib * MIB, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    for _ in range(mib):
        memory.write(b"x" * MIB)
    return memory


items, at_once, mib = map(int, sys.argv[1:])
memory = fill_memory(mib) if mib else None
pipeline = counting(at_once)
size = resident()
assert size >= mib * MIB
began = time.perf_counter()
run_to_the_end(pipeline)
print(json.dumps({"seconds": time.perf_counter() - began, "resident": size}))
assert count_outputs() == items
