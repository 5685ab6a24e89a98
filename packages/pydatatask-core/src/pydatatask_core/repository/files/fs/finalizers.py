"""Cleaning up after objects that were dropped instead of ended."""

from __future__ import annotations

import asyncio
import contextlib
import os

from .removal import discard

__all__ = ["discard_and_unlock", "finalize"]


def discard_and_unlock(path: str | None, fd: int) -> None:
    """Remove a temporary entry, if there is one, and then let go of its lock."""
    try:
        if path is not None:
            discard(path)
    finally:
        if fd >= 0:
            os.close(fd)


def finalize(path: str | None, fd: int) -> None:
    """Do so from a finaliser, beside the event loop if this is its thread."""
    if path is None and fd < 0:
        return
    with contextlib.suppress(RuntimeError):  # no running loop, or it is closing its threads
        asyncio.get_running_loop().run_in_executor(None, discard_and_unlock, path, fd)
        return
    discard_and_unlock(path, fd)
