"""Memory usage of the current process."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["resident"]


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
