"""Python functions that run in the driver's own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any

from ..errors import TaskError
from ..repository.base import Repository
from ..repository.metadata import MetadataRepository
from .function import FunctionTask, FunctionTaskProtocol, failure
from .outcomes import Recorder
from .retry import Retries

__all__ = ["InProcessSyncTask"]


class InProcessSyncTask(FunctionTask):
    """A task which runs in-process. Typical usage might look like the following::

        @pydatatask.InProcessSyncTask("my_task", done_repo)
        async def my_task(job: str, inp: MetadataRepository, out: MetadataRepository):
            await out.dump(job, await inp.info(job))

        my_task.link("inp", repo_input, is_input=True)
        my_task.link("out", repo_output, is_output=True)

    What runs dies with the process, and is launched again by the next one.

    :param name: the name of this task.
    :param done: a metadata repository to store some information about a job's runtime and
        termination on completion: ``success``, ``start_time``, ``end_time``, ``attempt``, and of
        a failure ``exception`` and ``traceback``.
    :param ready: a repository from which to read task-ready status.
    :param func: the async function to run as the task body, if the task is not used as a
        decorator.
    :param retries: how often a failed job is tried again before its failure is recorded.
    :param concurrency: how many jobs a running pipeline runs at once.
    :param disabled: whether the pipeline leaves this task alone.
    """

    event_driven = True
    completes_in_launch = True

    def __init__(
        self,
        name: str,
        done: MetadataRepository,
        ready: Repository | None = None,
        func: FunctionTaskProtocol | Callable[..., Any] | None = None,
        *,
        retries: int | Retries = 0,
        concurrency: int | None = 15,
        disabled: bool = False,
    ) -> None:
        super().__init__(name, ready, disabled, retries=retries, concurrency=concurrency)
        self.func = None if func is None else self._checked(func)
        self.link_outcomes("done", done)
        self._recorder = Recorder(self, "done", done)
        self._now: set[str] = set()
        self._attempts: dict[str, int] = {}
        self._bound: dict[str, Repository] | None = None

    @property
    def running(self) -> AbstractSet[str]:
        return self._now | self._waiting | self._recorder.unwritten.keys()

    async def validate(self) -> None:
        self._bound = self.bind_links()

    async def update(self) -> bool:
        await self._recorder.retry()
        return bool(self._now or self._waiting or self._recorder.unwritten)

    async def launch(self, job: str) -> None:
        """Run the body for one job, to its end.

        In a running pipeline the wait for another attempt does not count; then this returns, and
        the pipeline launches the job again.
        """
        if self._bound is None:
            self._bound = self.bind_links()
        if job in self._now:
            raise TaskError(f"{self.name}: job {job!r} is running already")
        self._waiting.discard(job)
        self._now.add(job)
        try:
            while (wait := await self._attempt(job)) is not None:
                if self.runtime is not None and not self.synchronous:
                    return self.retry_later(job, wait)
                await asyncio.sleep(wait)
        finally:
            self._now.discard(job)

    async def _attempt(self, job: str) -> float | None:
        """Run the body once and record how it ended, or give the time until the next attempt."""
        assert self.func is not None
        assert self._bound is not None
        start = datetime.now(UTC)
        attempt = self._attempts.pop(job, 0) + 1
        record: dict[str, Any] = {"success": True, "start_time": start}
        try:
            await self.func(job, **self._bound)
        except Exception as e:
            wait = self.retries.wait_after(attempt)
            if wait is not None:
                self._attempts[job] = attempt
                return wait
            record["success"] = False
            record.update(failure(e))
        record["end_time"] = datetime.now(UTC)
        record["attempt"] = attempt
        await self._recorder.record(job, record)
        return None
