"""Reading regular files, and nothing that only looks like one."""

from __future__ import annotations

import os
import stat
import sys

from .listing import EntryKind, entry_exists

__all__ = ["open_regular", "read_regular", "read_up_to"]

_BLOCK_BYTES = 4 * 1024 * 1024


def open_regular(path: str, kind: EntryKind = EntryKind.FILE) -> tuple[int, int]:
    """Open a regular file for reading, and give its descriptor and its size.

    :param path: the file.
    :param kind: tells whether a link to a file is followed.
    :raises FileNotFoundError: if something else is there, or nothing.
    :raises OSError: ``ELOOP``, if a link is there that is not followed.
    """
    # O_NONBLOCK, since opening a pipe waits for whoever writes to it.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(path, flags if kind.follows else flags | os.O_NOFOLLOW)
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise FileNotFoundError(f"{path!r} is no regular file")
    return fd, status.st_size


def read_up_to(fd: int, size: int) -> bytes:
    """Read as many bytes; fewer are the last of the file."""
    blocks = []
    # A file system in user space may give less than there is; only nothing is the end.
    while size > 0 and (block := os.read(fd, min(size, _BLOCK_BYTES))):
        size -= len(block)
        blocks.append(block)
    return b"".join(blocks)


def read_regular(
    path: str, limit: int = sys.maxsize, kind: EntryKind = EntryKind.FILE
) -> bytes | None:
    """Read a whole file; None if there is no regular file, and nothing else keeps us from it.

    :param path: the file.
    :param limit: how many bytes to read at most.
    :param kind: tells whether a link to a file is followed.
    """
    while True:
        try:
            fd, size = open_regular(path, kind)
            break
        except FileNotFoundError:
            if not entry_exists(path, kind):
                return None  # else it was published between the two looks
        except OSError:
            if entry_exists(path, kind):
                raise
            return None
    try:
        # Asking for one byte more than there is finds the end without a buffer for megabytes.
        data = read_up_to(fd, min(size + 1, limit))
        return data if len(data) <= size else data + read_up_to(fd, limit - len(data))
    finally:
        os.close(fd)
