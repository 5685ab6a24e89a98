"""Cleanup for objects that are garbage collected before their end."""

from __future__ import annotations

import asyncio
import contextlib
import os

from .removal import discard

__all__ = ["discard_and_unlock", "finalize"]


def discard_and_unlock(path: str | None, fd: int) -> None:
    """Remove a temporary entry, if any, and then release its lock."""
    try:
        if path is not None:
            discard(path)
    finally:
        if fd >= 0:
            os.close(fd)


def finalize(path: str | None, fd: int) -> None:
    """Run ``discard_and_unlock`` from a finalizer, in a thread if an event loop is running.

    A finalizer may run anywhere, also while this thread holds the lock of the loop's executor, so
    the executor is not used before the loop continues.
    """
    if path is None and fd < 0:
        return
    with contextlib.suppress(RuntimeError):  # no running loop, or it is closed
        loop = asyncio.get_running_loop()
        loop.call_soon(_discard_in_thread, loop, path, fd)
        return
    discard_and_unlock(path, fd)


def _discard_in_thread(loop: asyncio.AbstractEventLoop, path: str | None, fd: int) -> None:
    try:
        loop.run_in_executor(None, discard_and_unlock, path, fd)
    except RuntimeError:  # the loop is closing its threads
        discard_and_unlock(path, fd)
