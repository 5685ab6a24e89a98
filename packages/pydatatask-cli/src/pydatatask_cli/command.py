"""The base class of the commands, whose help ends with examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Command"]


class Command(click.Command):
    """A click command with examples.

    :param examples: command lines without the program's name.
    """

    def __init__(self, *args: Any, examples: Iterable[str] = (), **options: Any) -> None:
        super().__init__(*args, **options)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples with the name of the program in use."""
        if self.examples:
            program = ctx.command_path.rpartition(" ")[0]
            with formatter.section("Examples"):
                for example in self.examples:
                    piped = example.startswith("echo ")
                    before, pipe, rest = example.rpartition(" | ") if piped else ("", "", example)
                    formatter.write(f"  {before}{pipe}{program} {rest}\n")
        super().format_epilog(ctx, formatter)
