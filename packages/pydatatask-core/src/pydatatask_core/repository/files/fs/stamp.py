"""Detection of changes of the names in a folder without listing it.

Linux updates the times of a folder when an entry is created, removed or renamed. Once the clock of
these timestamps has advanced, equal times mean equal names. This holds for file systems on this
machine; others answer from caches or do not maintain such times.
"""

from __future__ import annotations

import os
import time

from pydatatask_core.utils.file_systems import is_local_device

__all__ = ["Stamp", "detects_changes", "read_stamp"]

Stamp = tuple[int, int, int, int]

_TICK_NS = 100_000_000
"""More than the resolution of file system timestamps, which is at most a hundredth of a second."""


def read_stamp(folder: str) -> Stamp | None:
    """Return values that change with the names in a folder, or None if it does not exist."""
    try:
        status = os.stat(folder)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def detects_changes(stamp: Stamp) -> bool:
    """Return True if any change after this stamp, just taken, results in a different stamp."""
    device, _, modified, changed = stamp
    return time.time_ns() - max(modified, changed) > _TICK_NS and is_local_device(device)
