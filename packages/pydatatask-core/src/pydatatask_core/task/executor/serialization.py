"""What travels to a worker in another process, and what cannot.

A function travels as a reference, a module and a name in it; repositories are pickled if all that
they know of their data is where it lives.
"""

from __future__ import annotations

import importlib
import os
import pickle
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

from pydatatask_core.errors import TaskConfigurationError, describe
from pydatatask_core.repository.files.base import FileRepositoryBase
from pydatatask_core.repository.snapshot import View
from pydatatask_core.task.function import FunctionTask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydatatask_core.repository.base import Repository

__all__ = ["BoundFunction", "Reference", "deserialize", "serialize", "stores"]

_PROTOCOL = 4  # so that a worker may run any Python that we support


class BoundFunction(NamedTuple):
    """What every job of a task runs: a function, and the repositories that it is given by name."""

    func: Callable[..., Any]
    links: Mapping[str, Any]


class Reference(NamedTuple):
    """Where to find a function."""

    module: str
    name: str

    def resolve(self) -> Any:
        """Find the function; the body of the task, if its decorator has put that in its place.

        :raises ImportError: if the module cannot be imported here.
        :raises AttributeError: if it has no such name.
        """
        value: Any = importlib.import_module(self.module)
        for part in self.name.split("."):
            value = getattr(value, part)
        return value.func if isinstance(value, FunctionTask) else value


def serialize(task: str, body: BoundFunction, main: bool) -> bytes:
    """Make of a body what a worker in another process can unpack.

    This looks at the disk, so it does not belong into an event loop.

    :param task: the name of the task, for messages.
    :param body: the function and its repositories.
    :param main: whether workers load the script that is run, so that they find what it defines.
    :raises TaskConfigurationError: naming what cannot travel, and what to do.
    """
    func = _portable_function(task, body.func, main)
    for name, repo in body.links.items():
        _check_repository(task, name, repo)
    relative = any(
        isinstance(store, FileRepositoryBase) and not store.basedir.is_absolute()
        for repo in body.links.values()
        for store in stores(repo)
    )
    folder = os.getcwd() if relative else None
    return pickle.dumps((folder, func, dict(body.links)), _PROTOCOL)


def deserialize(payload: bytes) -> BoundFunction:
    """Find the function, and make repositories like those that were packed.

    :raises Exception: if something of it is not to be had here.
    """
    folder, func, links = pickle.loads(payload)
    if folder is not None and os.getcwd() != folder:
        raise TaskConfigurationError(
            f"a repository has a relative path, and the working directory is {os.getcwd()!r} here, "
            f"but {folder!r} where the pipeline runs; give it an absolute path"
        )
    if isinstance(func, Reference):
        func = func.resolve()
    return BoundFunction(func, links)


def stores(repo: Repository) -> Iterator[Repository]:
    """Iterate the repositories that hold data beneath a repository, or itself if it does."""
    if isinstance(repo, View):
        for child in repo.children.values():
            yield from stores(child)
    else:
        yield repo


def _portable_function(task: str, func: Callable[..., Any], main: bool) -> Any:
    if not isinstance(func, FunctionType):  # a partial, a method, an instance with __call__
        try:
            pickle.loads(pickle.dumps(func, _PROTOCOL))
        except Exception as e:
            raise _refusal(task, f"{func!r},", f"does not pickle ({describe(e)})") from e
        return func
    reference = Reference(func.__module__, func.__qualname__)
    problem = None
    if func.__name__ == "<lambda>":
        problem = "is a lambda, which no other process can find"
    elif "<locals>" in reference.name:
        problem = "is defined inside another function, where no other process can find it"
    elif reference.module == "__main__" and not main:
        problem = "is defined in what is run as `__main__`, which these workers do not load"
    else:
        try:
            if reference.resolve() is not func:
                problem = "is not what is found there under that name"
        except Exception as e:  # noqa: BLE001 - an import may raise anything; it is told below
            problem = f"is not found there ({describe(e)})"
    if problem is not None:
        raise _refusal(task, f"{reference.module}.{reference.name},", problem)
    return reference


def _refusal(task: str, what: str, problem: str) -> TaskConfigurationError:
    return TaskConfigurationError(
        f"the body of {task}, {what} cannot travel to a worker in another process: it {problem}. "
        "Define it at the top level of a module that the workers can import, or use threads"
    )


def _check_repository(task: str, name: str, repo: Repository) -> None:
    problem = None
    cause = None
    try:
        pickle.loads(pickle.dumps(repo, _PROTOCOL))
    except Exception as e:  # noqa: BLE001 - pickling may raise anything; it is told below
        problem, cause = describe(e), e
    else:
        for store in stores(repo):
            if store.identity is None:
                problem = (
                    f"{store!r} does not say where its data lives (its `identity` is None), so "
                    "that its copy would be another repository"
                )
    if problem is not None:
        raise TaskConfigurationError(
            f"the link {name!r} of {task}, {repo!r}, cannot travel to a worker in another process: "
            f"{problem}. Link a repository in files, or use threads"
        ) from cause
