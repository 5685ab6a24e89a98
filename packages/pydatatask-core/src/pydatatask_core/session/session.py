"""The session, which opens and closes resources together."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from pydatatask_core.errors import SessionError, describe
from pydatatask_core.utils import OwnerTask, being_cancelled

from .failures import closing_error, combine_errors
from .resource import ResourceNotOpenError, SessionResource

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
    from types import TracebackType
    from typing import Self

__all__ = ["Session"]

T = TypeVar("T")
_NOT_OPEN_REASONS = {
    "closed": "open its session first, with `async with session:` or by opening its pipeline",
    "opening": "its session opens resources in the order of registration, and has not reached this "
    "one yet; register it before the resources that use it",
    "open": "its session was opened without it; name it in open(only=...)",
    "closing": "its session is closing, in reverse order",
}


class Session:
    """The session class. See the module's documentation for usage information.

    Resources open in the order of registration, and close in reverse order. One dedicated asyncio
    task enters and leaves all of them.
    """

    def __init__(self) -> None:
        self._resources: list[SessionResource[Any]] = []
        self._owner: OwnerTask[None] | None = None
        self._phase = "closed"

    @property
    def resources(self) -> tuple[SessionResource[Any], ...]:
        """The registered resources, in the order of registration."""
        return tuple(self._resources)

    @property
    def is_open(self) -> bool:
        """True while all requested resources are live."""
        return self._phase == "open" and self._active_owner() is not None

    def resource(self, manager: Callable[[], AsyncIterator[T]]) -> Callable[[], T]:
        """Decorate the manager of a resource.

        The manager may call resources that are registered before it.

        :param manager: an async function that will yield exactly one object, the live resource,
            and then tear that resource down.
        :return: a callable that returns the live resource while the session is open.
        :raises SessionError: if the manager is not such a function, or the session is open.
        """
        resource = SessionResource(manager, self._not_open_reason)
        if self._active_owner() is not None:
            raise SessionError(
                f"resource {resource.__name__!r} cannot be added while the session is "
                f"{self._phase}; register it before opening or after closing"
            )
        self._resources.append(resource)
        return resource

    async def open(self, *, only: Collection[Callable[[], Any]] | None = None) -> None:
        """Open the session, initializing all the resources.

        This is automatically called when entering an ``async with session:`` block. If a resource
        fails, or the call is cancelled, the resources that are open already are closed again.

        :param only: the resources to open; resources that these call while opening are opened as
            well, so their managers may be started twice. All resources by default.
        :raises SessionError: if a resource fails (the message names it), if the session is already
            open, or if an item of ``only`` is not a resource of this session.
        """
        if self._active_owner() is not None:
            raise SessionError(
                f"the session is already {self._phase}; close it before opening it again"
            )
        for resource in self._resources:
            resource.reset()
        owner = OwnerTask(
            self._open_resources(self._select_resources(only)), name="pydatatask session"
        )
        self._owner = owner
        self._phase = "opening"
        await owner.enter()

    async def close(self) -> None:
        """Close the session, tearing down all the resources.

        This is automatically called when exiting an ``async with session:`` block. Does nothing
        if the session is not open. All resources are closed, even if some of them fail.

        :raises SessionError: if resources failed; the message names all of them.
        """
        owner = self._owner
        if owner is None:
            return
        try:
            await owner.exit()
        finally:
            if owner.ended and self._owner is owner:
                self._owner = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        names = ", ".join(resource.__name__ for resource in self._resources)
        phase = "closed" if self._active_owner() is None else self._phase
        return f"<Session of {names or 'nothing'}, {phase}>"

    def _active_owner(self) -> OwnerTask[None] | None:
        return None if self._owner is None or self._owner.ended else self._owner

    def _select_resources(
        self, only: Collection[Callable[[], Any]] | None
    ) -> list[SessionResource[Any]]:
        if only is None:
            return list(self._resources)
        known = {id(resource) for resource in self._resources}
        for candidate in only:
            if id(candidate) not in known:
                names = ", ".join(repr(resource.__name__) for resource in self._resources)
                raise SessionError(
                    f"{candidate!r} is not a resource of this session, which has {names or 'none'}"
                )
        wanted = {id(candidate) for candidate in only}
        return [resource for resource in self._resources if id(resource) in wanted]

    @asynccontextmanager
    async def _open_resources(
        self, wanted: list[SessionResource[Any]]
    ) -> AsyncGenerator[None, None]:
        """Keep resources open; runs in the owner task."""
        entered: list[SessionResource[Any]] = []
        try:
            for resource in wanted:
                await self._open_resource(resource, entered)
            self._phase = "open"
            yield
        except BaseException as error:  # noqa: BLE001 - raised, alone or combined with others
            raise combine_errors(error, await self._close_resources(entered))  # noqa: B904 - has its cause
        closing = await self._close_resources(entered)
        if closing is not None:
            raise closing

    async def _open_resource(
        self, resource: SessionResource[Any], entered: list[SessionResource[Any]]
    ) -> None:
        """Create a resource, after those that it turns out to depend on."""
        while resource not in entered:
            try:
                await resource.enter()
                entered.append(resource)
            except ResourceNotOpenError as error:
                if (
                    not self._is_registered_before(error.resource, resource)
                    or error.resource in entered
                ):
                    raise _opening_error(resource, error) from error
                await self._open_resource(error.resource, entered)
            except asyncio.CancelledError as error:
                if being_cancelled():
                    raise
                raise _opening_error(resource, error) from error
            except Exception as error:
                raise _opening_error(resource, error) from error

    async def _close_resources(self, entered: list[SessionResource[Any]]) -> BaseException | None:
        """Tear down all resources in reverse order, even if some fail; return the error."""
        self._phase = "closing"
        failures: list[tuple[SessionResource[Any], BaseException]] = []
        for resource in reversed(entered):
            try:
                await resource.leave()
            except BaseException as error:  # noqa: BLE001 - raised after all have been closed
                failures.append((resource, error))
        self._phase = "closed"
        return closing_error(failures)

    def _is_registered_before(self, one: SessionResource[Any], other: SessionResource[Any]) -> bool:
        return one in self._resources[: self._resources.index(other)]

    def _not_open_reason(self, resource: SessionResource[Any]) -> str:
        return _NOT_OPEN_REASONS["closed" if self._active_owner() is None else self._phase]


def _opening_error(resource: SessionResource[Any], error: BaseException) -> SessionError:
    return SessionError(f"resource {resource.__name__!r} could not be opened: {describe(error)}")
