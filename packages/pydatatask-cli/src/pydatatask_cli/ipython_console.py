"""An IPython console with the pipeline open."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from . import output
from .console_namespace import BANNER, console_namespace

if TYPE_CHECKING:
    from pydatatask_core.pipeline import Pipeline

__all__ = ["run_console"]


def run_console(pipeline: Pipeline) -> None:
    """Open the pipeline, run IPython until it exits, and close the pipeline.

    The pipeline is opened in the event loop in which IPython runs the prompt, so that tasks go on
    while the prompt waits for input.

    :param pipeline: the pipeline.
    """
    helpers = import_module("IPython.core.async_helpers")  # IPython has no types
    embed = import_module("IPython.terminal.embed")
    loop = helpers.get_asyncio_loop()
    loop.run_until_complete(pipeline.open("one"))
    try:
        console = embed.InteractiveShellEmbed(banner1="")
        console.confirm_exit = False
        output.print_line(BANNER)
        console.enable_gui("asyncio")
        console.mainloop(local_ns=console_namespace(pipeline))
    finally:
        loop.run_until_complete(pipeline.close())
