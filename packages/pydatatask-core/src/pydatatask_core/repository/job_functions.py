"""Calls of user functions for single jobs."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import JobFunctionError, MalformedValueError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["call_for_job", "function_name"]


async def call_for_job(job: str, function: str, call: Callable[..., Any], *args: Any) -> Any:
    """Call a user's function for a job; an exception that it raises concerns only this job.

    :param job: the job.
    :param function: the kind of the function and its name, for the error.
    :param call: the function, sync or async.
    :param args: its arguments.
    :raises JobFunctionError: if it raised any other exception.
    :raises MalformedValueError: if it read a value that cannot be parsed.
    :raises StoreError: if a store could not be read, so the state of the job is unknown.
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
    """Return the name of a function for messages, with the line of its definition."""
    name = getattr(function, "__qualname__", None) or repr(function)
    code = getattr(inspect.unwrap(function), "__code__", None)
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"
