"""The object that every command receives: the pipeline, opened as the command needs it."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from pydatatask_core.errors import describe

from .errors import CommandLineError, ExitStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable

    from pydatatask_core.pipeline import Pipeline
    from pydatatask_core.task.runtime import OpenMode

__all__ = ["App", "pass_app"]

log = logging.getLogger("pydatatask.main")

T = TypeVar("T")


class App:
    """The pipeline of one command, or the source to load it from.

    :param pipeline: the pipeline, if it is loaded already.
    """

    def __init__(self, pipeline: Pipeline | None = None) -> None:
        self._pipeline = pipeline
        self.source: str | None = None
        self.debug = False

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline, not opened; loaded on first access.

        :raises CommandLineError: if no source was given, or it cannot be loaded.
        """
        if self._pipeline is None:
            if not self.source:
                raise CommandLineError(
                    "no pipeline was given: add `-p FILE_OR_MODULE[:NAME]`, as in `-p main.py`, "
                    "or set PYDATATASK_PIPELINE"
                )
            from .loader import load_pipeline

            self._pipeline = load_pipeline(self.source)
        return self._pipeline

    def run(
        self,
        action: Callable[[Pipeline], Awaitable[T]],
        mode: OpenMode | Literal["read"] = "inspect",
        data: Iterable[str] = (),
        tasks: Iterable[str] = (),
        strict: bool = False,
    ) -> T:
        """Open the pipeline, await an action with it, and close it.

        :param action: the function to await.
        :param mode: the mode to open the pipeline with; ``read`` for actions that only use its
            repositories, so that its tasks are neither opened nor validated.
        :param data: the names of the links that are needed; the pipeline is opened only for these
            and ``tasks``. By default for all tasks.
        :param tasks: the names of the tasks that are needed.
        :param strict: whether configuration errors are raised in mode ``inspect`` too, rather than
            logged as warnings.
        :raises ExitStatus: if a termination signal arrives meanwhile.
        """
        from .lookup import find_data, find_task
        from .output import without_broken_pipes
        from .termination_signals import Termination

        pipeline, termination = self.pipeline, Termination()
        only = {find_data(pipeline, name).task.name for name in data}
        only |= {find_task(pipeline, name).name for name in tasks}

        async def perform() -> T:
            with termination.cancel_on_signal():
                async with _opened(pipeline, mode, sorted(only) or None, strict):
                    return await action(pipeline)

        async def isolated() -> T:
            # A raised cancellation count, as left by a third party's TaskGroup that fails before
            # Python 3.13, must not keep asyncio.run from raising KeyboardInterrupt after Ctrl-C.
            return await asyncio.create_task(perform(), name="pydatatask command")

        launches = mode in ("drive", "one")
        try:
            with without_broken_pipes() if launches else nullcontext():
                return asyncio.run(isolated())
        except asyncio.CancelledError:
            if termination.signal is None:
                raise
            raise ExitStatus(termination.status) from None


@asynccontextmanager
async def _opened(
    pipeline: Pipeline,
    mode: OpenMode | Literal["read"],
    only: Collection[str] | None,
    strict: bool,
) -> AsyncIterator[None]:
    """Open the pipeline as for :meth:`App.run`, and close it at the end of the context."""
    if mode == "read":
        from pydatatask_core.pipeline.session_resources import open_for_reading

        tasks = [pipeline.tasks[name] for name in only or pipeline.tasks]
        async with open_for_reading(pipeline, tasks):
            yield
        return
    from pydatatask_core.pipeline.validation import raise_problems

    await pipeline.open(mode, only)
    try:
        if strict:
            raise_problems(pipeline.problems)
        for problem in pipeline.problems:
            log.warning("%s", describe(problem))
        yield
    finally:
        await pipeline.close()


def pass_app(function: Callable[..., Any]) -> Callable[..., Any]:
    """Pass the :class:`App` to a command as its first argument."""
    return click.make_pass_decorator(App)(function)
