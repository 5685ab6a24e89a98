"""``shell``: Python with the pipeline open."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from pydatatask_cli.app import App, pass_app
from pydatatask_cli.command import Command

if TYPE_CHECKING:
    from pydatatask_core.pipeline import Pipeline

__all__ = ["command", "shell"]


def shell(pipeline: Pipeline) -> None:
    """Open a pipeline, and let the user look into it from an interactive Python.

    IPython is used if it is installed, else the console of the standard library. In both, ``await``
    works at the prompt and tasks run in the background. What comes through a pipe or from a file is
    run without a prompt, up to the first error. To be called outside of any event loop.

    :param pipeline: the pipeline, not opened.
    :raises ExitStatus: if what came through a pipe has failed.
    """
    if not sys.stdin.isatty():
        from pydatatask_cli.piped_console import run_console

        run_console(pipeline)
        return
    try:
        import IPython  # noqa: F401
    except ImportError:
        from pydatatask_cli.plain_console import run_console

        run_console(pipeline)
        return
    from pydatatask_cli.ipython_console import run_console

    run_console(pipeline)


@click.command("shell", cls=Command, examples=("shell",))
@pass_app
def command(app: App) -> None:
    """Launch an interactive shell to interrogate the pipeline.

    `pipeline` is the open pipeline, and each task has its name where that is one of Python. `await`
    works at the prompt, as in `await pipeline.update()` or `await count.links["done"].repo.keys()`.
    With IPython installed (pip install pydatatask[shell]) it is IPython. From a pipe it takes the
    statements of a script, shows what they give, and ends at the first that fails.
    """
    shell(app.pipeline)
