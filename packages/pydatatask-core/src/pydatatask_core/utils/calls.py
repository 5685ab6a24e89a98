"""Coroutines of ours that a caller created, so that none is forgotten unawaited."""

from __future__ import annotations

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
    "coroutine_function",
    "current_log",
    "observe_methods",
    "observed",
    "reporting",
]

F = TypeVar("F", bound=Callable[..., Any])


_NO_RUNS: Mapping[str, Callable[..., Any]] = MappingProxyType({})

MAX_NOTED_CALLS = 64
"""How many calls a log notes before it forgets those that have ended."""


class CallLog:
    """The calls of our coroutine functions that are made in a context.

    Make it the value of :data:`current_log`.
    """

    limit = MAX_NOTED_CALLS
    """How many calls are noted before those that have ended are forgotten."""

    def __init__(self) -> None:
        self.calls: list[CoroutineType[Any, Any, Any]] = []
        """The coroutines that calls have created, also some that have ended."""

    def forget_ended(self) -> None:
        """Forget the calls that have ended."""
        # In one step, because a function in a thread has calls made in the driver's thread.
        number = len(self.calls)
        self.calls[:number] = [call for call in self.calls[:number] if call.cr_frame is not None]
        self.limit = max(MAX_NOTED_CALLS, 2 * len(self.calls))

    def unfinished(self) -> list[CoroutineType[Any, Any, Any]]:
        """List the coroutines that calls have created and that have not ended."""
        return [call for call in self.calls if call.cr_frame is not None]


current_log: ContextVar[CallLog | None] = ContextVar("current_log", default=None)
"""The log of the calls that are made in this context, if there is one."""


def reporting(method: F) -> F:
    """Declare that a method needs no ``run`` of :func:`observe_methods`: it does that itself.

    :param method: the method.
    """
    method._reports = True  # type: ignore[attr-defined]
    return method


def observed(function: F, run: Callable[..., Any] | None = None) -> F:
    """Wrap a coroutine function so that the log of its caller's context learns of each call.

    The result still is a coroutine function for ``inspect``, and returns real coroutines.

    :param function: the coroutine function.
    :param run: a coroutine function that is called where there is a log, with ``function`` and
        the arguments; by default ``function`` itself is called.
    """
    name = function.__qualname__

    def observe(log: CallLog, coroutine: CoroutineType[Any, Any, Any]) -> Any:
        if run is not None:
            coroutine.__qualname__ = name
        log.calls.append(coroutine)
        if len(log.calls) > log.limit:
            log.forget_ended()
        return coroutine

    call = _wrapper_factory(*_parameters(function), run is not None)(
        function, run, observe, current_log.get
    )
    call.__defaults__ = function.__defaults__
    call.__kwdefaults__ = function.__kwdefaults__
    functools.update_wrapper(call, function)
    return coroutine_function(cast("F", call))


def observe_methods(cls: type, runs: Mapping[str, Callable[..., Any]] = _NO_RUNS) -> None:
    """Wrap the public coroutine methods that a class defines by :func:`observed`.

    :param cls: the class.
    :param runs: what runs the methods of some names where there is a log.
    """
    for name, function in list(vars(cls).items()):
        if name.startswith("_") or not inspect.isfunction(function):
            continue
        if inspect.iscoroutinefunction(function) and not hasattr(function, "_is_observed"):
            run = None if hasattr(function, "_reports") else runs.get(name)
            wrapper: Any = observed(function, run)
            wrapper._is_observed = True
            setattr(cls, name, wrapper)


def _parameters(function: Any) -> tuple[str, str]:
    """Return the parameters of a function, and the arguments that pass them on, as source."""
    code = function.__code__
    names = list(code.co_varnames)
    plain, keywords = names[: code.co_argcount], names[code.co_argcount :]
    keywords = keywords[: code.co_kwonlyargcount]
    rest = names[len(plain) + len(keywords) :]
    parameters, arguments = list(plain), list(plain)
    if code.co_posonlyargcount:
        parameters.insert(code.co_posonlyargcount, "/")
    if code.co_flags & inspect.CO_VARARGS:
        name = rest.pop(0)
        parameters.append(f"*{name}")
        arguments.append(f"*{name}")
    elif keywords:
        parameters.append("*")
    parameters += keywords
    arguments += [f"{name}={name}" for name in keywords]
    if code.co_flags & inspect.CO_VARKEYWORDS:
        name = rest.pop(0)
        parameters.append(f"**{name}")
        arguments.append(f"**{name}")
    return ", ".join(parameters), ", ".join(arguments)


@functools.cache
def _wrapper_factory(parameters: str, arguments: str, has_run: bool) -> Callable[..., Any]:
    """Compile a wrapper for functions with these parameters.

    One that takes ``*args, **kwargs`` instead costs ten times as much for each call.
    """
    inside = f"_run_(_function_, {arguments})" if has_run else f"_function_({arguments})"
    source = f"""
def factory(_function_, _run_, _observe_, _get_log_):
    def call({parameters}):
        _log_ = _get_log_()
        if _log_ is None:
            return _function_({arguments})
        return _observe_(_log_, {inside})
    return call
"""
    namespace: dict[str, Any] = {}
    exec(compile(source, "<wrapper of a coroutine function>", "exec"), namespace)
    factory: Callable[..., Any] = namespace["factory"]
    return factory


def coroutine_function(function: F) -> F:
    """Mark a function that returns coroutines as a coroutine function for ``inspect``.

    :param function: the function, which is changed.
    """
    if sys.version_info >= (3, 12):
        return inspect.markcoroutinefunction(function)
    # Python 3.11 has no such mark: it looks at this flag of the code, on which only functions act
    # that create a generator or a coroutine themselves.
    code = function.__code__
    function.__code__ = code.replace(co_flags=code.co_flags | inspect.CO_COROUTINE)
    return function
