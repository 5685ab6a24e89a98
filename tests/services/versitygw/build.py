"""Build versitygw into the cache, unless it is there: ``python tests/services/versitygw/build.py``.

The script prints the path of the program.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from services.golang import GoProgram

__all__ = ["VERSITYGW"]

VERSITYGW = GoProgram(
    "versitygw",
    Path(__file__).resolve().parent,
    "github.com/versity/versitygw/cmd/versitygw",
    go=(1, 25),
)

if __name__ == "__main__":
    sys.stdout.write(f"{VERSITYGW.build()}\n")
