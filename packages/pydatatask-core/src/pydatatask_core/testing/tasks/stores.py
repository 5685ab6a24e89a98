"""Repositories whose driver can die, or whose store can fail, at any change."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from pydatatask_core.repository import FileRepository, YamlMetadataFileRepository

__all__ = ["Death", "DiedError", "DyingFiles", "DyingMetadata"]


class DiedError(BaseException):
    """Raised to callers of a driver that has died."""


class Death:
    """The death of a driver at a change of a store: from then on it changes nothing.

    :param at: the number of the point, counted from 1, at which it dies; 0 for never. There is one
        point before and one after each change.
    """

    def __init__(self, at: int = 0) -> None:
        self.at = at
        self.points: list[str] = []
        self.died = asyncio.Event()
        self._over = False

    async def point(self, name: str) -> None:
        """Pass a point, or never return from it.

        :param name: the name of the point.
        """
        if not self.died.is_set():
            self.points.append(name)
            if len(self.points) != self.at:
                return
            self.died.set()
        if not self._over:
            await asyncio.Event().wait()
        raise DiedError(name)

    def bury(self) -> None:
        """Raise an error to all later callers, so that the dead driver can be closed."""
        self.died.set()
        self._over = True


class DyingMetadata(YamlMetadataFileRepository):
    """A metadata repository in files, which refuses the first :attr:`refusals` changes.

    :param folder: the folder.
    :param death: the death of its driver.
    """

    MAX_JOB_ID_LENGTH = 40

    def __init__(self, folder: Any, death: Death) -> None:
        super().__init__(folder)
        self.death = death
        self.refusals = 0
        """The number of changes that the store still refuses."""

    async def _change(self, name: str, job: str, *arguments: Any) -> None:
        await self.death.point(f"before {name} of {self!r}")
        if self.refusals > 0:
            self.refusals -= 1
            raise OSError(f"the store refuses to {name} job {job!r}")
        await getattr(super(), name)(job, *arguments)
        await self.death.point(f"after {name} of {self!r}")

    async def dump(self, job: str, data: Any) -> None:
        await self._change("dump", job, data)

    async def delete(self, job: str) -> None:
        await self._change("delete", job)


class DyingFiles(FileRepository):
    """A blob repository in files.

    :param folder: the folder.
    :param death: the death of its driver.
    """

    def __init__(self, folder: Any, death: Death) -> None:
        super().__init__(folder)
        self.death = death

    async def open(self, job: str, mode: Literal["r", "rb", "w", "wb"] = "r") -> Any:
        stream: Any = await super().open(job, mode)
        if mode in ("w", "wb"):
            close = stream.close

            async def dying_close() -> None:
                await self.death.point(f"before close of {self!r}")
                await close()
                await self.death.point(f"after close of {self!r}")

            stream.close = dying_close
        return stream
