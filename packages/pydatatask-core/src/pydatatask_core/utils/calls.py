"""Coroutines of ours that a caller created, so that none is forgotten unawaited."""

from __future__ import annotations

import functools
import inspect
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["CallObserver", "current_observer", "mark_coroutine_function", "observed"]

F = TypeVar("F", bound="Callable[..., Any]")


class CallObserver(Protocol):
    """Observes the calls of our coroutine functions that are made in a context."""

    def called(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Note a coroutine that a call has created; nothing of it has run yet."""


current_observer: ContextVar[CallObserver | None] = ContextVar("current_observer", default=None)
"""The observer of the calls that are made in this context, if there is one."""


def observed(function: F) -> F:
    """Wrap a coroutine function so that the current observer learns of each call.

    The result still is a coroutine function for ``inspect``, and gives real coroutines.

    :param function: the coroutine function.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        coroutine = function(*args, **kwargs)
        observer = current_observer.get()
        if observer is not None:
            observer.called(coroutine)
        return coroutine

    return mark_coroutine_function(call)  # type: ignore[return-value]


def mark_coroutine_function(function: F) -> F:
    """Mark a function that returns coroutines as a coroutine function for ``inspect``.

    :param function: the function, which is changed.
    """
    if sys.version_info >= (3, 12):
        return inspect.markcoroutinefunction(function)
    # Python 3.11 has no such mark: it looks at this flag of the code, which only functions that
    # create a generator or a coroutine themselves ever act on.
    code = function.__code__
    function.__code__ = code.replace(co_flags=code.co_flags | inspect.CO_COROUTINE)
    return function
