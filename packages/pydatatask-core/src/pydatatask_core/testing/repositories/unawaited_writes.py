"""R3 for writes that were not awaited: their value is not published."""

from __future__ import annotations

import asyncio
import csv
import json
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.errors import NotAwaitedError, StreamClosedError
from pydatatask_core.testing.jobs import JOB
from pydatatask_core.utils.call_log import is_coroutine_function

from .hooks import RepositoryHooks
from .queries import assert_absent, jobs_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ForgottenWriteLaws"]


def forgets(stream: Any, data: Any) -> Any:
    """Call ``write`` and discard the result."""
    stream.write(data)


def keeps(stream: Any, data: Any) -> Any:
    """Call ``write`` and return the result without awaiting it."""
    return stream.write(data)


def begins(stream: Any, data: Any) -> Any:
    """Write in an asyncio task that is not awaited."""
    return asyncio.create_task(stream.write(data))


def prints(stream: Any, data: Any) -> Any:
    """Print to the stream."""
    print(data, file=stream)


def dumps_json(stream: Any, data: Any) -> Any:
    """Write to the stream with json."""
    json.dump({"data": str(data)}, stream)


def writes_csv(stream: Any, data: Any) -> Any:
    """Write to the stream with csv."""
    csv.writer(stream).writerow([data])


WAYS = pytest.mark.parametrize(
    "way",
    [forgets, keeps, begins, prints, dumps_json, writes_csv],
    ids=lambda way: way.__name__,
)
MODES = pytest.mark.parametrize("mode", ["w", "wb"])


def _data(mode: str, text: str = "part") -> Any:
    return text if mode == "w" else text.encode()


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Ignore Python's own warning about a coroutine that was never awaited."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


async def _end(kept: Any) -> None:
    """Finish or close the result of a write."""
    if isinstance(kept, asyncio.Task):
        with suppress(StreamClosedError):
            await kept
    elif kept is not None:
        kept.close()


class ForgottenWriteLaws(RepositoryHooks):
    """R3: close() publishes a value only if every write was awaited to its end."""

    @WAYS
    @MODES
    async def test_a_write_that_is_not_awaited_leaves_no_key(
        self, repo: Any, way: Any, mode: str
    ) -> None:
        """R3: close() raises, and the awaited writes are not published either."""
        stream = await repo.open(JOB, mode)
        await stream.write(_data(mode))
        with _no_warnings():
            kept = way(stream, _data(mode))
            with pytest.raises(NotAwaitedError, match="await"):
                await stream.close()
            await _end(kept)
        await assert_absent(repo, JOB)

    @WAYS
    @MODES
    async def test_a_write_that_is_not_awaited_leaves_the_old_value(
        self, repo: Any, way: Any, mode: str
    ) -> None:
        """R3: leaving ``async with`` raises."""
        async with await repo.open(JOB, "wb") as stream:
            await stream.write(b"old")
        with _no_warnings():
            with pytest.raises(NotAwaitedError, match="await"):
                async with await repo.open(JOB, mode) as stream:
                    kept = way(stream, _data(mode))
            await _end(kept)
        async with await repo.open(JOB, "rb") as stream:
            assert await stream.read() == b"old"
        assert await jobs_of(repo) == {JOB}

    @MODES
    async def test_writes_can_be_awaited_in_any_way(self, repo: Any, mode: str) -> None:
        """R3: with gather(), or as asyncio tasks that end before close()."""
        stream = await repo.open(JOB, mode)
        assert is_coroutine_function(stream.write)
        await asyncio.create_task(stream.write(_data(mode, "a")))
        await asyncio.gather(stream.write(_data(mode, "b")), asyncio.sleep(0))
        await asyncio.wait_for(stream.write(_data(mode, "c")), timeout=30)
        await stream.close()
        async with await repo.open(JOB, "rb") as stream:
            assert await stream.read() == b"abc"

    @MODES
    async def test_a_failed_write_is_not_published(self, repo: Any, mode: str) -> None:
        """R3: even if the writer continues as if nothing had happened."""
        stream = await repo.open(JOB, mode)
        await stream.write(_data(mode))
        with pytest.raises(TypeError):
            await stream.write(_data("wb" if mode == "w" else "w"))
        with pytest.raises(StreamClosedError):
            await stream.close()
        await assert_absent(repo, JOB)
