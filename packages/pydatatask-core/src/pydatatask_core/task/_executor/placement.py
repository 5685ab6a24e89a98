"""Where the jobs of an executor task go: the executor, and the form that it takes them in."""

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
from pydatatask_core.utils import run_to_completion

from .hop import Bridge
from .standin import stand_in
from .travel import Body, pack
from .worker import Ending, LocalOrder, Order, SentOrder, run

if TYPE_CHECKING:
    from pydatatask_core.repository.base import Repository
    from pydatatask_core.repository.job_scope import JobScope

__all__ = ["ExecutorSource", "Placement", "is_executor"]

ExecutorSource = Executor | Callable[[], Executor]
"""An executor, or what gives it once it is there."""

MOST_IN_FLIGHT = 1000
"""How many jobs an executor has at once that does not say how many workers it has."""

SPARE = 16
"""How many jobs it has beyond twice its workers, so that short ones do not leave them idle."""


def is_executor(value: object) -> bool:
    """Tell whether something takes jobs as ``concurrent.futures.Executor`` does."""
    return isinstance(value, Executor) or (
        callable(getattr(value, "submit", None)) and not isinstance(value, type)
    )


class Placement:
    """Finds the executor when it is needed, and hands jobs to it.

    A thread pool shares everything with this process. Any other executor is taken to have its
    workers elsewhere, and gets nothing that does not travel.

    :param task: the name of the task, for messages.
    :param source: the executor, or a callable that gives it. That is asked again only when the
        executor takes no more jobs, and may give a new one then.
    :param body: gives the function and its repositories.
    """

    def __init__(self, task: str, source: ExecutorSource, body: Callable[[], Body]) -> None:
        if isinstance(source, type) or not (is_executor(source) or callable(source)):
            raise TaskConfigurationError(
                f"{task}: executor has to be a concurrent.futures.Executor that is ready for "
                f"use, or a function that gives one, not {source!r}"
            )
        self._task = task
        self._source = source
        self._body = body
        self._executor: Executor | None = None
        self._order: Callable[[JobScope], Order] | None = None
        self._bridge: Bridge | None = None
        self._lock = asyncio.Lock()

    @property
    def most_in_flight(self) -> int:
        """How many jobs to have in the executor at once: enough for all workers to be busy."""
        workers = getattr(self._executor, "_max_workers", None)
        return 2 * workers + SPARE if isinstance(workers, int) else MOST_IN_FLIGHT

    def forget(self) -> None:
        """Let go of the executor; functions in threads reach no repository from now on."""
        if self._bridge is not None:
            self._bridge.close()
        self._executor = self._order = self._bridge = None
        self._lock = asyncio.Lock()

    async def prepare(self, instead_of: Executor | None = None) -> Executor:
        """Find the executor, unless it was found before, and make things ready for it.

        :param instead_of: the executor that was found before and takes no more jobs.
        :raises TaskConfigurationError: if something that has to travel to its workers cannot.
        """
        async with self._lock:
            executor = self._executor
            if executor is None or executor is instead_of:
                found = self._ask()
                if found is not executor:
                    self._order = await self._order_for(found)
                self._executor = executor = found
            return executor

    def _ask(self) -> Executor:
        source = self._source
        if is_executor(source):
            return source  # type: ignore[return-value] # it was found to be one
        found = source()  # type: ignore[operator] # and else it was found to be callable
        if not is_executor(found):
            raise TaskConfigurationError(
                f"{self._task}: the executor's callable gave {found!r}, which is no executor"
            )
        return found

    async def _order_for(self, executor: Executor) -> Callable[[JobScope], Order]:
        body = self._body()
        if isinstance(executor, ThreadPoolExecutor):
            if self._bridge is None:
                self._bridge = Bridge(asyncio.get_running_loop())
            links = {name: self._shared(repo) for name, repo in body.links.items()}
            return partial(LocalOrder, body=Body(body.func, links))
        packed = await asyncio.to_thread(lambda: pack(self._task, body, main=_loads_main(executor)))
        return partial(SentOrder, packed=packed)

    def _shared(self, repo: Repository) -> Any:
        """Give what a function in another thread sees of a repository.

        Those in files work from any loop as they are, since they do everything in threads.
        """
        assert self._bridge is not None
        in_files = isinstance(repo, FileRepositoryBase) and not isinstance(repo, View)
        return repo if in_files else stand_in(self._bridge, repo)

    def order(self, scope: JobScope) -> Order:
        """Create the order for the job of a scope; ``prepare`` comes first."""
        assert self._order is not None
        return self._order(scope)

    async def submit(self, order: Order, placed: Callable[[Future[Ending]], None]) -> None:
        """Hand an order to the executor.

        :param order: what to do.
        :param placed: called with the future, in whatever thread.
        :raises TaskConfigurationError: if the executor takes no more jobs, now or ever.
        """
        executor = await self.prepare()
        try:
            await self._hand_over(executor, order, placed)
        except Exception as e:
            another = await self.prepare(instead_of=executor)
            if another is executor:
                raise self._refused(executor, e) from e
            await self._hand_over(another, order, placed)

    async def _hand_over(
        self, executor: Executor, order: Order, placed: Callable[[Future[Ending]], None]
    ) -> None:
        def hand_over() -> None:
            placed(executor.submit(run, order))

        if isinstance(executor, ThreadPoolExecutor):
            hand_over()
        else:  # it may start processes, or talk to a scheduler
            await run_to_completion(asyncio.to_thread(hand_over))

    def _refused(self, executor: Executor, error: Exception) -> TaskError:
        kind = type(executor).__name__
        if isinstance(error, BrokenExecutor | RuntimeError):
            return TaskConfigurationError(
                f"{self._task}: its {kind} takes no more jobs: {describe(error)}. What is ready "
                "waits for the next run; give the task a function that makes a new executor to "
                "have it go on by itself"
            )
        return TaskError(f"{self._task}: its {kind} did not take a job: {describe(error)}")


def _loads_main(executor: Executor) -> bool:
    """Tell whether the workers of an executor know what the script that is run defines."""
    from concurrent.futures import ProcessPoolExecutor

    if not isinstance(executor, ProcessPoolExecutor):
        return False
    context = getattr(executor, "_mp_context", None)
    if context is not None and context.get_start_method() == "fork":
        return True
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None) or ""  # "<stdin>", for instance, is none
    return getattr(main, "__spec__", None) is not None or os.path.exists(file)
