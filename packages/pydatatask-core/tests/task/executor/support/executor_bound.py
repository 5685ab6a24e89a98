"""A repository that works in one event loop only."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pydatatask_core import InProcessMetadataRepository
from pydatatask_core.errors import JobNotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Bound(InProcessMetadataRepository):
    """A repository that, like a client of a server, works only in one event loop."""

    def __init__(self) -> None:
        super().__init__()
        self.home = asyncio.get_running_loop()
        self.entered: list[str] = []
        self.waiting = threading.Event()

    def _check(self) -> None:
        assert asyncio.get_running_loop() is self.home

    async def info(self, job: str) -> Any:
        self._check()
        return await super().info(job)

    async def dump(self, job: str, data: Any) -> None:
        self._check()
        await super().dump(job, data)

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        self._check()
        async for job in super().unfiltered_iter():
            await asyncio.sleep(0)
            yield job

    async def names(self) -> AsyncGenerator[str, None]:
        self._check()
        try:
            for job in self.data:
                yield job
        finally:
            self.entered.append("closed")

    @asynccontextmanager
    async def lease(self, job: str) -> AsyncGenerator[str, None]:
        self._check()
        self.entered.append("entered")
        try:
            yield job.upper()
        finally:
            self._check()
            self.entered.append("left")

    async def other(self) -> Bound:
        return self

    async def wait(self) -> None:
        """Wait forever, with a slow reaction to cancellation."""
        self._check()
        try:
            self.waiting.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.entered.append("cancelled")

    def plain(self, number: int) -> int:
        return number + 1

    async def broken(self) -> None:
        raise JobNotFoundError("x", self)
