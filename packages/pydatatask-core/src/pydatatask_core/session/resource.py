"""One resource of a session."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from pydatatask_core.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

__all__ = ["SessionResource"]

T = TypeVar("T")
_ABSENT: Any = object()
_EXPECTED = (
    "an async generator function without parameters that yields the live object exactly once"
)


class ResourceNotOpenError(SessionError):
    """A resource was called while it is not live; ``resource`` identifies it for the session."""

    def __init__(self, resource: SessionResource[Any], reason: str) -> None:
        super().__init__(f"resource {resource.__name__!r} is not open: {reason}")
        self.resource = resource

    def __reduce__(self) -> tuple[Any, ...]:
        # The resource cannot leave its process; another process gets the message alone.
        return SessionError, (str(self),)


class SessionResource(Generic[T]):
    """The callable with which ``Session.resource`` replaces a function; it returns the live object.

    Any asyncio task of the event loop that opened the session may call it. The live object belongs
    to that loop: other threads and processes must not use it.

    :param manager: the async generator function that was registered.
    :param why_not: called when the resource is requested but not live; returns the reason.
    :raises SessionError: if the manager is not such a function.
    """

    def __init__(
        self,
        manager: Callable[[], AsyncIterator[T]],
        why_not: Callable[[SessionResource[Any]], str],
    ) -> None:
        self.__name__ = _name(manager)
        self.__qualname__ = getattr(manager, "__qualname__", self.__name__)
        self.__module__ = getattr(manager, "__module__", __name__)
        self.__doc__ = getattr(manager, "__doc__", None)
        self._manager = _check_manager(manager)
        self._not_open_reason = why_not
        self._generator: AsyncGenerator[T, None] | None = None
        self._value: T = _ABSENT

    def __call__(self) -> T:
        value = self._value
        if value is _ABSENT:
            raise ResourceNotOpenError(self, self._not_open_reason(self))
        return value

    async def enter(self) -> None:
        """Create the resource; called only by its session, in the same task as ``leave``."""
        generator = self._manager()
        try:
            value = await anext(generator)
        except StopAsyncIteration:
            raise SessionError(f"it ended without a yield, but should be {_EXPECTED}") from None
        self._generator, self._value = generator, value

    async def leave(self) -> None:
        """Tear the resource down; called only by its session."""
        generator = self._generator
        self._generator, self._value = None, _ABSENT
        if generator is None:
            return
        try:
            await anext(generator)
        except StopAsyncIteration:
            return
        try:
            raise SessionError(f"it yields more than once, but should be {_EXPECTED}")
        finally:
            await generator.aclose()

    def reset(self) -> None:
        """Discard the state left by a dead event loop; called only by its session."""
        self._generator, self._value = None, _ABSENT

    def __repr__(self) -> str:
        state = "not open" if self._value is _ABSENT else "open"
        return f"<session resource {self.__qualname__!r}, {state}>"

    # Copying a function returns the function itself, and this object stands for a function.
    def __copy__(self) -> SessionResource[T]:
        return self

    def __deepcopy__(self, memo: object) -> SessionResource[T]:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"resource {self.__name__!r} of a session is live in one process and cannot be sent to "
            "another: create a separate resource in the other process"
        )


def _name(manager: object) -> str:
    while isinstance(manager, partial):
        manager = manager.func
    name = getattr(manager, "__name__", None)
    return name if isinstance(name, str) else type(manager).__name__


def _check_manager(
    manager: Callable[[], AsyncIterator[T]],
) -> Callable[[], AsyncGenerator[T, None]]:
    """Raise if the manager cannot be a resource, with a hint at common mistakes."""
    name = _name(manager)
    if not _is_async_generator_function(manager):
        raise SessionError(f"resource {name!r} should be {_EXPECTED}, {_describe_manager(manager)}")
    required = [
        parameter.name
        for parameter in inspect.signature(manager).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if required:
        raise SessionError(
            f"resource {name!r} should be {_EXPECTED}, but needs {', '.join(map(repr, required))}: "
            "bind them with functools.partial, or add defaults"
        )
    return manager  # type: ignore[return-value] # async generator functions return generators


def _is_async_generator_function(candidate: object) -> bool:
    return inspect.isasyncgenfunction(candidate) or (
        not isinstance(candidate, type)
        and inspect.isasyncgenfunction(getattr(candidate, "__call__", None))  # noqa: B004
    )


def _describe_manager(manager: object) -> str:
    if isinstance(manager, SessionResource):
        return "but is already the resource of a session"
    if _is_async_generator_function(getattr(manager, "__wrapped__", None)):
        return "but is wrapped by a decorator: remove @asynccontextmanager"
    for predicate, hint in (
        (inspect.iscoroutinefunction, "a coroutine function: yield the object, do not return it"),
        (inspect.isgeneratorfunction, "a synchronous generator function: write `async def`"),
        (inspect.isasyncgen, "a running generator: register the function, without calling it"),
        (callable, "not a generator function: write `async def`, and yield the object"),
    ):
        if predicate(manager):
            return f"but is {hint}"
    return f"but is of type {type(manager).__name__}"
