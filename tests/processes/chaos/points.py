"""Repositories and a process manager that call a hook before and after each operation.

A hook need not return, so that a driver can hang or die at any chosen point.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from pydatatask_core import FileRepository, LocalLinuxManager, YamlMetadataFileRepository
from pydatatask_core.proc_manager.local.backend import LocalBackend

if TYPE_CHECKING:
    from pathlib import Path


class Passage(Protocol):
    """The interface of the hook."""

    async def pass_by(self, name: str) -> None:
        """Handle a point before or after an operation.

        :param name: the name of the point.
        """


def _through(name: str) -> Any:
    """Return an override that calls the hook before and after the base method."""

    async def method(self: Any, *args: Any, **options: Any) -> Any:
        kind = type(self).__name__.removeprefix("Watched")
        await self.passage.pass_by(f"before {kind} {name}")
        result = await getattr(type(self).__base__, name)(self, *args, **options)
        await self.passage.pass_by(f"after {kind} {name}")
        return result

    return method


class WatchedMetadata(YamlMetadataFileRepository):
    """A metadata repository that calls the hook."""

    passage: Passage
    dump = _through("dump")
    delete = _through("delete")
    info = _through("info")
    keys = _through("keys")


class WatchedBlobs(FileRepository):
    """A blob repository that calls the hook, also when a stream is closed."""

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
    """Return a subclass of a process backend that calls the hook.

    :param kind: the class of the backend.
    """
    names = (
        *("create", "start", "inspect", "terminate", "remove", "list_directories", "save_note"),
        *("archive", "list_archives", "remove_archive", "read_tail"),
    )
    return type(f"Watched{kind.__name__}", (kind,), {name: _through(name) for name in names})


class WatchedManager(LocalLinuxManager):
    """A local process manager whose backend calls the hook."""

    def __init__(self, app: str, path: Path, passage: Passage) -> None:
        super().__init__(app, path)
        self._watched = watched_backend(LocalBackend)(self)
        self._watched.passage = passage

    @property
    def backend(self) -> Any:
        return self._watched
