"""How the tests of the pipeline wait."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

FAR = 3600.0
"""A poll interval that no test lives to see."""


async def settled() -> None:
    """Let everything go on that waits for nothing."""
    for _ in range(100):
        await asyncio.sleep(0)


async def a_while() -> None:
    """Give what should not happen the time to happen."""
    await asyncio.sleep(0.05)


async def cancelled(run: asyncio.Task[Any]) -> None:
    """Cancel a run and wait for its end."""
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
