"""``shell``: run Python with the pipeline open."""

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
    """Open a pipeline, and run an interactive Python console with it.

    IPython is used if it is installed, otherwise the console of the standard library. In both,
    ``await`` works at the prompt and tasks run in the background. Input from a pipe or a file is
    run without a prompt, up to the first error. Call it outside of any event loop.

    :param pipeline: the pipeline, not opened.
    :raises ExitStatus: if a statement from a pipe or file failed.
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

    `pipeline` is the open pipeline; each task whose name is a Python identifier is a variable.
    `await` works at the prompt, as in `await pipeline.update()` or `await
    count.links["done"].repo.keys()`. It is IPython if that is installed (pip install
    pydatatask[shell]). Statements from a pipe run without a prompt; values of expressions are
    printed, and the first error ends the command.
    """
    shell(app.pipeline)
