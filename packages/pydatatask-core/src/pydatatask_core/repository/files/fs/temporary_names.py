"""Names that no listing shows: values that are being written, and trees on their way out.

A temporary entry stands beside its target, so that a rename within one folder publishes it, and
is called ``.<target>.<16 hexadecimal digits>.tmp``.
"""

from __future__ import annotations

import os
import re

__all__ = ["NAME_MAX", "PATH_MAX", "is_temporary", "lock_name", "target_name", "temporary_name"]

NAME_MAX = 255
"""The most bytes that a file name has on the file systems of Linux and macOS."""

PATH_MAX = 4095
"""The most bytes that a path has on Linux."""

_MAX_STEM_BYTES = NAME_MAX - len("..0123456789abcdef.tmp")
_PATTERN = re.compile(r"\.(.+)\.[0-9a-f]{16}\.tmp", re.DOTALL)


def temporary_name(target: str) -> str:
    """Make a name for a temporary entry beside the given one, cut to what a file system takes."""
    stem = os.fsdecode(os.fsencode(target)[:_MAX_STEM_BYTES])
    return f".{stem}.{os.urandom(8).hex()}.tmp"


def lock_name(digest: str) -> str:
    """Return the name of a lock file beside values, which no listing shows.

    :param digest: 16 hexadecimal digits that stand for what is locked.
    """
    return f".pydatatask-driver.{digest}.tmp"


def is_temporary(name: str) -> bool:
    """Determine whether the name is one that :func:`temporary_name` makes."""
    return _PATTERN.fullmatch(name) is not None


def target_name(name: str) -> tuple[str, bool] | None:
    """Give the target of a temporary entry and whether it was cut; None if it is no such name."""
    match = _PATTERN.fullmatch(name)
    return (match[1], len(os.fsencode(match[1])) == _MAX_STEM_BYTES) if match else None
