"""Complete run of a pipeline, for this version and the published 0.4.7."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pydatatask

__all__ = ["run_to_the_end"]


def run_to_the_end(pipeline: pydatatask.Pipeline) -> None:
    """Open a pipeline, and run it until no work remains."""
    asyncio.run(_run(pipeline))


async def _run(pipeline: pydatatask.Pipeline) -> None:
    async with pipeline:
        if hasattr(pipeline, "run"):
            await pipeline.run()
        else:  # 0.4.7: the function of its command line, which pauses for a second after each round
            from pydatatask.main import run

            await run(pipeline, False, False, None)
