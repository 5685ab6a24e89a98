"""The pipeline: tasks, a session, and the rounds that keep them in motion."""

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
    """An unordered collection of tasks, and what it takes to keep them in motion.

    Which task follows which is implied by the repositories that they share.

    :param tasks: the tasks which make up this pipeline.
    :param session: the session to open while this pipeline is active; an empty one by default.
    :param resources: any resource managers in use besides those that the tasks name themselves.
    :param priority: gives an integer priority for a task's name and a job. No job is scheduled
        unless all with a larger number have been.
    :param on_failure: called with a task's name, a job and its record when a job has failed and
        is not tried again; sync or async.
    :param exclusive: whether to refuse to open while another process on this machine drives one
        of the tasks.
    :raises PipelineConfigurationError: if something is no task, or two tasks have one name.
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
        # Here, so that to name the class costs little.
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
        """What was found to be wrong when it was opened to be inspected."""
        self._resources = list(resources)
        self._open = False
        self._lock: DriverLock | None = None
        self._scheduler = Scheduler([], None)
        self._active_call: str | None = None

    @property
    def resources(self) -> list[ResourceManager]:
        """Every quota that the pipeline was given, or that one of its tasks draws on."""
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

        :param mode: what for. ``drive`` is to launch and reap; ``inspect`` only looks: it creates
            nothing, and what is wrong with a task keeps nobody from looking at the others, but is
            noted in :attr:`problems`; ``one`` is to launch one job by hand.
        :param only: the names of the tasks to open it for, with no more of the session than these
            need; all by default.
        :raises PipelineError: if it is open already, or has no task of a name in ``only``.
        :raises PipelineLockedError: if another process drives it.
        """
        if self._open:
            raise PipelineError("the pipeline is open already; close it before opening it again")
        if mode not in ("drive", "inspect", "one"):
            raise ValueError(f"a pipeline is opened to 'drive', 'inspect' or 'one', not {mode!r}")
        from pydatatask_core.utils import run_to_completion

        from .collisions import prepare_shared_outputs
        from .lock import DriverLock
        from .scheduler import Scheduler
        from .session_resources import needed_resources
        from .validation import find_problems, log_config_warnings, raise_problems

        tasks = self._named(self.tasks if only is None else only)
        self._open = True
        self.mode = mode
        self._scheduler = Scheduler(tasks, self.priority)
        try:
            needed = None if only is None else needed_resources(self.session, tasks)
            await self.session.open(only=needed)
            if mode == "drive" and self.exclusive:
                # Only now does a repository on a server know where its data lives.
                self._lock = DriverLock(tasks)
                await run_to_completion(asyncio.to_thread(self._lock.acquire))
            for task in tasks:
                task.attach(self)
            for quota in self.resources:
                quota.add_listener(self._scheduler.on_quota_released)
                await quota.flush()
            shared = (
                await prepare_shared_outputs(tasks) if mode == "drive" else None
            )  # before jobs are found
            self.problems = await find_problems(tasks, create=mode != "inspect")
            if mode != "inspect":
                raise_problems(self.problems)
            if shared is not None:
                await shared.load()
            if mode == "drive":
                await log_config_warnings(tasks)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the pipeline and its session; leaving ``async with pipeline`` does so as well.

        What runs elsewhere goes on; functions that run in this process are cancelled.
        """
        if not self._open:
            return
        scheduler = self._scheduler
        async with AsyncExitStack() as stack:  # each step, whatever becomes of those before it
            stack.push_async_callback(self._unlock)
            stack.push_async_callback(self.session.close)
            for task in scheduler.tasks:
                stack.callback(task.attach, None)
            for quota in self.resources:
                stack.callback(quota.remove_listener, scheduler.on_quota_released)
            stack.callback(setattr, self, "_open", False)
            if scheduler.current_run is not None:
                scheduler.current_run.fail(
                    PipelineNotOpenError("the pipeline was closed while it was run")
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
        """Keep out others who would launch what this one is about to launch."""
        self._require_open()
        if self._active_call == "run":
            raise PipelineError(f"{name}() is of no use now: the pipeline is being run already")
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
        :raises PipelineError: if it is none of this pipeline.
        :raises PydatataskError: if a repository that it depends on cannot be listed.
        """
        from .readiness import Readiness

        self._require_open()
        if task not in self.tasks.values():
            raise PipelineError(f"{task!r} is no task of this pipeline, which has {self!r}")
        before = set(task.running)  # one that ends meanwhile may have been seen nowhere
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
        """Keep the pipeline in motion until it is quiet.

        It is quiet when no job is live, none was launched, and nothing is unknown. What ends in
        this process or under our eyes is acted upon at once; ``poll`` is only for stores that
        change behind our back. Cancellation stops launching at once and leaves work that runs
        elsewhere running.

        :param forever: whether to go on when it is quiet.
        :param launch_once: whether to launch only what is ready at the beginning, and then to
            wait for its end.
        :param timeout: after how many seconds to give up; what runs is left running.
        :param poll: how many seconds to wait between rounds in which nothing happens; it waits at
            least as long as the last round took.
        :param progress: called after every step with how far things are.
        :raises TimeoutError: if the time is up.
        """
        if poll <= 0:
            raise ValueError(f"poll has to be a number of seconds above 0, not {poll!r}")
        with self._exclusive_call("run") as scheduler:
            async with asyncio.timeout(timeout):
                return await scheduler.run(self.resources, forever, launch_once, poll, progress)

    async def complete_local_jobs(self) -> RunSummary:
        """Wait until every job that ends with this process has ended and is recorded.

        These are functions and jobs of executors. They get the attempts that ``retries`` gives
        them; nothing is launched that no round has found ready. Call it after :meth:`update` or
        ``Task.launch`` if the process is to end after that.

        :return: what happened since then, and the jobs that have failed since the pipeline was
            opened or :meth:`run` began.
        """
        with self._exclusive_call("complete_local_jobs") as scheduler:
            return await scheduler.complete_local(self.resources)

    # -- what tasks tell -------------------------------------------------------------------------

    @property
    def looping(self) -> bool:
        """Whether :meth:`run` is at work."""
        return self._scheduler.current_run is not None

    def wake(self, task: Task) -> None:
        """Note that something of a task has ended."""
        self._scheduler.wake(task)

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """Run something beside the loop until the pipeline closes, which cancels it."""
        self._scheduler.background.spawn(coroutine, name)

    async def failed(self, task: Task, job: str, record: Mapping[str, Any]) -> None:
        """Note that a job has failed and is not tried again."""
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
        """Iterate what depends on a node of the dependency graph.

        :param node: the starting point of the graph traversal.
        :param recursive: whether to go on to what depends on the direct dependants.
        """
        from .graph import dependants

        return dependants(self.graph(), node, recursive)

    def __repr__(self) -> str:
        return f"Pipeline([{', '.join(self.tasks)}])"
