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
    """A resource was called while it is not live; it tells the session which one."""

    def __init__(self, resource: SessionResource[Any], reason: str) -> None:
        super().__init__(f"resource {resource.__name__!r} is not open: {reason}")
        self.resource = resource

    def __reduce__(self) -> tuple[Any, ...]:
        # The resource stays in its process; the sentence is all that another can use.
        return SessionError, (str(self),)


class SessionResource(Generic[T]):
    """What ``Session.resource`` leaves in place of a function: calling it gives the live object.

    It may be called by any task of the event loop that opened the session. What it gives belongs
    to that loop: a thread, or another process, has no business with it.

    :param manager: the async generator function that was registered.
    :param why_not: says why the resource is not live when it is called and is not.
    :raises SessionError: if the manager is no such function.
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
        """Make the resource; for its session alone, in one task with ``leave``."""
        generator = self._manager()
        try:
            value = await anext(generator)
        except StopAsyncIteration:
            raise SessionError(f"it ended without a yield, and should be {_EXPECTED}") from None
        self._generator, self._value = generator, value

    async def leave(self) -> None:
        """Tear the resource down; for its session alone."""
        generator = self._generator
        self._generator, self._value = None, _ABSENT
        if generator is None:
            return
        try:
            await anext(generator)
        except StopAsyncIteration:
            return
        try:
            raise SessionError(f"it yields more than once, and should be {_EXPECTED}")
        finally:
            await generator.aclose()

    def reset(self) -> None:
        """Drop what an event loop that has died left behind; for its session alone."""
        self._generator, self._value = None, _ABSENT

    def __repr__(self) -> str:
        state = "not open" if self._value is _ABSENT else "open"
        return f"<session resource {self.__qualname__!r}, {state}>"

    # A function is copied by sharing it, and this stands for one.
    def __copy__(self) -> SessionResource[T]:
        return self

    def __deepcopy__(self, memo: object) -> SessionResource[T]:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"resource {self.__name__!r} of a session is live in one process and cannot travel to "
            "another: give the other process what it takes to make a resource of its own"
        )


def _name(manager: object) -> str:
    while isinstance(manager, partial):
        manager = manager.func
    name = getattr(manager, "__name__", None)
    return name if isinstance(name, str) else type(manager).__name__


def _check_manager(
    manager: Callable[[], AsyncIterator[T]],
) -> Callable[[], AsyncGenerator[T, None]]:
    """Refuse what can never be a resource, with a hint at the mistakes that people make."""
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
            "bind them with functools.partial, or give them defaults"
        )
    return manager  # type: ignore[return-value] # async generator functions make generators


def _is_async_generator_function(candidate: object) -> bool:
    return inspect.isasyncgenfunction(candidate) or (
        not isinstance(candidate, type)
        and inspect.isasyncgenfunction(getattr(candidate, "__call__", None))  # noqa: B004
    )


def _describe_manager(manager: object) -> str:
    if isinstance(manager, SessionResource):
        return "but is the resource of a session already"
    if _is_async_generator_function(getattr(manager, "__wrapped__", None)):
        return "but a decorator made something else of it: take @asynccontextmanager away"
    for predicate, hint in (
        (inspect.iscoroutinefunction, "a coroutine function: let it yield, not return, the object"),
        (inspect.isgeneratorfunction, "a synchronous generator function: write `async def`"),
        (inspect.isasyncgen, "a running generator: register the function, without calling it"),
        (callable, "no generator function: write `async def`, and let it yield the object"),
    ):
        if predicate(manager):
            return f"but is {hint}"
    return f"but is of type {type(manager).__name__}"
