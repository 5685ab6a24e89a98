"""Functions with which the tests of the pipeline wait."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

FAR = 3600.0
"""A poll interval in seconds that no test reaches."""


async def settled() -> None:
    """Run the event loop until all tasks that can proceed have done so."""
    for _ in range(100):
        await asyncio.sleep(0)


async def a_while() -> None:
    """Sleep long enough for an unwanted event to happen."""
    await asyncio.sleep(0.05)


async def cancelled(run: asyncio.Task[Any]) -> None:
    """Cancel a run and wait for its end."""
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
