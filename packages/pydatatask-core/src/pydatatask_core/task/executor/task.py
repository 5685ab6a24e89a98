"""Python functions that run in an executor."""

from __future__ import annotations

import asyncio
import inspect
import logging
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
"""The time that a cancelled job has to end before ``cancel`` raises an error."""

CLOSE_TIMEOUT_SECONDS = 0.5
"""The time for cancelling and recording jobs when the pipeline closes."""


class ExecutorTask(FunctionTask):
    """A task that runs Python functions in a ``concurrent.futures.Executor``.

    See :class:`InProcessSyncTask` for its use as a decorator. The function may be async or not; its
    return value is discarded. A worker keeps one event loop for all its jobs.

    *Threads.* A ``ThreadPoolExecutor`` can run any function. Repositories in files are used in the
    worker's thread; every other repository is used through a proxy that runs its methods in the
    pipeline's event loop. Therefore pass all repositories to the function as links, and do not
    access them in another way.

    *Other processes.* A ``ProcessPoolExecutor`` receives the function by reference, so it has to be
    at the top level of the main script or of a module that the workers can import. With any other
    executor (loky, Dask's ``Client.get_executor()``) a function that cannot be imported is passed
    by value, if cloudpickle is installed. Repositories are pickled, so they may consist of nothing
    but the location of their data, as those in files do. Opening the pipeline fails if something
    cannot be passed to the workers, and names it.

    *Failures.* An exception of the function is stored in ``done`` with its traceback. If a worker
    dies, the jobs that may have been running in it have failed. If a worker cannot find the
    function or its repositories, the job has not failed; the task then launches nothing more until
    the pipeline is opened again. A ``ProcessPoolExecutor`` that is broken stays broken: pass a
    function that creates an executor (``loky.get_reusable_executor``, for example), and the task
    requests a new one.

    *Guarantee.* While this process lives, there is one instance of each job, even if the pipeline
    is closed and opened again. (Dask itself runs a job again if its worker dies.) If this process
    dies, the next one runs its jobs again: each job runs at least once, each output is complete.

    *Closing.* Jobs that have not started are cancelled, and so are async functions in threads. Jobs
    in other processes, and functions in threads that are not async, cannot be stopped: they
    continue, and their outcomes are recorded if the pipeline is opened again in this process. (Dask
    does not report which jobs have started, and releases all of them.) A job that Ctrl-C interrupts
    has not failed.

    The executor is expected to manage resources itself. The task submits at most 16 jobs more than
    twice the number of workers at once, or 1000 jobs if the executor does not provide that number;
    ``concurrency`` replaces both limits.

    :param name: the name of this task.
    :param executor: the executor to run jobs in, or a callable that returns it, such as a session
        resource.
    :param done: a metadata repository for the outcome of each job: ``success``, ``start_time``,
        ``end_time``, ``attempt``, ``worker`` (host and process); after a failure ``exception`` and
        ``traceback``, or ``reason`` if the function did not end by itself or did not write all
        required outputs (``missing_outputs``); and ``fan_out``, the outputs to which it wrote only
        other keys.
    :param ready: a repository of the jobs to launch.
    :param func: the function to run as the task body, if the task is not used as a decorator.
    :param retries: how often a failed job is retried before its failure is recorded.
    :param concurrency: the maximum number of jobs that a running pipeline has in the executor.
    :param disabled: whether the pipeline skips this task.
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
                "nothing; write a function without `yield`"
            )
        return func  # type: ignore[no-any-return] # it is callable

    def _body(self) -> BoundFunction:
        links = self.bind_links()
        assert self.func is not None
        if "live" not in inspect.signature(self.func).parameters:
            links.pop("live", None)  # **links receives only the data to work with
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
        """Find the executor, and check that the body can be passed to its workers.

        :raises TaskConfigurationError: if something cannot be passed.
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
        """Submit a job to the executor; in synchronous mode also wait for its end.

        :raises UnrecordableJobError: if its outcome could not be recorded.
        :raises LaunchRefusedError: if the executor has the maximum number of jobs.
        :raises TaskConfigurationError: if the executor accepts no more jobs, or its workers cannot
            run this task.
        """
        self.check_recordable(job)
        self._enter_loop()
        if job in self._by_job:
            raise TaskError(f"{self.name}: job {job!r} is running already")
        if self.launch_capacity() == 0 and job not in self._waiting:
            raise LaunchRefusedError(self.name, job, f"{self.name}'s executor")
        self._waiting.discard(job)
        if self._results.unusable is not None:
            raise TaskConfigurationError(self._results.unusable)
        submission = await self._submit(job)
        while self.synchronous and await self._finish(submission):
            submission = await self._submit(job)

    def launch_capacity(self) -> int | None:
        """Return the number of jobs that the executor accepts at once beyond the submitted ones.

        :return: None if ``concurrency`` or the caller limits the number of jobs, or if a launch
            has to raise an error.
        """
        if self.concurrency is not None or self.runtime is None or self.runtime.mode != "drive":
            return None
        if self._results.unusable is not None:
            return None
        submitted = len(self._by_job) - len(self.output_check.checking)
        return max(0, self._adapter.max_submitted - submitted)

    async def _submit(self, job: str) -> Submission:
        # Registered before the first await, so that the job is not launched twice.
        submission = self._by_job[job] = Submission(
            job, self._results.next_attempt(job), self.new_scope(job)
        )
        submission.is_awaited = self.synchronous
        try:
            if self.shared_outputs is not None:
                await self.shared_outputs.prepare(self, job)
            await self._adapter.submit(submission, self._submissions.on_submitted)
        finally:
            # A job that has ended may be recorded and forgotten by now.
            if submission.future is None and not submission.ended.is_set():
                del self._by_job[job]
        if submission.cancelled:
            await asyncio.to_thread(submission.stop)
        return submission

    async def _finish(self, submission: Submission) -> bool:
        """Wait for the end of a job and record it; return True if it should be retried now."""
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

    # -- outcomes --------------------------------------------------------------------------------

    async def update(self) -> bool:
        self._enter_loop()
        await self._outcome_log.retry()
        await self._results.record_finished()
        while self.runtime is None and self.due_retries:
            await self.launch(self.due_retries.popleft())
        return bool(self.running)

    async def cancel(self, job: str) -> None:
        """Cancel a job; no-op if it is not running.

        A cancelled job has failed: ``done`` records the reason, and keeps the job from being
        launched again. If the job nevertheless ends by itself first, its own outcome is recorded.
        Dask cancels jobs that have not started; one that has continues, and its result is ignored.

        :raises TaskError: if it has started and cannot be stopped, or does not end although it was
            cancelled. It stays live until it ends.
        """
        self._enter_loop()
        submission = self._by_job.get(job)
        if submission is None:
            if job in self._waiting:
                self.cancel_retry(job)
                await self._results.cancel_waiting(job)
            return
        submission.cancelled = True
        if submission.retry_after is not None:
            return
        if not await asyncio.to_thread(submission.stop):
            raise TaskError(
                f"{self.name}: job {job!r} has started and cannot be stopped: only an async "
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
