"""``completion``: what a shell has to know to complete."""

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
    """Print the script that has a shell complete the console program `pydatatask`.

    It completes commands, tasks, links and job names of the pipeline that is given by -p or
    PYDATATASK_PIPELINE. In bash: eval "$(pydatatask completion bash)"; the same in zsh; in fish:
    pydatatask completion fish | source.
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise CommandLineError(f"there is no completion for {shell}")
    output.print_line(kind(ctx.find_root().command, {}, PROGRAM, VARIABLE).source())
