"""Reading of regular files, and of no other kind of entry."""

from __future__ import annotations

import os
import stat
import sys

from .listing import EntryKind, entry_exists

__all__ = ["open_regular", "read_regular", "read_up_to"]

_BLOCK_BYTES = 4 * 1024 * 1024


def open_regular(path: str, kind: EntryKind = EntryKind.FILE) -> tuple[int, int]:
    """Open a regular file for reading, and return its descriptor and its size in bytes.

    :param path: the file.
    :param kind: the kind, which determines whether a link to a file is followed.
    :raises FileNotFoundError: if there is no regular file.
    :raises OSError: ``ELOOP``, if there is a link and links are not followed.
    """
    # O_NONBLOCK, because opening a pipe would otherwise wait for a writer.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(path, flags if kind.follows else flags | os.O_NOFOLLOW)
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise FileNotFoundError(f"{path!r} is not a regular file")
    return fd, status.st_size


def read_up_to(fd: int, size: int) -> bytes:
    """Read ``size`` bytes, or fewer at the end of the file."""
    blocks = []
    # A file system in user space may return fewer bytes; only an empty result marks the end.
    while size > 0 and (block := os.read(fd, min(size, _BLOCK_BYTES))):
        size -= len(block)
        blocks.append(block)
    return b"".join(blocks)


def read_regular(
    path: str, limit: int = sys.maxsize, kind: EntryKind = EntryKind.FILE
) -> bytes | None:
    """Read a whole file; return None if there is no regular file.

    :param path: the file.
    :param limit: the maximum number of bytes to read.
    :param kind: the kind, which determines whether a link to a file is followed.
    """
    while True:
        try:
            fd, size = open_regular(path, kind)
            break
        except FileNotFoundError:
            if not entry_exists(path, kind):
                return None  # otherwise it was published between the two calls
        except OSError:
            if entry_exists(path, kind):
                raise
            return None
    try:
        # Requesting one byte more than the size finds the end without a buffer of megabytes.
        data = read_up_to(fd, min(size + 1, limit))
        return data if len(data) <= size else data + read_up_to(fd, limit - len(data))
    finally:
        os.close(fd)
