"""Running a pipeline to its end, ours or one of the published 0.4.7."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pydatatask

__all__ = ["run_to_the_end"]


def run_to_the_end(pipeline: pydatatask.Pipeline) -> None:
    """Open a pipeline and run it until there is nothing more to do."""
    asyncio.run(_run(pipeline))


async def _run(pipeline: pydatatask.Pipeline) -> None:
    async with pipeline:
        if hasattr(pipeline, "run"):
            await pipeline.run()
        else:  # 0.4.7: the function behind its command, which waits a second after each round
            from pydatatask.main import run

            await run(pipeline, False, False, None)
