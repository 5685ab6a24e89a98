"""Asynchronous context managers with helpful errors when they are used as ordinary ones."""

from __future__ import annotations

import functools
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from types import TracebackType

__all__ = ["AsyncWithOnly", "async_context"]

P = ParamSpec("P")
T = TypeVar("T")


class AsyncWithOnly:
    """A mixin for asynchronous context managers: ``with`` raises an error with the remedy.

    The methods are hidden from type checkers, so these report ``with`` as well.
    """

    if not TYPE_CHECKING:

        def __enter__(self) -> None:
            raise TypeError(f"{self!r} is opened by `async with`, not by `with`")

        def __exit__(self, *exc: object) -> None:
            """Do nothing, because the block is never entered."""


class AsyncContext(AbstractAsyncContextManager[T, "bool | None"], AsyncWithOnly, Generic[T]):
    """The context manager returned by a function decorated with :func:`async_context`.

    :param name: the name of the function, for messages.
    :param manager: the context manager to delegate to.
    """

    def __init__(self, name: str, manager: AbstractAsyncContextManager[T, bool | None]) -> None:
        self._name = name
        self._manager = manager

    async def __aenter__(self) -> T:
        return await self._manager.__aenter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return await self._manager.__aexit__(exc_type, exc, traceback)

    def __repr__(self) -> str:
        return f"{self._name}(...)"

    if not TYPE_CHECKING:

        def __await__(self) -> Any:
            raise TypeError(f"{self!r} is not awaited; write `async with` without `await`")

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(name)
            raise AttributeError(
                f"{self!r} has no {name!r}; `async with {self!r} as ...` returns the object to use"
            )


def async_context(
    function: Callable[P, AsyncGenerator[T, None]],
) -> Callable[P, AbstractAsyncContextManager[T]]:
    """Decorate a function like ``asynccontextmanager``, with errors that name the remedy.

    :param function: an asynchronous generator function that yields once.
    """
    create = asynccontextmanager(function)

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> AbstractAsyncContextManager[T]:
        return AsyncContext(function.__name__, create(*args, **kwargs))

    return called
