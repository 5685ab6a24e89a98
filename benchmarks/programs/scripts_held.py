"""A script for each file of a folder; scripts wait as long as the file ``hold`` exists.

Usage: scripts_held.py ITEMS AT_ONCE, in the folder that contains ``in``. A script that waits has
the variable ``BENCH_JOB`` in its environment, by which ``watch_memory.py`` recognizes it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from scripts_pydatatask import count_outputs, counting
from whole_run import run_to_the_end

SCRIPT = """\
#!/bin/sh
[ -e HOLD ] || exec wc -c < {{ text }}
export BENCH_JOB=1
exec sh -c 'while [ -e HOLD ]; do sleep 0.1; done; wc -c' < {{ text }}
"""

hold = Path("hold").resolve()
run_to_the_end(counting(int(sys.argv[2]), SCRIPT.replace("HOLD", str(hold))))
assert count_outputs() == int(sys.argv[1])
