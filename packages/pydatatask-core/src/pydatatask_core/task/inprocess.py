"""Python functions that run in the driver's own event loop."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import TaskError

from .function import FunctionTask, FunctionTaskProtocol, describe_failure
from .outcome_log import OutcomeLog

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from pydatatask_core.repository.base import Repository
    from pydatatask_core.repository.metadata import MetadataRepository

    from .required_outputs import Outputs
    from .retries import Retries
    from .runtime import Runtime

__all__ = ["InProcessSyncTask"]

_utc_now = partial(datetime.now, UTC)  # a quarter faster than two lookups, twice per job


class InProcessSyncTask(FunctionTask):
    """A task whose body runs in the driver's process, as in the following example.

    ::

        @pydatatask.InProcessSyncTask("my_task", done_repo)
        async def my_task(job: str, inp: MetadataRepository, out: MetadataRepository):
            await out.dump(job, await inp.info(job))


        my_task.link("inp", repo_input, is_input=True)
        my_task.link("out", repo_output, is_output=True)

    Running jobs are lost when the process exits, and launched again by the next driver.

    :param name: the name of this task.
    :param done: a metadata repository for the outcome of each job: ``success``, ``start_time``,
        ``end_time``, ``attempt``; after a failure ``exception`` and ``traceback``, or ``reason``
        and ``missing_outputs`` if the job did not write all required outputs; and ``fan_out``,
        the outputs to which it wrote only other keys.
    :param ready: a repository of the jobs to launch.
    :param func: the async function to run as the task body, if the task is not used as a
        decorator.
    :param retries: how often a failed job is retried before its failure is recorded.
    :param concurrency: the maximum number of jobs that a running pipeline runs at once.
    :param disabled: whether the pipeline skips this task.
    """

    event_driven = True
    completes_in_launch = True
    ends_with_process = True

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
        self.func = None if func is None else self._check_body(func)
        self.link_outcomes("done", done)
        self._outcome_log = OutcomeLog(self, "done", done)
        self._running: set[str] = set()
        self._attempts: dict[str, int] = {}
        self._bound_links: dict[str, Repository] | None = None

    @property
    def running(self) -> AbstractSet[str]:
        checking = self.output_check.checking
        return self._running | self._waiting | self._outcome_log.pending.keys() | checking

    def attach(self, runtime: Runtime | None) -> None:
        super().attach(runtime)
        self._attempts.clear()

    async def validate(self) -> None:
        self._bound_links = self.bind_links()

    async def update(self) -> bool:
        await self._outcome_log.retry()
        return bool(self.running)

    async def launch(self, job: str) -> None:
        """Run the body for one job and record the outcome.

        In a running pipeline, this returns before a retry, and the pipeline launches the job again
        after the delay.

        :raises UnrecordableJobError: if the outcome could not be recorded.
        """
        if self._bound_links is None:
            self._bound_links = self.bind_links()
        if len(job) > self._max_plain_length or not (job.isalnum() and job.isascii()):
            self.check_recordable(job)  # the same check, but half as slow again
        if job in self._running or job in self.output_check.checking:
            raise TaskError(f"{self.name}: job {job!r} is running already")
        self._waiting.discard(job)
        self._running.add(job)
        try:
            while True:
                if self.shared_outputs is not None:
                    await self.shared_outputs.prepare(self, job)
                attempt = self._attempts.pop(job, 0) + 1 if self._attempts else 1
                start = _utc_now()
                scope = self.new_scope(job)
                problem = await self.run_body(scope, self._bound_links)
                end = _utc_now()
                record: dict[str, Any] = {
                    "success": problem is None,
                    "start_time": start,
                    "end_time": end if end > start else start,  # the clock may have been set back
                    "attempt": attempt,
                }
                if problem is None:
                    check = self.output_check
                    outputs = self.required_outputs and check.unwritten(scope, record)
                    if not outputs or await check.has_all_here(job, outputs):
                        return await self._outcome_log.record(job, record)
                    if self._is_driven:
                        return self._record_later(job, record, outputs)
                    record |= await check.verdict(job, outputs)
                wait = await self._record_or_retry(job, record, problem)
                del problem  # its traceback refers to the objects of the body
                if wait is None:
                    return
                if self._is_driven:
                    return self.retry_later(job, wait)
                await asyncio.sleep(wait)
        finally:
            self._running.discard(job)

    async def _record_or_retry(
        self, job: str, record: dict[str, Any], problem: BaseException | None = None
    ) -> float | None:
        """Record the outcome of a job, unless it is retried.

        :param job: the job.
        :param record: its outcome.
        :param problem: the exception that its body raised.
        :return: the delay before the retry in seconds, or None if there is none.
        """
        if not record["success"]:
            wait = self.retries.wait_after(record["attempt"])
            if wait is not None:
                self._attempts[job] = record["attempt"]
                return wait
            if problem is not None:
                record |= describe_failure(problem)
        await self._outcome_log.record(job, record)
        return None

    def _record_later(self, job: str, record: dict[str, Any], outputs: Outputs) -> None:
        """Check the outputs of a job in the background, then record its outcome."""

        async def finish() -> None:
            try:
                record.update(await self.output_check.verdict(job, outputs))
                wait = await self._record_or_retry(job, record)
                if wait is not None:
                    self.retry_later(job, wait)
            finally:
                self.output_check.checking.discard(job)
                self.wake()

        assert self.runtime is not None
        self.output_check.checking.add(job)
        self.runtime.spawn(finish(), f"pydatatask outputs of {self.name} {job}")

    @property
    def _is_driven(self) -> bool:
        """True if a pipeline launches the jobs that are due for a retry."""
        return not self.synchronous and self.runtime is not None and self.runtime.mode == "drive"
