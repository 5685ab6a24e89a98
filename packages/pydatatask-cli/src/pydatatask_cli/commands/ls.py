"""``ls``: list the jobs of repositories."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from pydatatask_cli import output
from pydatatask_cli.app import App, pass_app
from pydatatask_cli.command import Command
from pydatatask_cli.expression import parse
from pydatatask_cli.lookup import find_data, link_names
from pydatatask_cli.shell_completion import complete_data

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydatatask_core.pipeline import Pipeline

__all__ = ["command", "list_data", "select_jobs"]


async def select_jobs(pipeline: Pipeline, data: Sequence[str]) -> list[str]:
    """Return the jobs of an expression, sorted.

    :param pipeline: an open pipeline.
    :param data: the words of the expression, which may be split at any space.
    :raises ExpressionError: if it does not parse, or uses a name that does not exist.
    """
    from pydatatask_core.repository.snapshot import Snapshot

    expression = parse(_joined(data), link_names(pipeline))
    names = list(dict.fromkeys(expression.names()))
    snapshot = Snapshot()
    found = await asyncio.gather(*(snapshot.keys(find_data(pipeline, n).repo) for n in names))
    return sorted(expression.evaluate(dict(zip(names, found, strict=True)).__getitem__))


def _joined(data: Sequence[str]) -> str:
    return " ".join(" ".join(data).split())


async def list_data(pipeline: Pipeline, data: Sequence[str], *, as_json: bool = False) -> None:
    """Print the jobs of an expression over repositories, sorted, one per line.

    :param pipeline: an open pipeline.
    :param data: the words of the expression.
    :param as_json: whether to print JSON instead.
    :raises ExpressionError: if it does not parse, or uses a name that does not exist.
    """
    jobs = await select_jobs(pipeline, data)
    if as_json:
        output.print_json({"jobs": jobs})
    else:
        for job in jobs:
            output.print_line(job)


@click.command(
    "ls",
    cls=Command,
    examples=(
        "ls count.done",
        "ls count.texts - count.done",
        "ls '(a.out | b.out) & c.done'",
    ),
    context_settings={"ignore_unknown_options": True},
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("data", nargs=-1, required=True, metavar="EXPR...", shell_complete=complete_data)
@pass_app
def command(app: App, as_json: bool, data: tuple[str, ...]) -> None:
    """List the jobs of repositories, or of an expression of them.

    An expression consists of names `TASK.LINK`, the operators & (in both), | (in either), - (in
    the first only), ^ (in one only) and parentheses; - binds most tightly, then &, ^ and |. In a
    shell, & | ( ) need quotes. One job per line, sorted.

    With --json: {"jobs": [JOB]}.
    """
    pipeline = app.pipeline
    names = parse(_joined(data), link_names(pipeline)).names()
    app.run(lambda opened: list_data(opened, data, as_json=as_json), "read", data=names)
