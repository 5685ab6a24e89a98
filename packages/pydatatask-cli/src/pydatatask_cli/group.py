"""The group of all commands, each of which is imported when it is used."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from .app import App
from .commands import COMMANDS
from .error_boundary import ClosedPipe, is_closed_pipe, run_guarded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydatatask_core.pipeline import Pipeline

__all__ = ["PipelineGroup", "make_group"]

_HELP = "Run, inspect and repair a pipeline. See COMMAND --help for details and examples."


class PipelineGroup(click.Group):
    """The commands of a pipeline; calling it runs the command in ``sys.argv``.

    Commands of your own are added as to any click group, and receive the :class:`App`::

        group = pydatatask_cli.make_group(pipeline)


        @group.command()
        @pydatatask_cli.pass_app
        def count(app):
            print(len(app.pipeline.tasks))


        group()

    :param app: holds the pipeline.
    """

    def __init__(self, app: App, **options: Any) -> None:
        super().__init__(**options)
        self.app = app

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return our commands in the order of the documentation, then those that were added."""
        return [*COMMANDS, *sorted(self.commands.keys() - COMMANDS.keys())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; import it if it is one of ours."""
        added = self.commands.get(cmd_name)
        if added is not None:
            return added
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(f".commands.{entry.module}", __package__)
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command, or fail with a suggestion."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            from .lookup import suggest

            known = suggest(name, self.list_commands(ctx), "command")
            ctx.fail(f"there is no command {name!r}; {known}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        rows = [(name, entry.help) for name, entry in COMMANDS.items()]
        added = self.list_commands(ctx)[len(COMMANDS) :]
        rows += [(name, self.commands[name].get_short_help_str(60)) for name in added]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (OSError, BaseExceptionGroup) as e:
            if is_closed_pipe(e):
                raise ClosedPipe from e
            raise

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command and end the program with its exit status.

        :param standalone_mode: whether to end the program; if false, exceptions propagate, as in
            click.
        """

        def run() -> Any:
            return super(PipelineGroup, self).main(
                args, prog_name, complete_var, standalone_mode=False, **extra
            )

        if not standalone_mode:
            return run()
        sys.exit(run_guarded(run, lambda: self.app.debug))

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        self.main(*args, **kwargs)
        raise SystemExit(0)


def make_group(pipeline: Pipeline | None = None) -> PipelineGroup:
    """Create the group of all commands, to which more can be added.

    :param pipeline: the pipeline; by default the one that the user names with ``-p``.
    """
    app = App(pipeline)

    @click.pass_context
    def begin(ctx: click.Context, debug: bool, pipeline: str | None = None) -> None:
        from .log_setup import configure_logging

        app.debug = debug
        app.source = pipeline
        configure_logging("DEBUG" if debug else "WARNING")

    group = PipelineGroup(
        app,
        callback=begin,
        help=_HELP,
        context_settings={
            "help_option_names": ["-h", "--help"],
            "obj": app,
            "max_content_width": 100,
        },
        no_args_is_help=True,
    )
    if pipeline is None:
        group.params.append(
            click.Option(
                ["-p", "--pipeline"],
                metavar="PIPELINE",
                envvar="PYDATATASK_PIPELINE",
                help="The pipeline: main.py, main.py:NAME or package.module:NAME. "
                "[env: PYDATATASK_PIPELINE]",
            )
        )
    group.params.append(
        click.Option(["--debug"], is_flag=True, help="Show tracebacks and all log messages.")
    )
    return group
