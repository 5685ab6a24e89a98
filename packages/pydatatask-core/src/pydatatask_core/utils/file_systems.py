"""The types of mounted file systems."""

from __future__ import annotations

import os

__all__ = ["is_local", "is_local_device", "type_of_device"]

MOUNTS = "/proc/self/mountinfo"

_LOCAL_TYPES = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs"}
)


def is_local(path: str) -> bool:
    """Return whether a path is on a file system of this machine, where small operations are quick.

    :param path: the path; if it does not exist, its deepest existing parent is checked.
    :return: False if the type of the file system is unknown.
    """
    path = os.path.abspath(path)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return is_local_device(os.stat(path).st_dev)


def is_local_device(device: int) -> bool:
    """Return whether a device is one of the known file systems of this machine.

    :param device: the device number (``st_dev`` of ``os.stat``).
    """
    return type_of_device(device) in _LOCAL_TYPES


def type_of_device(device: int) -> str | None:
    """Return the type of a mounted file system in the kernel's notation; None if it is not listed.

    :param device: the device number (``st_dev`` of ``os.stat``).
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
        pass  # not Linux
    return None
