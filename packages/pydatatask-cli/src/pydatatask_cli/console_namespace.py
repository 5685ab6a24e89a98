"""The initial variables of the interactive shell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydatatask_core.pipeline import Pipeline

__all__ = ["BANNER", "console_namespace"]

BANNER = "`pipeline` is open, and `await` works here."


def console_namespace(pipeline: Pipeline) -> dict[str, Any]:
    """Return the initial variables of a console.

    :param pipeline: the open pipeline.
    """
    import asyncio

    tasks = {name: task for name, task in pipeline.tasks.items() if name.isidentifier()}
    return {**tasks, "asyncio": asyncio, "pipeline": pipeline}
