"""Calls of functions that the user gave, for one job each."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import JobFunctionError, MalformedValueError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["call_for_job", "function_name"]


async def call_for_job(job: str, function: str, call: Callable[..., Any], *args: Any) -> Any:
    """Call a function of the user for a job; what it raises concerns that job alone.

    :param job: the job.
    :param function: what the function is and its name, for the error.
    :param call: the function, sync or async.
    :param args: its arguments.
    :raises JobFunctionError: if it raised anything.
    :raises MalformedValueError: if it found a value that does not parse.
    :raises StoreError: if a store could not be read, which says nothing about the job.
    """
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    try:
        result = call(*args)
        return await result if inspect.isawaitable(result) else result
    except (KeyboardInterrupt, GeneratorExit, MalformedValueError, StoreError):
        raise
    except BaseException as e:
        cancelled = task is not None and task.cancelling() > before
        if isinstance(e, asyncio.CancelledError) and cancelled:
            raise
        raise JobFunctionError(job, function, e) from e


def function_name(function: Callable[..., Any]) -> str:
    """Return the name of a function for a message, with the line where it is defined."""
    name = getattr(function, "__qualname__", None) or repr(function)
    code = getattr(inspect.unwrap(function), "__code__", None)
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"
