"""Cleanup of streams and directories that are garbage collected."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pydatatask_core.repository.files.fs.finalizers import finalize

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class CollectingExecutor(ThreadPoolExecutor):
    """An executor in whose ``submit`` an object is collected, while the executor is locked."""

    def __init__(self, collect: Callable[[], None]) -> None:
        super().__init__(1)
        self.collect: Callable[[], None] | None = collect
        self.lock = threading.Lock()

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        assert self.lock.acquire(blocking=False), "submit was entered again by a finalizer"
        try:
            collect, self.collect = self.collect, None
            if collect is not None:
                collect()
            return super().submit(function, *args, **kwargs)
        finally:
            self.lock.release()


async def test_a_finalizer_that_runs_while_the_executor_is_locked_does_not_wait_for_it(
    tmp_path: Path,
) -> None:
    temporary = tmp_path / "temporary"
    temporary.touch()
    executor = CollectingExecutor(lambda: finalize(str(temporary), -1))
    asyncio.get_running_loop().set_default_executor(executor)

    assert await asyncio.to_thread(lambda: 1) == 1
    while executor.collect is not None or await asyncio.to_thread(temporary.exists):
        pass


async def test_a_finalizer_cleans_up_although_the_loop_closes_its_threads(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.touch()
    await asyncio.to_thread(lambda: None)  # so that there is an executor to close

    async def main() -> None:
        await asyncio.to_thread(lambda: None)
        finalize(str(temporary), -1)

    await asyncio.to_thread(asyncio.run, main())
    assert not await asyncio.to_thread(temporary.exists)
