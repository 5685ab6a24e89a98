"""``completion``: print the completion script of a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from pydatatask_cli import output
from pydatatask_cli.command import Command
from pydatatask_cli.errors import CommandLineError

__all__ = ["command"]

PROGRAM = "pydatatask"
VARIABLE = "_PYDATATASK_COMPLETE"


@click.command("completion", cls=Command, examples=("completion bash",))
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the shell script for command completion of the program `pydatatask`.

    It completes commands, tasks, links and jobs of the pipeline given by -p or
    PYDATATASK_PIPELINE. In bash and zsh: eval "$(pydatatask completion bash)" (or zsh); in fish:
    pydatatask completion fish | source.
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise CommandLineError(f"completion is not available for {shell}")
    output.print_line(kind(ctx.find_root().command, {}, PROGRAM, VARIABLE).source())
