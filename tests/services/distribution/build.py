"""Build distribution's registry into the cache, unless it is there: ``python .../build.py``.

The script prints the path of the program.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from services.golang import GoProgram

__all__ = ["DISTRIBUTION"]

DISTRIBUTION = GoProgram("distribution", Path(__file__).resolve().parent, ".", go=(1, 26))

if __name__ == "__main__":
    sys.stdout.write(f"{DISTRIBUTION.build()}\n")
