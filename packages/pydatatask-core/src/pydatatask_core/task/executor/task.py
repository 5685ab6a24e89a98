"""Python functions that run in an executor."""

from __future__ import annotations

import asyncio
import inspect
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import LaunchRefusedError, TaskConfigurationError, TaskError
from pydatatask_core.task.function import FunctionTask, FunctionTaskProtocol
from pydatatask_core.task.outcome_log import OutcomeLog

from .adapter import ExecutorAdapter, ExecutorSource
from .live import ExecutorLiveRepo
from .results import ResultRecorder
from .serialization import BoundFunction
from .submission import Submission
from .submissions import Submissions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Set as AbstractSet

    from pydatatask_core.repository.base import Repository
    from pydatatask_core.repository.metadata import MetadataRepository
    from pydatatask_core.task.retries import Retries
    from pydatatask_core.task.runtime import Runtime

__all__ = ["ExecutorLiveRepo", "ExecutorTask"]

log = logging.getLogger("pydatatask.task")

CANCEL_TIMEOUT_SECONDS = 5.0
"""Seconds that a cancelled job gets to end before whoever cancelled it is told that it does not."""

CLOSE_TIMEOUT_SECONDS = 0.5
"""Seconds that are spent on ending and recording jobs when the pipeline closes."""


class ExecutorTask(FunctionTask):
    """A task which runs python functions in a ``concurrent.futures.Executor``.

    See :class:`InProcessSyncTask` for how to use it as a decorator. The function may be async or
    not; what it returns is thrown away. A worker keeps one event loop for all its jobs.

    *Threads.* With a ``ThreadPoolExecutor`` any function will do. Repositories in files are used
    in the thread; every other one through a stand-in that hops to the pipeline's event loop, so
    give the function what it needs as links and do not reach for repositories another way.

    *Other processes.* With any other executor (``ProcessPoolExecutor``, loky, Dask's
    ``Client.get_executor()``) the function travels as a reference, so it has to be at the top
    level of a module that the workers can import, and only repositories that are nothing but the
    way to their data travel with it, such as those in files. Opening the pipeline fails with what
    cannot travel.

    *Failures.* What a function raises is in ``done`` with its traceback. If a worker dies, the
    jobs that may have been in it have failed. A job whose worker cannot find the function or
    its repositories has not; the task then launches nothing more until the pipeline is opened
    again. A ``ProcessPoolExecutor`` that is broken stays broken: give a function that makes one
    (``loky.get_reusable_executor``, say), and it is asked for another.

    *Promise.* While this process lives a job has one instance, also where the pipeline is closed
    and opened again (Dask runs a job again by itself if its worker dies). If this process dies,
    its jobs are run again by the next: at least once, each output whole.

    *Closing.* Jobs that have not begun are taken back. Async functions in threads are cancelled.
    What runs in other processes, and functions in threads that are not async, cannot be stopped:
    they go on, and their ends are recorded if the pipeline is opened again in this process. (Dask
    does not tell what it has begun, and lets go of everything.) What Ctrl-C interrupts has not
    failed.

    It is expected that the executor will perform all necessary resource quota management.
    It has at most 16 jobs more than twice its workers at once, or 1000 if it does not say how many
    it has; ``concurrency`` stands in the place of both.

    :param name: the name of this task.
    :param executor: the executor to run jobs in, or a callable that gives it, such as a resource
        of the session.
    :param done: a metadata repository to store some information about a job's runtime and
        termination on completion: ``success``, ``start_time``, ``end_time``, ``attempt``,
        ``worker`` (host and process), of a failure ``exception`` and ``traceback``, or
        ``reason`` where the function did not end by itself or did not write all required outputs
        (``missing_outputs``), and ``fan_out``, the outputs to which it wrote only other keys.
    :param ready: a repository from which to read task-ready status.
    :param func: the function to run as the task body, if the task is not used as a decorator.
    :param retries: how often a failed job is tried again before its failure is recorded.
    :param concurrency: how many jobs a running pipeline has in the executor at once.
    :param disabled: whether the pipeline leaves this task alone.
    """

    event_driven = True
    ends_with_process = True

    def __init__(
        self,
        name: str,
        executor: ExecutorSource,
        done: MetadataRepository,
        ready: Repository | None = None,
        func: FunctionTaskProtocol | Callable[..., Any] | None = None,
        *,
        retries: int | Retries = 0,
        concurrency: int | None = None,
        disabled: bool = False,
    ) -> None:
        super().__init__(name, ready, disabled, retries=retries, concurrency=concurrency)
        self.func = None if func is None else self._check_body(func)
        self._adapter = ExecutorAdapter(name, executor, self._body)
        live = ExecutorLiveRepo(self)
        self.link("live", live, is_status=True, inhibits_start=True, inhibits_output=True)
        self.link_outcomes("done", done)
        self._outcome_log = OutcomeLog(self, "done", done)
        self._submissions = Submissions(self.wake)
        self._by_job = self._submissions.by_job
        self._results = ResultRecorder(self, self._submissions, self._outcome_log)

    def _check_body(self, func: Any) -> Callable[..., Any]:
        if not callable(func) or isinstance(func, type):
            raise TaskConfigurationError(
                f"the body of {self.name} has to be a function, not {func!r}"
            )
        if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
            raise TaskConfigurationError(
                f"the body of {self.name}, {func!r}, is a generator function: calling it does "
                "nothing; write one without `yield`"
            )
        return func  # type: ignore[no-any-return] # it is callable

    def _body(self) -> BoundFunction:
        links = self.bind_links()
        assert self.func is not None
        if "live" not in inspect.signature(self.func).parameters:
            links.pop("live", None)  # what **links takes is what there is to work with
        return BoundFunction(self.func, links)

    @property
    def running(self) -> AbstractSet[str]:
        more = self._outcome_log.pending.keys() | self._waiting
        return self._by_job.keys() | more if more else self._by_job.keys()

    @property
    def recording_repositories(self) -> Mapping[str, Repository]:
        return {name: repo for name, repo in self.status.items() if name != "live"}

    # -- opening and closing ---------------------------------------------------------------------

    def attach(self, runtime: Runtime | None) -> None:
        super().attach(runtime)
        self._adapter.forget()
        self._submissions.reopen()
        self._results.reset()

    async def validate(self) -> None:
        """Find the executor, and make sure that everything can travel to its workers.

        :raises TaskConfigurationError: if something cannot.
        """
        self._body()
        self._enter_loop()
        if self.runtime is not None:
            if self.runtime.mode == "inspect":
                return
            self.runtime.spawn(self._until_closed(), f"pydatatask closing of {self.name}")
        if not self.disabled:
            await self._adapter.prepare()

    def _enter_loop(self) -> None:
        if self._submissions.enter(asyncio.get_running_loop()):
            self._adapter.forget()
            self._results.enter_loop()

    async def _until_closed(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            try:
                await self._submissions.cancel_pending(CLOSE_TIMEOUT_SECONDS)
                async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
                    await self._results.record_finished()
            except TimeoutError:
                log.info("%s: not all of its jobs ended when the pipeline closed", self.name)

    # -- launching -------------------------------------------------------------------------------

    async def launch(self, job: str) -> None:
        """Give a job to the executor; in synchronous mode also wait for its end.

        :raises UnrecordableJobError: if its end could not be recorded.
        :raises LaunchRefusedError: if the executor has as many jobs as it may.
        :raises TaskConfigurationError: if the executor takes no more, or its workers cannot run
            this task.
        """
        self.check_recordable(job)
        self._enter_loop()
        if job in self._by_job:
            raise TaskError(f"{self.name}: job {job!r} is running already")
        unusable = self._results.unusable
        if unusable is None and self._is_full and job not in self._waiting:
            raise LaunchRefusedError(self.name, job, f"{self.name}'s executor")
        self._waiting.discard(job)
        if unusable is not None:
            raise TaskConfigurationError(unusable)
        submission = await self._submit(job)
        while self.synchronous and await self._finish(submission):
            submission = await self._submit(job)

    @property
    def _is_full(self) -> bool:
        """Whether a pipeline should hold back; what is launched by hand is not held back."""
        return (
            self.concurrency is None
            and self.runtime is not None
            and self.runtime.mode == "drive"
            and len(self._by_job) - len(self.output_check.checking) >= self._adapter.max_submitted
        )

    async def _submit(self, job: str) -> Submission:
        # In the table before the first await, so that nothing launches the job beside this.
        submission = self._by_job[job] = Submission(
            job, self._results.next_attempt(job), self.new_scope(job)
        )
        submission.is_awaited = self.synchronous
        try:
            if self.shared_outputs is not None:
                await self.shared_outputs.prepare(self, job)
            await self._adapter.prepare()
            submission.work_item = self._adapter.work_item(submission.scope)
            await self._adapter.submit(
                submission.work_item, partial(self._submissions.on_submitted, submission)
            )
        finally:
            if submission.future is None:
                del self._by_job[job]
        if submission.cancelled:
            await asyncio.to_thread(submission.stop)
        return submission

    async def _finish(self, submission: Submission) -> bool:
        """Wait for an end and settle it; tell whether the job is to be tried again now."""
        try:
            await submission.ended.wait()
            await self._results.record_finished()
            if submission.unusable:
                raise TaskConfigurationError(str(self._results.unusable))
            if submission.retry_after is None:
                return False
            await asyncio.sleep(submission.retry_after)
            if submission.cancelled:
                await self._results.cancel_waiting(submission.job)
            return not submission.cancelled
        finally:
            submission.is_awaited = False
            if submission.retry_after is not None:
                self._by_job.pop(submission.job, None)

    # -- ends ------------------------------------------------------------------------------------

    async def update(self) -> bool:
        self._enter_loop()
        await self._outcome_log.retry()
        await self._results.record_finished()
        while self.runtime is None and self.due_retries:
            await self.launch(self.due_retries.popleft())
        return bool(self.running)

    async def cancel(self, job: str) -> None:
        """Stop the current job from running, or do nothing if it is not running.

        A job that was cancelled counts as failed: ``done`` says so with the reason, and keeps
        it from being launched again. One that ends by itself all the same is recorded as it ended.
        Dask takes back what it has not begun; what it has begun goes on unheard.

        :raises TaskError: if it has begun where nothing can stop it, or does not end although it
            was cancelled. It stays live until it ends.
        """
        self._enter_loop()
        submission = self._by_job.get(job)
        if submission is None:
            if job in self._waiting:
                self._waiting.discard(job)
                if job in self.due_retries:
                    self.due_retries.remove(job)
                await self._results.cancel_waiting(job)
            return
        submission.cancelled = True
        if submission.retry_after is not None:
            return
        if not await asyncio.to_thread(submission.stop):
            raise TaskError(
                f"{self.name}: job {job!r} has begun, and nothing can stop it: only an async "
                "function in a thread can be stopped. It stays live until it ends"
            )
        try:
            async with asyncio.timeout(CANCEL_TIMEOUT_SECONDS):
                await submission.ended.wait()
        except TimeoutError:
            raise TaskError(
                f"{self.name}: job {job!r} was cancelled and has not ended after "
                f"{CANCEL_TIMEOUT_SECONDS:.0f} s; it stays live until it does"
            ) from None
        await self._results.record_finished()
