"""Proxies of repositories and their streams, for functions in threads.

Each async method runs in the event loop of the pipeline, to which the repository belongs.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, NoReturn

from pydatatask_core.repository.base import Repository
from pydatatask_core.repository.blob import BlobMode, BlobRepository, check_mode
from pydatatask_core.repository.metadata import MetadataRepository
from pydatatask_core.utils import AAbortable, AReadText, AtomicWriter, AWriteText
from pydatatask_core.utils.call_log import is_coroutine_function, observed, self_reporting
from pydatatask_core.utils.contexts import async_context
from pydatatask_core.utils.streams import ReadStream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from pydatatask_core.utils import AReadStream, AWriteStream

    from .portal import LoopPortal

__all__ = ["make_proxy"]

TEXT_CHUNK_BYTES = 256 * 1024
"""The number of bytes of a text that are transferred at once."""


def make_proxy(portal: LoopPortal, repo: Repository) -> RepositoryProxy:
    """Return a proxy for a repository that belongs to another event loop.

    :param portal: the portal to that loop.
    :param repo: the repository.
    """
    if isinstance(repo, BlobRepository):
        both = isinstance(repo, MetadataRepository)
        return (BlobMetadataProxy if both else BlobProxy)(portal, repo)
    return (MetadataProxy if isinstance(repo, MetadataRepository) else RepositoryProxy)(
        portal, repo
    )


class RepositoryProxy(Repository):
    """A proxy for a repository. Methods that are not async run in the calling thread.

    :param portal: the portal to the loop of the repository.
    :param target: the repository.
    """

    def __init__(self, portal: LoopPortal, target: Any) -> None:
        self._portal = portal
        self._target = target

    async def _run(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        result = await self._portal.run(lambda: method(*args, **kwargs))
        return make_proxy(self._portal, result) if isinstance(result, Repository) else result

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        for job in await self.keys():  # one call for all of them
            yield job

    def __aiter__(self) -> AsyncIterator[str]:
        return self.unfiltered_iter()

    async def contains(self, item: str) -> bool:
        return bool(await self._run(self._target.contains, item))

    async def keys(self) -> AbstractSet[str]:
        keys: AbstractSet[str] = await self._run(self._target.keys)
        return keys

    async def info(self, job: str) -> Any:
        return await self._run(self._target.info, job)

    async def info_all(self) -> dict[str, Any]:
        return dict(await self._run(self._target.info_all))

    async def info_many(self, jobs: Iterable[str]) -> dict[str, Any]:
        return dict(await self._run(self._target.info_many, list(jobs)))

    async def delete(self, job: str) -> None:
        await self._run(self._target.delete, job)

    async def validate(self) -> None:
        await self._run(self._target.validate)

    async def is_missing(self) -> bool:
        return bool(await self._run(self._target.is_missing))

    def is_valid_job_id(self, job: str) -> bool:  # type: ignore[override] # a class has no target
        return bool(self._target.is_valid_job_id(job))

    def check_job_id(self, job: str) -> None:
        self._target.check_job_id(job)

    def valid_names(self, names: Iterable[str]) -> list[str]:
        return list(self._target.valid_names(names))

    @property
    def identity(self) -> str | None:
        identity: str | None = self._target.identity
        return identity

    def __getattr__(self, name: str) -> Any:
        """Return another attribute of the repository; its async methods run in its loop."""
        if name.startswith("__") or name == "_target":
            raise AttributeError(name)
        value = getattr(self._target, name)
        if is_coroutine_function(value):

            @observed
            @functools.wraps(value)
            async def call(*args: Any, **kwargs: Any) -> Any:
                return await self._run(value, *args, **kwargs)

            return call
        if inspect.isasyncgenfunction(inspect.unwrap(value)):
            raise TypeError(
                f"{name} of {self!r} is an async generator or context manager, which a thread "
                "cannot use; write an `async def` method that returns its results"
            )
        return value

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} belongs to one thread and cannot be pickled")

    def __repr__(self) -> str:
        return repr(self._target)


class MetadataProxy(RepositoryProxy, MetadataRepository):
    """A proxy for a metadata repository."""

    @self_reporting  # the repository reports the publication
    async def dump(self, job: str, data: Any) -> None:
        await self._run(self._target.dump, job, data)


class BlobProxy(RepositoryProxy, BlobRepository):
    """A proxy for a blob repository."""

    @self_reporting  # as above
    async def open(self, job: str, mode: BlobMode = "r") -> Any:
        """Open a blob; text, which is always UTF-8, is decoded in this thread, in large chunks."""
        check_mode(mode)
        stream = await self._run(self._target.open, job, f"{mode[0]}b")
        if mode[0] == "r":
            reader = Reader(self._portal, stream)
            return AReadText(reader, chunksize=TEXT_CHUNK_BYTES) if mode == "r" else reader
        writer = Writer(self._portal, stream)
        return AWriteText(writer) if mode == "w" else writer

    @async_context
    async def local_file(self, job: str, mode: BlobMode = "r") -> AsyncGenerator[Path, None]:
        context = self._target.local_file(job, mode)
        path = await self._run(context.__aenter__)
        try:
            yield path
        except BaseException as e:
            if not await self._run(context.__aexit__, type(e), e, e.__traceback__):
                raise
        else:
            await self._run(context.__aexit__, None, None, None)

    def local_name(self, job: str) -> str:
        return str(self._target.local_name(job))


class BlobMetadataProxy(BlobProxy, MetadataProxy):
    """A proxy for a metadata repository whose values can be streamed."""


class Reader(ReadStream):
    """A proxy for a stream of bytes opened for reading."""

    def __init__(self, portal: LoopPortal, stream: AReadStream) -> None:
        self._portal = portal
        self._stream = stream

    async def read(self, n: int | None = None) -> bytes:
        return await self._portal.run(lambda: self._stream.read(n))

    async def close(self) -> None:
        await self._portal.run(self._stream.close)

    def __repr__(self) -> str:
        return repr(self._stream)


class Writer(AtomicWriter[bytes]):
    """A proxy for a stream of bytes opened for writing, which fails if a write is not awaited."""

    def __init__(self, portal: LoopPortal, stream: AWriteStream) -> None:
        self._portal = portal
        self._stream = stream

    async def _write(self, data: bytes) -> None:
        await self._portal.run(lambda: self._stream.write(data))

    async def _publish(self) -> None:
        await self._portal.run(self._stream.close)

    async def _discard(self) -> None:
        stream = self._stream
        await self._portal.run(stream.abort if isinstance(stream, AAbortable) else stream.close)

    def __repr__(self) -> str:
        return repr(self._stream)
