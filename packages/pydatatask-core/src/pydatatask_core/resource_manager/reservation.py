"""A part of a quota, reserved while a job is launched."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import timedelta
    from types import TracebackType

    from .manager import ResourceManager
    from .resources import Resources, ResourceType

__all__ = ["Reservation"]


class Reservation:
    """The async context manager of ``ResourceManager.reservation``; it can be used once.

    :param manager: the manager of the quota.
    :param request: the resources to reserve.
    :param window: time span for which the launches count, if they expire by themselves.
    """

    __slots__ = ("manager", "opened_at", "owner_task", "refused", "request", "window")

    def __init__(
        self, manager: ResourceManager, request: Resources, window: timedelta | None
    ) -> None:
        self.manager = manager
        self.request = request
        self.window = window
        self.opened_at = 0.0
        self.refused: ResourceType | None = None
        self.owner_task: asyncio.Task[Any] | None = None

    async def __aenter__(self) -> ResourceType | None:
        self.refused = await self.manager.reserve(self.request)
        if self.refused is None:
            self.owner_task = asyncio.current_task()
            self.manager.reservation_opened(self)
        return self.refused

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.refused is None:
            self.manager.reservation_closed(self, failed=exc is not None)
