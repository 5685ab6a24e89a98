"""Python functions that run in the driver's own event loop."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import TaskError
from pydatatask_core.utils import being_cancelled

from .function import FunctionTask, FunctionTaskProtocol, failure
from .outcomes import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from pydatatask_core.repository.base import Repository
    from pydatatask_core.repository.metadata import MetadataRepository

    from .retry import Retries
    from .runtime import Runtime

__all__ = ["InProcessSyncTask"]

_utc_now = partial(datetime.now, UTC)  # looked up anew, it takes a quarter more, twice a job


class InProcessSyncTask(FunctionTask):
    """A task which runs in-process, as in the following example.

    ::

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

    def attach(self, runtime: Runtime | None) -> None:
        super().attach(runtime)
        self._attempts.clear()

    async def validate(self) -> None:
        self._bound = self.bind_links()

    async def update(self) -> bool:
        await self._recorder.retry()
        return bool(self._now or self._waiting or self._recorder.unwritten)

    async def launch(self, job: str) -> None:
        """Run the body for one job, to its end.

        Where a pipeline drives the task, the wait for another attempt does not count; then this
        returns, and the pipeline launches the job again.
        """
        if self._bound is None:
            self._bound = self.bind_links()
        if job in self._now:
            raise TaskError(f"{self.name}: job {job!r} is running already")
        self._waiting.discard(job)
        self._now.add(job)
        try:
            while True:
                attempt = self._attempts.pop(job, 0) + 1 if self._attempts else 1
                failed: dict[str, str] | None = None
                start = _utc_now()
                try:
                    await self.run_body(self.scope_of(job), self._bound)
                except (Exception, SystemExit, asyncio.CancelledError) as e:
                    if isinstance(e, asyncio.CancelledError) and being_cancelled():
                        raise
                    wait = self.retries.wait_after(attempt)
                    if wait is None:
                        failed = failure(e)
                        break
                else:
                    break
                self._attempts[job] = attempt
                if self._is_driven:
                    return self.retry_later(job, wait)
                await asyncio.sleep(wait)
            record = {
                "success": failed is None,
                "start_time": start,
                "end_time": _utc_now(),
                "attempt": attempt,
            }
            await self._recorder.record(job, record | failed if failed else record)
        finally:
            self._now.discard(job)

    @property
    def _is_driven(self) -> bool:
        """Whether somebody launches jobs again that are to be tried again."""
        return not self.synchronous and self.runtime is not None and self.runtime.mode == "drive"
