"""Submission of an executor task's jobs: the executor, and the form of work item it needs."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import TaskConfigurationError, TaskError, describe
from pydatatask_core.repository.files.base import FileRepositoryBase
from pydatatask_core.repository.snapshot import View
from pydatatask_core.utils import in_thread

from .portal import LoopPortal
from .proxies import make_proxy
from .serialization import BoundFunction, serialize
from .worker import JobResult, LocalWorkItem, PickledWorkItem, WorkItem, run

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

    from pydatatask_core.repository.base import Repository
    from pydatatask_core.repository.job_scope import JobScope

    from .submission import Submission

__all__ = ["ExecutorAdapter", "ExecutorSource", "is_executor"]

ExecutorSource = Executor | Callable[[], Executor]
"""An executor, or a callable that returns it when it exists."""

DEFAULT_MAX_SUBMITTED = 1000
"""The maximum number of submitted jobs for an executor that does not provide its worker count."""

SPARE_JOBS = 16
"""The number of submitted jobs beyond twice the worker count, so that short jobs keep workers busy.
"""


def is_executor(value: object) -> bool:
    """Return whether an object accepts jobs as ``concurrent.futures.Executor`` does."""
    return isinstance(value, Executor) or (
        callable(getattr(value, "submit", None)) and not isinstance(value, type)
    )


class ExecutorAdapter:
    """Finds the executor when it is needed, and submits jobs to it.

    A thread pool shares all objects with this process. Any other executor is assumed to have its
    workers in other processes, and receives serialized work items.

    :param task: the name of the task, for messages.
    :param source: the executor, or a callable that returns it. The callable is called again only
        when the executor accepts no more jobs, and may then return a new one.
    :param body: returns the function and its repositories.
    """

    def __init__(
        self, task: str, source: ExecutorSource, body: Callable[[], BoundFunction]
    ) -> None:
        if isinstance(source, type) or not (is_executor(source) or callable(source)):
            raise TaskConfigurationError(
                f"{task}: executor has to be a concurrent.futures.Executor that is ready for "
                f"use, or a function that returns one, not {source!r}"
            )
        self._task = task
        self._source = source
        self._body = body
        self._executor: Executor | None = None
        self.max_submitted = DEFAULT_MAX_SUBMITTED
        """The maximum number of submitted jobs: enough for all workers to be busy."""
        self._new_work_item: Callable[[JobScope], WorkItem] | None = None
        self._portal: LoopPortal | None = None
        self._lock = asyncio.Lock()

    def forget(self) -> None:
        """Drop the executor; functions in threads can use no repository from now on."""
        if self._portal is not None:
            self._portal.close()
        self._executor = self._new_work_item = self._portal = None
        self.max_submitted = DEFAULT_MAX_SUBMITTED
        self._lock = asyncio.Lock()

    async def prepare(self, instead_of: Executor | None = None) -> Executor:
        """Find the executor and create its work item factory, if not done yet.

        :param instead_of: the executor that was found before and accepts no more jobs.
        :raises TaskConfigurationError: if the body cannot be passed to its workers.
        """
        async with self._lock:
            executor = self._executor
            if executor is None or executor is instead_of:
                candidate = self._find_executor()
                if candidate is not executor:
                    self._new_work_item = await self._work_item_factory(candidate)
                workers = getattr(candidate, "_max_workers", None)
                self.max_submitted = (
                    2 * workers + SPARE_JOBS if isinstance(workers, int) else DEFAULT_MAX_SUBMITTED
                )
                self._executor = executor = candidate
            return executor

    def _find_executor(self) -> Executor:
        source = self._source
        if is_executor(source):
            return source  # type: ignore[return-value] # an executor
        candidate = source()  # type: ignore[operator] # a callable, as checked by __init__
        if not is_executor(candidate):
            raise TaskConfigurationError(
                f"{self._task}: the executor's callable returned {candidate!r}, which is not an "
                "executor"
            )
        return candidate

    async def _work_item_factory(self, executor: Executor) -> Callable[[JobScope], WorkItem]:
        body = self._body()
        if isinstance(executor, ThreadPoolExecutor):
            if self._portal is None:
                self._portal = LoopPortal(asyncio.get_running_loop())
            links = {name: self._repository_for_thread(repo) for name, repo in body.links.items()}
            return partial(LocalWorkItem, body=BoundFunction(body.func, links))
        payload = await asyncio.to_thread(_serialize_for, executor, self._task, body)
        return partial(PickledWorkItem, payload=payload)

    def _repository_for_thread(self, repo: Repository) -> Any:
        """Return a repository for use in another thread.

        Those in files work in any event loop, because they access files in threads.
        """
        assert self._portal is not None
        in_files = isinstance(repo, FileRepositoryBase) and not isinstance(repo, View)
        return repo if in_files else make_proxy(self._portal, repo)

    async def submit(
        self,
        submission: Submission,
        on_submitted: Callable[[Submission, Future[JobResult]], None],
    ) -> None:
        """Submit a job to the executor.

        :param submission: the job; its work item is created here.
        :param on_submitted: called with the submission and its future, in any thread.
        :raises TaskConfigurationError: if the executor accepts no more jobs, now or ever.
        """
        executor = self._executor or await self.prepare()
        assert self._new_work_item is not None
        work_item = submission.work_item = self._new_work_item(submission.scope)

        def hand_over() -> None:
            on_submitted(submission, executor.submit(run, work_item))

        try:
            await self._call(executor, hand_over)
        except Exception as e:
            refusing, executor = executor, await self.prepare(instead_of=executor)
            if executor is refusing:
                raise self._refused(executor, e) from e
            await self._call(executor, hand_over)

    async def _call(self, executor: Executor, hand_over: Callable[[], None]) -> None:
        """Call a function that submits to an executor."""
        if isinstance(executor, ThreadPoolExecutor):
            hand_over()
        else:  # it may start processes, or send a request to a scheduler
            await in_thread(hand_over)

    def _refused(self, executor: Executor, error: Exception) -> TaskError:
        kind = type(executor).__name__
        if isinstance(error, BrokenExecutor | RuntimeError):
            return TaskConfigurationError(
                f"{self._task}: its {kind} accepts no more jobs: {describe(error)}. Ready jobs "
                "wait for the next run; to continue without one, pass the task a function that "
                "creates a new executor"
            )
        return TaskError(f"{self._task}: its {kind} did not accept a job: {describe(error)}")


def _serialize_for(executor: Executor, task: str, body: BoundFunction) -> bytes:
    from concurrent.futures import ProcessPoolExecutor

    if isinstance(executor, ProcessPoolExecutor):
        return serialize(task, body, main=_workers_load_main(executor))
    # By value, as loky and Dask serialize functions that are passed to them directly.
    return serialize(task, body, main=False, by_value=True)


def _workers_load_main(executor: ProcessPoolExecutor) -> bool:
    """Return whether the workers of a process pool find functions defined in the main script."""
    context = getattr(executor, "_mp_context", None)
    if context is not None and context.get_start_method() == "fork":
        return True
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None) or ""  # "<stdin>", for example, is not a file
    return getattr(main, "__spec__", None) is not None or os.path.exists(file)
