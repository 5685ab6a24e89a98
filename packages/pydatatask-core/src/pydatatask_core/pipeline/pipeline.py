"""The pipeline: tasks, a session, and the rounds that launch and reap jobs."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import (
    PipelineConfigurationError,
    PipelineError,
    PipelineNotOpenError,
    describe,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
    from types import TracebackType

    from networkx import DiGraph

    from pydatatask_core.repository.base import Repository
    from pydatatask_core.resource_manager import ResourceManager
    from pydatatask_core.session import Session
    from pydatatask_core.task.base import Task
    from pydatatask_core.task.runtime import FailureHook, OpenMode

    from .backlog import Priority
    from .lock import DriverLock
    from .run import Progress, RunSummary
    from .scheduler import Scheduler

__all__ = ["Pipeline"]

log = logging.getLogger("pydatatask.pipeline")


class Pipeline:
    """An unordered collection of tasks, and the operations that run them.

    The order of tasks follows from the repositories that they share.

    :param tasks: the tasks which make up this pipeline.
    :param session: the session to open while this pipeline is active; an empty one by default.
    :param resources: any resource managers in use besides those that the tasks use themselves.
    :param priority: function that returns an integer priority for a task's name and a job. A job is
        scheduled only after all jobs with a larger number.
    :param on_failure: called with a task's name, a job and its record when a job has failed and
        is not retried; sync or async.
    :param exclusive: whether to refuse to open while another process on this machine drives one
        of the tasks.
    :raises PipelineConfigurationError: if an item is not a task, or two tasks have the same name.
    """

    def __init__(
        self,
        tasks: Iterable[Task],
        session: Session | None = None,
        resources: Iterable[ResourceManager] = (),
        priority: Priority | None = None,
        *,
        on_failure: FailureHook | None = None,
        exclusive: bool = True,
    ) -> None:
        # Local imports, so that importing the class is cheap.
        from pydatatask_core.session import Session

        from .scheduler import Scheduler
        from .task_checks import check_tasks

        checked = check_tasks(tasks)
        if session is not None and not isinstance(session, Session):
            raise PipelineConfigurationError(f"session has to be a Session, not {session!r}")
        if priority is not None and not callable(priority):
            raise PipelineConfigurationError(
                f"priority has to be a function of a task's name and a job, not {priority!r}"
            )
        self.tasks: dict[str, Task] = {task.name: task for task in checked}
        self.session = Session() if session is None else session
        self.priority = priority
        self.on_failure = on_failure
        self.exclusive = exclusive
        self.mode: OpenMode = "drive"
        self.problems: list[Exception] = []
        """The errors found while opening with mode ``inspect``."""
        self._resources = list(resources)
        self._open = False
        self._lock: DriverLock | None = None
        self._scheduler = Scheduler([], None)
        self._active_call: str | None = None

    @property
    def resources(self) -> list[ResourceManager]:
        """All quotas that were passed to the pipeline or that its tasks use."""
        quotas = {id(quota): quota for quota in self._resources}
        for task in self.tasks.values():
            quotas.update({id(quota): quota for quota in task.quotas})
        return list(quotas.values())

    def settings(self, synchronous: bool = False, metadata: bool = True) -> None:
        """Set properties of the current run.

        :param synchronous: whether jobs are started and completed in-process, the launch phase
            waiting for their completion.
        :param metadata: whether jobs store their completion metadata.
        """
        for task in self.tasks.values():
            task.synchronous = synchronous
            task.metadata = metadata

    # -- opening and closing ---------------------------------------------------------------------

    async def open(self, mode: OpenMode = "drive", only: Iterable[str] | None = None) -> None:
        """Open the pipeline and its session; entering ``async with pipeline`` does so as well.

        :param mode: ``drive`` to launch and reap jobs; ``inspect`` to read only: nothing is
            created, and the errors of a task are collected in :attr:`problems`, so that the other
            tasks can still be inspected; ``one`` to launch one job by hand.
        :param only: the names of the tasks to open the pipeline for, with only the session
            resources that these need; all by default.
        :raises PipelineError: if it is open already, or has no task with a name in ``only``.
        :raises PipelineLockedError: if another process drives it.
        """
        if self._open:
            raise PipelineError("the pipeline is open already; close it before opening it again")
        if mode not in ("drive", "inspect", "one"):
            raise ValueError(f"mode has to be 'drive', 'inspect' or 'one', not {mode!r}")
        from .scheduler import Scheduler
        from .session_resources import needed_resources

        tasks = self._named(self.tasks if only is None else only)
        self._open = True
        self.mode = mode
        self._scheduler = Scheduler(tasks, self.priority)
        try:
            used = [obj for task in tasks for obj in task.references()]
            needed = None if only is None else needed_resources(self.session, used)
            await self.session.open(only=needed)
            await self._open_tasks(tasks, mode)
        except BaseException:
            await self.close()
            raise

    async def _open_tasks(self, tasks: list[Task], mode: OpenMode) -> None:
        """Lock, attach and validate the tasks; the session has opened."""
        from pydatatask_core.utils import run_to_completion

        from .collisions import prepare_shared_outputs
        from .lock import DriverLock
        from .validation import find_problems, log_config_warnings, raise_problems

        if mode == "drive" and self.exclusive:
            # Repositories on a server have an identity only after the session has opened.
            self._lock = DriverLock(tasks)
            await run_to_completion(asyncio.to_thread(self._lock.acquire))
        for task in tasks:
            task.attach(self)
        for quota in self.resources:
            quota.add_listener(self._scheduler.on_quota_released)
            await quota.flush()
        # Before jobs are found.
        shared = await prepare_shared_outputs(tasks) if mode == "drive" else None
        self.problems = await find_problems(tasks, create=mode != "inspect")
        if mode != "inspect":
            raise_problems(self.problems)
        if shared is not None:
            await shared.load()
        if mode == "drive":
            await log_config_warnings(tasks)

    async def close(self) -> None:
        """Close the pipeline and its session; leaving ``async with pipeline`` does so as well.

        Jobs that run elsewhere go on; functions that run in this process are cancelled.
        """
        if not self._open:
            return
        scheduler = self._scheduler
        async with AsyncExitStack() as stack:  # each step runs, even if an earlier one raises
            stack.push_async_callback(self._unlock)
            stack.push_async_callback(self.session.close)
            for task in scheduler.tasks:
                stack.callback(task.attach, None)
            for quota in self.resources:
                stack.callback(quota.remove_listener, scheduler.on_quota_released)
            stack.callback(setattr, self, "_open", False)
            if scheduler.current_run is not None:
                scheduler.current_run.fail(
                    PipelineNotOpenError("the pipeline was closed during its run")
                )
            await scheduler.close()

    async def _unlock(self) -> None:
        from pydatatask_core.utils import run_to_completion

        lock, self._lock = self._lock, None
        if lock is not None:
            await run_to_completion(asyncio.to_thread(lock.release))

    async def __aenter__(self) -> Pipeline:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def _require_open(self) -> None:
        if not self._open:
            raise PipelineNotOpenError(
                "the pipeline is not open; use it inside `async with pipeline:`"
            )

    @contextmanager
    def _exclusive_call(self, name: str) -> Iterator[Scheduler]:
        """Raise if another call that launches jobs is in progress; else block such calls."""
        self._require_open()
        if self._active_call == "run":
            raise PipelineError(f"{name}() is not possible during run(), which launches all jobs")
        if self._active_call is not None:
            raise PipelineError(f"{name}() has to wait until {self._active_call}() has returned")
        self._active_call = name
        try:
            yield self._scheduler
        finally:
            self._active_call = None

    # -- rounds ----------------------------------------------------------------------------------

    async def update(self) -> bool:
        """Perform one round of pipeline maintenance, the update phase and then the launch phase.

        :return: whether there is any activity in the pipeline.
        """
        active = await self.update_only_update()
        launched = await self.update_only_launch()
        return active or launched

    async def update_only_update(self) -> bool:
        """Perform one round of the update phase of pipeline maintenance.

        :return: whether there were any live jobs.
        """
        with self._exclusive_call("update_only_update") as scheduler:
            return any((await scheduler.update(scheduler.enabled)).values())

    async def update_only_launch(self) -> bool:
        """Perform one round of the launch phase of pipeline maintenance.

        :return: whether there were any jobs launched or ready to launch.
        """
        with self._exclusive_call("update_only_launch") as scheduler:
            before = scheduler.launched
            unknown = await scheduler.plan(scheduler.enabled)
            await scheduler.launch()
            return bool(unknown) or scheduler.is_waiting or scheduler.launched > before

    def _named(self, names: Iterable[str]) -> list[Task]:
        try:
            return [self.tasks[name] for name in names]
        except KeyError as e:
            known = ", ".join(self.tasks) or "none"
            raise PipelineError(f"there is no task {e.args[0]!r}; there are: {known}") from None

    async def gather_ready_jobs(self, task: Task) -> set[str]:
        """Collect all jobs that are ready to be launched for a given task.

        :param task: a task of this pipeline.
        :raises PipelineError: if it is not a task of this pipeline.
        :raises PydatataskError: if a repository that it depends on cannot be listed.
        """
        from .readiness import Readiness

        self._require_open()
        if task not in self.tasks.values():
            raise PipelineError(f"{task!r} is not a task of this pipeline, which is {self!r}")
        before = set(task.running)  # a job that ends meanwhile may be in no listing
        return set((await Readiness().find_ready(task)).jobs - before - task.running)

    async def run(
        self,
        *,
        forever: bool = False,
        launch_once: bool = False,
        timeout: float | None = None,
        poll: float = 1.0,
        progress: Callable[[Progress], None] | None = None,
    ) -> RunSummary:
        """Run the pipeline until it is quiet.

        It is quiet when no job is live, none was launched, and no listing failed. The end of a job
        in this process, or of one that it watches, is handled at once; ``poll`` is only for stores
        that other programs change. Cancellation stops launching at once; jobs that run elsewhere go
        on.

        :param forever: whether to go on when it is quiet.
        :param launch_once: whether to launch only the jobs that are ready at the beginning, and
            then wait for their end.
        :param timeout: maximum duration in seconds; jobs that run elsewhere are left running.
        :param poll: seconds between rounds in which nothing happens; the actual pause is at least
            as long as the last round.
        :param progress: called with the progress after every step.
        :raises TimeoutError: if the timeout expires.
        """
        if poll <= 0:
            raise ValueError(f"poll has to be a number of seconds above 0, not {poll!r}")
        with self._exclusive_call("run") as scheduler:
            async with asyncio.timeout(timeout):
                return await scheduler.run(self.resources, forever, launch_once, poll, progress)

    async def complete_local_jobs(self) -> RunSummary:
        """Wait until every job that ends with this process has ended and is recorded.

        These are functions and jobs of executors. They are retried as ``retries`` permits; only
        jobs that a round has already found ready are launched. Call it after :meth:`update` or
        ``Task.launch`` if the process is to exit after that.

        :return: the jobs launched by this call, and the jobs that have failed since the pipeline
            was opened or :meth:`run` began.
        """
        with self._exclusive_call("complete_local_jobs") as scheduler:
            return await scheduler.complete_local(self.resources)

    # -- callbacks of tasks ----------------------------------------------------------------------

    @property
    def looping(self) -> bool:
        """True while :meth:`run` is in progress."""
        return self._scheduler.current_run is not None

    def wake(self, task: Task) -> None:
        """Request an update of a task after one of its jobs has ended."""
        self._scheduler.wake(task)

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """Start a background task, which is cancelled when the pipeline closes."""
        self._scheduler.background.spawn(coroutine, name)

    async def failed(self, task: Task, job: str, record: Mapping[str, Any]) -> None:
        """Record and log that a job has failed and is not retried; call ``on_failure``."""
        message = record.get("exception") or record.get("reason") or "see its record"
        log.warning(
            "%s: job %s failed: %s", task.name, job, message, extra={"task": task.name, "job": job}
        )
        self._scheduler.record_failure(task, job)
        if self.on_failure is not None:
            from pydatatask_core.repository.job_functions import call_for_job

            name = f"on_failure of task {task.name}"
            try:
                await call_for_job(job, name, self.on_failure, task.name, job, record)
            except Exception as e:
                log.exception("%s", describe(e), extra={"task": task.name, "job": job})

    # -- the graph -------------------------------------------------------------------------------

    def graph(self) -> DiGraph[Repository | Task]:
        """Generate the dependency graph: tasks and repositories are its nodes, links its edges.

        Each edge has the link's name as ``link``, and the link's dispositions.
        """
        from .graph import build_graph

        return build_graph(self.tasks.values())

    def dependants(self, node: Repository | Task, recursive: bool) -> Iterable[Repository | Task]:
        """Iterate over the nodes that depend on a node of the dependency graph.

        :param node: the starting point of the graph traversal.
        :param recursive: whether to include the dependants of dependants.
        """
        from .graph import dependants

        return dependants(self.graph(), node, recursive)

    def __repr__(self) -> str:
        return f"Pipeline([{', '.join(self.tasks)}])"
