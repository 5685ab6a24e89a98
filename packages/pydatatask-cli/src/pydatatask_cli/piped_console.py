"""The shell for statements from a pipe: no banner, no prompt, an exit status."""

from __future__ import annotations

import ast
import asyncio
import inspect
import sys
import traceback
from types import FunctionType
from typing import TYPE_CHECKING, Any

from . import output
from .console_namespace import console_namespace
from .errors import ExitStatus

if TYPE_CHECKING:
    from pydatatask_core.pipeline import Pipeline

__all__ = ["run_console"]

SOURCE = "<stdin>"


async def _run(pipeline: Pipeline, text: str) -> None:
    await pipeline.open("one")
    try:
        variables = console_namespace(pipeline)
        try:
            for statement in ast.parse(text, SOURCE).body:
                await _execute(statement, variables)
        except Exception as e:  # noqa: BLE001 - shown, as in every console
            trace = e.__traceback__
            while trace is not None and trace.tb_frame.f_code.co_filename != SOURCE:
                trace = trace.tb_next
            told = traceback.format_exception(e.with_traceback(trace))
            output.print_info("".join(told).removesuffix("\n"))
            raise ExitStatus(1) from None
    finally:
        await pipeline.close()


async def _execute(statement: ast.stmt, variables: dict[str, Any]) -> None:
    """Run a statement; print the value of an expression, as at a prompt."""
    code = compile(
        ast.Interactive([statement]), SOURCE, "single", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    )
    result = FunctionType(code, variables)()
    if inspect.iscoroutine(result):
        await result


def run_console(pipeline: Pipeline) -> None:
    """Open the pipeline, run the statements from standard input, and close the pipeline.

    :param pipeline: the pipeline.
    :raises ExitStatus: if a statement fails, after its traceback was printed.
    """
    asyncio.run(_run(pipeline, sys.stdin.read()))
