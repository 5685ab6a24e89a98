"""Cleaning up after objects that were dropped instead of ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os

from .removal import remove_any

__all__ = ["drop", "end"]

log = logging.getLogger("pydatatask.repository")


def end(path: str | None, fd: int) -> None:
    """Remove a temporary entry, if there is one, and then let go of its lock."""
    try:
        if path is not None:
            remove_any(path)
    finally:
        if fd >= 0:
            os.close(fd)


def drop(path: str | None, fd: int) -> None:
    """Do so from a finaliser: beside the event loop if this is its thread, and without raising."""
    if path is None and fd < 0:
        return
    with contextlib.suppress(RuntimeError):  # no running loop, or it is closing its threads
        asyncio.get_running_loop().run_in_executor(None, _end_quietly, path, fd)
        return
    _end_quietly(path, fd)


def _end_quietly(path: str | None, fd: int) -> None:
    try:
        end(path, fd)
    except OSError as e:
        log.warning("could not remove the unfinished %s: %s", path, e)
