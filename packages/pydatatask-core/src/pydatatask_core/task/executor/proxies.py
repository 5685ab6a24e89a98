"""Proxies for objects of the driver's event loop, for functions in other threads."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, NoReturn

from pydatatask_core.repository.base import Repository
from pydatatask_core.repository.blob import BlobRepository, check_mode
from pydatatask_core.utils import AAbortable, AReadText, AtomicWriter, AWriteText
from pydatatask_core.utils.call_log import is_coroutine_function, observed
from pydatatask_core.utils.contexts import AsyncWithOnly

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Callable,
        Generator,
        Iterable,
        Iterator,
    )
    from collections.abc import Set as AbstractSet

    from .portal import LoopPortal

__all__ = ["LoopProxy", "RepositoryProxy", "make_proxy"]

MAX_LISTED_JOBS = 1000
"""The maximum number of jobs of a listing that are transferred at once."""

TEXT_CHUNK_BYTES = 256 * 1024
"""The number of bytes of a text that are transferred at once."""

_END: Any = object()
_ASYNC = ("__aenter__", "__anext__", "__aiter__", "__await__")


def make_proxy(portal: LoopPortal, value: Any) -> Any:
    """Return a proxy for an object that has to be awaited in another loop, else the object itself.

    :param portal: the portal to that loop.
    :param value: any object.
    """
    if isinstance(value, LoopProxy):
        return value
    if isinstance(value, Repository):
        return RepositoryProxy(portal, value)
    if any(hasattr(type(value), name) for name in _ASYNC):
        return LoopProxy(portal, value)
    return value


class LoopProxy(AsyncWithOnly):
    """A proxy for an object of another event loop, which runs async methods in that loop.

    ``isinstance`` gives the same results as for the object. Methods that are not async run in the
    calling thread.

    :param portal: the portal to that loop.
    :param target: the object.
    """

    def __init__(self, portal: LoopPortal, target: Any) -> None:
        self._portal = portal
        self._target = target

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """The class of the object, for ``isinstance``."""
        target = self.__dict__.get("_target")
        return LoopProxy if target is None else target.__class__

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the object; async methods are wrapped to run in its loop."""
        target = self.__dict__.get("_target")
        if target is None or name.startswith("__"):
            raise AttributeError(name)
        value = getattr(target, name)
        return self._method(value) if inspect.isroutine(value) else self._wrap(value)

    def _method(self, method: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.isasyncgenfunction(method):

            @functools.wraps(method)
            def generate(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
                return _iterate(self._portal, lambda: method(*args, **kwargs), 1)

            return generate
        if is_coroutine_function(method):

            @observed
            @functools.wraps(method)
            async def call(*args: Any, **kwargs: Any) -> Any:
                return await self._run_in_loop(method, *args, **kwargs)

            return call

        @functools.wraps(method)
        def call_now(*args: Any, **kwargs: Any) -> Any:
            return make_proxy(self._portal, method(*args, **kwargs))

        return call_now

    def _wrap(self, value: Any) -> Any:
        return self if value is self._target else make_proxy(self._portal, value)

    async def _run_in_loop(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self._wrap(await self._portal.run(lambda: method(*args, **kwargs)))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._target)  # in the calling thread, like other methods that are not async

    async def __aenter__(self) -> Any:
        return await self._run_in_loop(type(self._target).__aenter__, self._target)

    async def __aexit__(self, *exc: object) -> Any:
        return await self._run_in_loop(type(self._target).__aexit__, self._target, *exc)

    def __aiter__(self) -> AsyncIterator[Any]:
        return _iterate(self._portal, lambda: self._target, 1)

    async def __anext__(self) -> Any:
        return await self._run_in_loop(type(self._target).__anext__, self._target)

    def __await__(self) -> Generator[Any, None, Any]:
        async def awaited() -> Any:
            return await self._target

        return self._run_in_loop(awaited).__await__()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} belongs to one thread and cannot be pickled")

    def __repr__(self) -> str:
        return repr(self.__dict__.get("_target"))


class WriterProxy(AtomicWriter[bytes], LoopProxy):  # type: ignore[misc] # one `__aexit__` of two
    """A proxy for a stream opened for writing, which fails to close if a write was not awaited.

    :param stream: a proxy for the stream.
    """

    def __init__(self, stream: LoopProxy) -> None:
        LoopProxy.__init__(self, stream._portal, stream._target)

    async def _write(self, data: bytes) -> None:
        await self._run_in_loop(self._target.write, data)

    async def _publish(self) -> None:
        await self._run_in_loop(self._target.close)

    async def _discard(self) -> None:
        if isinstance(self._target, AAbortable):
            await self._run_in_loop(self._target.abort)
        elif self._ended != "closed":
            await self._run_in_loop(self._target.close)

    def __repr__(self) -> str:
        return repr(self._target)


class RepositoryProxy(LoopProxy, Repository):
    """A proxy for a repository; views of it use the other loop, too."""

    _target: Repository

    def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        return _iterate(self._portal, self._target.unfiltered_iter, MAX_LISTED_JOBS)

    def __aiter__(self) -> AsyncIterator[str]:
        return _iterate(self._portal, lambda: self._target, MAX_LISTED_JOBS)

    async def contains(self, item: str) -> bool:
        return bool(await self._run_in_loop(self._target.contains, item))

    async def keys(self) -> AbstractSet[str]:
        result: AbstractSet[str] = await self._run_in_loop(self._target.keys)
        return result

    async def info(self, job: str) -> Any:
        return await self._run_in_loop(self._target.info, job)

    async def info_all(self) -> dict[str, Any]:
        return dict(await self._run_in_loop(self._target.info_all))

    async def info_many(self, jobs: Iterable[str]) -> dict[str, Any]:
        return dict(await self._run_in_loop(self._target.info_many, list(jobs)))

    async def delete(self, job: str) -> None:
        await self._run_in_loop(self._target.delete, job)

    async def validate(self) -> None:
        await self._run_in_loop(self._target.validate)

    def is_valid_job_id(self, job: str) -> bool:  # type: ignore[override] # a class has no target
        return self._target.is_valid_job_id(job)

    def check_job_id(self, job: str) -> None:
        self._target.check_job_id(job)

    def valid_names(self, names: Iterable[str]) -> list[str]:
        return self._target.valid_names(names)

    @property
    def identity(self) -> str | None:
        return self._target.identity

    def __getattr__(self, name: str) -> Any:
        target = self.__dict__.get("_target")
        if name == "open" and isinstance(target, BlobRepository):
            return self._open
        return super().__getattr__(name)

    async def _open(self, job: str, mode: str = "r") -> Any:
        """Open a blob; text, which is always UTF-8, is decoded in this thread, in large chunks."""
        check_mode(mode)
        target: Any = self._target
        stream = await self._run_in_loop(target.open, job, mode.removesuffix("b") + "b")
        if mode == "r":
            return AReadText(stream, chunksize=TEXT_CHUNK_BYTES)
        if mode == "w":
            return AWriteText(stream)
        return WriterProxy(stream) if mode == "wb" and isinstance(stream, LoopProxy) else stream

    _open.__qualname__ = "RepositoryProxy.open"
    _open = observed(_open)


async def _iterate(
    portal: LoopPortal, iterable: Callable[[], Any], size: int
) -> AsyncGenerator[Any, None]:
    """Iterate over an object of the other loop.

    :param portal: the portal to that loop.
    :param iterable: a function that returns the object; it is called in that loop.
    :param size: the number of items to transfer at once; with more than one, items are held back
        until there are so many.
    """

    async def begin() -> Any:
        return aiter(iterable())

    async def take() -> list[Any]:
        items: list[Any] = []
        while len(items) < size:
            item = await anext(iterator, _END)
            items.append(item)
            if item is _END:
                break
        return items

    async def close() -> None:
        if hasattr(iterator, "aclose"):
            await iterator.aclose()

    iterator = await portal.run(begin)
    try:
        while True:
            for item in await portal.run(take):
                if item is _END:
                    return
                yield make_proxy(portal, item)
    finally:
        await portal.run(close)
