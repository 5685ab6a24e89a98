"""Stores and a process manager that tell somebody before and after everything that they do.

What is told may never return: so a driver freezes, or dies, at any point that one likes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from pydatatask_core import FileRepository, LocalLinuxManager, YamlMetadataFileRepository
from pydatatask_core.proc_manager.local.backend import LocalBackend

if TYPE_CHECKING:
    from pathlib import Path


class Passage(Protocol):
    """Whom to tell."""

    async def pass_by(self, name: str) -> None:
        """Be told of a point.

        :param name: what happens there.
        """


def _through(name: str) -> Any:
    """Make a method that comes by a point before and after the one that it overrides."""

    async def method(self: Any, *args: Any, **options: Any) -> Any:
        kind = type(self).__name__.removeprefix("Watched")
        await self.passage.pass_by(f"before {kind} {name}")
        result = await getattr(type(self).__base__, name)(self, *args, **options)
        await self.passage.pass_by(f"after {kind} {name}")
        return result

    return method


class WatchedMetadata(YamlMetadataFileRepository):
    """A metadata repository that tells."""

    passage: Passage
    dump = _through("dump")
    delete = _through("delete")
    info = _through("info")
    keys = _through("keys")


class WatchedBlobs(FileRepository):
    """A blob repository that tells, also of the end of its streams."""

    passage: Passage

    async def open(self, job: str, mode: Any = "r") -> Any:
        await self.passage.pass_by(f"before Blobs open {mode}")
        stream = await super().open(job, mode)
        await self.passage.pass_by(f"after Blobs open {mode}")
        close = stream.close

        async def watched_close() -> None:
            await self.passage.pass_by(f"before Blobs close {mode}")
            await close()
            await self.passage.pass_by(f"after Blobs close {mode}")

        stream.close = watched_close
        return stream


def watched_backend(kind: type[Any]) -> type[Any]:
    """Make a class of runs that tell.

    :param kind: the class whose runs they are.
    """
    names = (
        *("create", "start", "inspect", "terminate", "remove", "list_directories", "save_note"),
        *("archive", "list_archives", "remove_archive", "read_tail"),
    )
    return type(f"Watched{kind.__name__}", (kind,), {name: _through(name) for name in names})


class WatchedManager(LocalLinuxManager):
    """A local manager whose runs tell."""

    def __init__(self, app: str, path: Path, passage: Passage) -> None:
        super().__init__(app, path)
        self._watched = watched_backend(LocalBackend)(self)
        self._watched.passage = passage

    @property
    def backend(self) -> Any:
        return self._watched
