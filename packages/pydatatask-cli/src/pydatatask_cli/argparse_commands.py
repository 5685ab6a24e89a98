"""Commands that a script adds with argparse."""

from __future__ import annotations

import argparse
import inspect
import sys
from typing import TYPE_CHECKING, Any

import click

from .app import App, pass_app
from .errors import CommandLineError, ExitStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from .group import PipelineGroup

__all__ = ["add_commands"]


def add_commands(group: PipelineGroup, instrument: Callable[[Any], None]) -> None:
    """Call a function that adds argparse parsers, and add a command for each parser.

    :param group: the group to add the commands to.
    :param instrument: called with a sub-parsers action of argparse.
    """
    parser = argparse.ArgumentParser(prog=sys.argv[0])
    action = parser.add_subparsers()
    instrument(action)
    helps = {choice.dest: choice.help for choice in action._choices_actions}
    for name, added in action.choices.items():
        group.add_command(_command(name, added, helps.get(name)))


def _command(name: str, parser: argparse.ArgumentParser, short: str | None) -> click.Command:
    @pass_app
    def run(app: App, arguments: tuple[str, ...]) -> None:
        try:
            arguments_by_name = vars(parser.parse_args(list(arguments)))
        except SystemExit as e:
            raise ExitStatus(e.code if isinstance(e.code, int) else 2) from e
        func = arguments_by_name.pop("func", None)
        if func is None:
            raise CommandLineError(f"parser {name!r} has no action; add set_defaults(func=...)")
        if inspect.iscoroutinefunction(func):
            app.run(lambda pipeline: func(pipeline, **arguments_by_name), "one")
        else:
            func(app.pipeline, **arguments_by_name)

    return click.Command(
        name,
        callback=run,
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
        add_help_option=False,
        help=parser.description or short,
        short_help=short or parser.description,
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    )
