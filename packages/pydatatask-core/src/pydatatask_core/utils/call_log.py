"""A log of the coroutines that callers create, to find those that are never awaited."""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from types import CoroutineType

__all__ = [
    "CallLog",
    "current_log",
    "is_coroutine_function",
    "mark_coroutine_function",
    "observe_methods",
    "observed",
    "self_reporting",
]

F = TypeVar("F", bound=Callable[..., Any])


_NO_WRAPPERS: Mapping[str, Callable[..., Any]] = MappingProxyType({})

MAX_RECORDED_CALLS = 64
"""Number of recorded calls above which a log discards those that have ended."""


class CallLog:
    """The calls of our coroutine functions within a context.

    Set it as the value of :data:`current_log`.
    """

    max_calls = MAX_RECORDED_CALLS
    """Number of recorded calls above which those that have ended are discarded."""

    def __init__(self) -> None:
        self.calls: list[CoroutineType[Any, Any, Any]] = []
        """The coroutines that calls have created; some of them may have ended."""

    def forget_ended(self) -> None:
        """Discard the calls that have ended."""
        # In one step, because a function in a thread makes calls through the driver's thread.
        call_count = len(self.calls)
        self.calls[:call_count] = [
            call for call in self.calls[:call_count] if call.cr_frame is not None
        ]
        self.max_calls = max(MAX_RECORDED_CALLS, 2 * len(self.calls))

    def unfinished(self) -> list[CoroutineType[Any, Any, Any]]:
        """Return the coroutines that calls have created and that have not ended."""
        return [call for call in self.calls if call.cr_frame is not None]


current_log: ContextVar[CallLog | None] = ContextVar("current_log", default=None)
"""The log of the calls in this context, or None."""


def self_reporting(method: F) -> F:
    """Declare that a method reports its failures itself, without a wrapper of ``observe_methods``.

    :param method: the method.
    """
    method._reports_itself = True  # type: ignore[attr-defined]
    return method


def observed(function: F, run: Callable[..., Any] | None = None) -> F:
    """Wrap a coroutine function so that each call is recorded in the log of the caller's context.

    The result is still a coroutine function for :func:`is_coroutine_function`, and returns real
    coroutines.

    :param function: the coroutine function.
    :param run: a coroutine function that is called if there is a log, with ``function`` and the
        arguments; by default ``function`` itself is called.
    """
    get_log = current_log.get
    name = function.__qualname__

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        log = get_log()
        if log is None:
            return function(*args, **kwargs)
        if run is None:
            coroutine = function(*args, **kwargs)
        else:
            coroutine = run(function, *args, **kwargs)
            coroutine.__qualname__ = name
        log.calls.append(coroutine)
        if len(log.calls) > log.max_calls:
            log.forget_ended()
        return coroutine

    return mark_coroutine_function(cast("F", call))


def observe_methods(cls: type, wrappers: Mapping[str, Callable[..., Any]] = _NO_WRAPPERS) -> None:
    """Wrap the public coroutine methods that a class defines with :func:`observed`.

    :param cls: the class.
    :param wrappers: for names of methods, the ``run`` parameter of :func:`observed`.
    """
    for name, function in list(vars(cls).items()):
        if name.startswith("_") or not inspect.isfunction(function):
            continue
        if is_coroutine_function(function) and not hasattr(function, "_is_observed"):
            run = None if hasattr(function, "_reports_itself") else wrappers.get(name)
            wrapper: Any = observed(function, run)
            wrapper._is_observed = True
            setattr(cls, name, wrapper)


if sys.version_info >= (3, 12):
    is_coroutine_function = inspect.iscoroutinefunction
    mark_coroutine_function = inspect.markcoroutinefunction
else:
    is_coroutine_function = asyncio.iscoroutinefunction

    def mark_coroutine_function(func: F) -> F:
        """Mark a function that returns coroutines for ``asyncio.iscoroutinefunction``."""
        func._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]
        return func
