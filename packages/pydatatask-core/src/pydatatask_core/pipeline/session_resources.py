"""Opening of only those session resources that tasks or repositories need."""

from __future__ import annotations

import inspect
from contextlib import asynccontextmanager
from types import FunctionType
from typing import TYPE_CHECKING, Any

from pydatatask_core.repository.base import Repository
from pydatatask_core.task.base import Task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from pydatatask_core.session import Session

    from .pipeline import Pipeline

__all__ = ["needed_resources", "open_for_reading"]


@asynccontextmanager
async def open_for_reading(pipeline: Pipeline, tasks: Iterable[Task]) -> AsyncIterator[None]:
    """Open only the session resources that the repositories of tasks need, while in the context.

    The tasks are neither attached nor validated, so this needs no process manager and no quota.

    :param pipeline: the pipeline, which is not open.
    :param tasks: those of its tasks whose repositories are read.
    """
    tasks = list(tasks)
    repos = [link.repo for task in tasks for link in task.links.values()]
    needed = needed_resources(pipeline.session, repos)
    pipeline.mode = "inspect"
    try:
        if needed:
            await pipeline.session.open(only=needed)
        for task in tasks:
            task.runtime = pipeline  # repositories of live jobs ask whether this process drives
        yield
    finally:
        for task in tasks:
            if task.is_connected:
                task.attach(None)
            task.runtime = None
        if needed:
            await pipeline.session.close()


def needed_resources(session: Session, objects: Iterable[object]) -> list[Callable[[], Any]]:
    """Return the resources that objects refer to, such as tasks, functions and repositories.

    Resources that depend on others are opened by the session, which resolves that itself.

    :param session: the session that has the resources.
    :param objects: the objects to open the session for.
    """
    known = {id(resource): resource for resource in session.resources}
    modules = {resource.__module__ for resource in session.resources}
    needed: dict[int, Callable[[], Any]] = {}
    seen: set[int] = set()
    stack = list(objects)
    while stack:
        obj = stack.pop()
        if id(obj) in seen:
            continue
        seen.add(id(obj))
        if id(obj) in known:
            needed[id(obj)] = known[id(obj)]
        elif isinstance(obj, Task | Repository) or getattr(obj, "__module__", "") in modules:
            stack.extend(_references(obj))
            if type(obj).__module__ in modules:  # its methods may call resources
                stack.extend(vars(type(obj)).values())
    return list(needed.values())


def _references(obj: object) -> Iterator[object]:
    """Yield the objects that an object holds as attributes, or a function as variables."""
    if isinstance(obj, FunctionType):
        variables = inspect.getclosurevars(obj)
        yield from (*variables.nonlocals.values(), *variables.globals.values())
        return
    for value in getattr(obj, "__dict__", {}).values():
        if isinstance(value, FunctionType):
            yield from _references(value)
        elif isinstance(value, dict):
            yield from value.values()
        else:
            yield value
