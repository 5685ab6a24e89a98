"""Drivers that die at a chosen point: from then on, nothing that they ask for ever happens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydatatask_core import FileRepository, LocalLinuxManager, YamlMetadataFileRepository
from pydatatask_core.proc_manager.local_runs import LocalRuns

if TYPE_CHECKING:
    from pathlib import Path


class Freezer:
    """Counts the points at which something is written or read, and lets nobody past one of them.

    :param at: the number of the point, from 1 on; 0 for none.
    """

    def __init__(self, at: int = 0) -> None:
        self.at = at
        self.passed: list[str] = []
        self.frozen = asyncio.Event()
        self._over = False

    async def pass_by(self, name: str) -> None:
        """Come by a point."""
        if not self.frozen.is_set():
            self.passed.append(name)
            if len(self.passed) != self.at:
                return
            self.frozen.set()
        if not self._over:
            await asyncio.Event().wait()
        raise Frozen

    def end(self) -> None:
        """Let whoever still waits end with an error."""
        self._over = True


class Frozen(BaseException):
    """Ends what is frozen when the test is over."""


def _through(name: str) -> Any:
    """Make a method that comes by a point before and after the one that it overrides."""

    async def method(self: Any, *args: Any, **options: Any) -> Any:
        kind = type(self).__name__
        await self.freezer.pass_by(f"before {kind} {name}")
        result = await getattr(type(self).__base__, name)(self, *args, **options)
        await self.freezer.pass_by(f"after {kind} {name}")
        return result

    return method


class FreezingMetadata(YamlMetadataFileRepository):
    freezer: Freezer
    dump = _through("dump")
    delete = _through("delete")
    info = _through("info")
    keys = _through("keys")


class FreezingBlobs(FileRepository):
    freezer: Freezer

    async def open(self, job: str, mode: Any = "r") -> Any:
        await self.freezer.pass_by(f"before open {mode}")
        stream = await super().open(job, mode)
        await self.freezer.pass_by(f"after open {mode}")
        close = stream.close

        async def freezing_close() -> None:
            await self.freezer.pass_by(f"before close {mode}")
            await close()
            await self.freezer.pass_by(f"after close {mode}")

        stream.close = freezing_close
        return stream


class FreezingRuns(LocalRuns):
    freezer: Freezer
    make = _through("make")
    start = _through("start")
    report = _through("report")
    stop = _through("stop")
    remove = _through("remove")
    keep = _through("keep")
    found = _through("found")
    remember = _through("remember")


class FreezingManager(LocalLinuxManager):
    """A local manager whose runs come by the points of a freezer."""

    def __init__(self, app: str, path: Path, freezer: Freezer) -> None:
        super().__init__(app, path)
        self._freezing = FreezingRuns(self)
        self._freezing.freezer = freezer

    @property
    def runs(self) -> FreezingRuns:
        return self._freezing
