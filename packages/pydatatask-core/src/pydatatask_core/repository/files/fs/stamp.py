"""Telling without a listing that no name in a folder has changed.

Linux sets a folder's times whenever an entry is made, removed or renamed. Once the clock that it
takes them from has moved on, equal times mean equal names. That holds for file systems on this
machine; others answer out of caches or keep no such times.
"""

from __future__ import annotations

import os
import time

__all__ = ["Stamp", "detects_changes", "read_stamp", "type_of_device"]

MOUNTS = "/proc/self/mountinfo"

Stamp = tuple[int, int, int, int]

_TICK_NS = 100_000_000
"""More than the clock of file systems ever stands still, which is a hundredth of a second."""

_LOCAL = frozenset({"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs"})


def read_stamp(folder: str) -> Stamp | None:
    """Give what changes with the names in a folder; None if there is no folder."""
    try:
        status = os.stat(folder)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def detects_changes(stamp: Stamp) -> bool:
    """Determine whether any change from now on gives another stamp than this one, just made."""
    device, _, modified, changed = stamp
    return time.time_ns() - max(modified, changed) > _TICK_NS and type_of_device(device) in _LOCAL


def type_of_device(device: int) -> str | None:
    """Return the type of a mounted file system as the kernel names it; None if it is not listed.

    :param device: its number, which ``os.stat`` gives as ``st_dev``.
    """
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open(MOUNTS, encoding="utf-8", errors="replace") as mounts:
            for mount in mounts:
                # proc_pid_mountinfo(5): device, root, ... " - " type of the file system ...
                place, _, kind = mount.partition(" - ")
                if place.split(" ", 3)[2] == number:
                    return kind.split(" ", 1)[0]
    except OSError:
        pass  # no Linux
    return None
