"""The session resources that a set of tasks needs."""

from __future__ import annotations

import inspect
from types import FunctionType
from typing import TYPE_CHECKING, Any

from pydatatask_core.repository.base import Repository
from pydatatask_core.task.base import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pydatatask_core.session import Session

__all__ = ["needed_resources"]


def needed_resources(session: Session, tasks: Iterable[Task]) -> list[Callable[[], Any]]:
    """Return the resources that tasks, their functions and their repositories refer to.

    Resources that depend on others are opened by the session, which resolves that itself.

    :param session: the session that has the resources.
    :param tasks: the tasks to open the session for.
    """
    known = {id(resource): resource for resource in session.resources}
    modules = {resource.__module__ for resource in session.resources}
    needed: dict[int, Callable[[], Any]] = {}
    seen: set[int] = set()
    stack = [obj for task in tasks for obj in task.references()]
    while stack:
        obj = stack.pop()
        if id(obj) in seen:
            continue
        seen.add(id(obj))
        if id(obj) in known:
            needed[id(obj)] = known[id(obj)]
        elif isinstance(obj, Task | Repository) or getattr(obj, "__module__", "") in modules:
            stack.extend(_references(obj))
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
