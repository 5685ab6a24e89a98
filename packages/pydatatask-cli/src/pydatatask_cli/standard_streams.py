"""Standard streams that are closed, as daemons and some init systems leave them."""

from __future__ import annotations

import os
import sys

__all__ = ["open_standard_streams"]

_STANDARD_FDS = 3


def open_standard_streams() -> None:
    """Open a null file in place of each standard stream that is closed.

    Otherwise the next file that this process opens would become a standard stream.
    """
    fd = os.open(os.devnull, os.O_RDWR)
    while fd < _STANDARD_FDS:
        os.set_inheritable(fd, True)
        fd = os.open(os.devnull, os.O_RDWR)
    os.close(fd)
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
