"""Names of hidden temporary entries: unfinished values, and directories that are being removed.

A temporary entry is next to its target, so that it can be published by a rename within one folder.
Its name is ``.<target>.<16 hexadecimal digits>.tmp``.
"""

from __future__ import annotations

import os
import re

__all__ = ["NAME_MAX", "PATH_MAX", "is_temporary", "lock_name", "target_name", "temporary_name"]

NAME_MAX = 255
"""The maximum length of a file name in bytes on the file systems of Linux and macOS."""

PATH_MAX = 4095
"""The maximum length of a path in bytes on Linux."""

_MAX_STEM_BYTES = NAME_MAX - len("..0123456789abcdef.tmp")
_PATTERN = re.compile(r"\.(.+)\.[0-9a-f]{16}\.tmp", re.DOTALL)


def temporary_name(target: str) -> str:
    """Return a new name for a temporary entry of a target, truncated to the maximum length."""
    stem = os.fsdecode(os.fsencode(target)[:_MAX_STEM_BYTES])
    return f".{stem}.{os.urandom(8).hex()}.tmp"


def lock_name(digest: str) -> str:
    """Return the name of a lock file next to the values, which listings ignore.

    :param digest: 16 hexadecimal digits that identify the locked resource.
    """
    return f".pydatatask-driver.{digest}.tmp"


def is_temporary(name: str) -> bool:
    """Return True if the name has the form of :func:`temporary_name`."""
    return _PATTERN.fullmatch(name) is not None


def target_name(name: str) -> tuple[str, bool] | None:
    """Return the target of a temporary entry, and True if it may be truncated; None if neither."""
    match = _PATTERN.fullmatch(name)
    return (match[1], len(os.fsencode(match[1])) == _MAX_STEM_BYTES) if match else None
