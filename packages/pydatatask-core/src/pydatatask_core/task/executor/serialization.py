"""Serialization of task bodies for workers in other processes.

A function is serialized as a reference, its module and qualified name. A function that workers
cannot find in this way is serialized by value, with cloudpickle, if the executor is one whose users
expect this. A repository is pickled if its only state is the location of its data.
"""

from __future__ import annotations

import importlib
import os
import pickle
from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

from pydatatask_core.errors import TaskConfigurationError, describe
from pydatatask_core.repository.files.base import FileRepositoryBase
from pydatatask_core.repository.snapshot import stores
from pydatatask_core.task.function import FunctionTask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydatatask_core.repository.base import Repository

__all__ = ["BoundFunction", "Reference", "deserialize", "serialize"]

_PROTOCOL = 4  # readable by workers with any supported Python version

Dumps = Callable[[Any], bytes]


class BoundFunction(NamedTuple):
    """The body of a task's jobs: a function, and the repositories passed to it by name."""

    func: Callable[..., Any]
    links: Mapping[str, Any]


class Reference(NamedTuple):
    """A function by module and qualified name."""

    module: str
    name: str

    def resolve(self) -> Any:
        """Return the function; if a task decorates it, the body of the task.

        :raises ImportError: if the module cannot be imported here.
        :raises AttributeError: if it has no such name.
        """
        value: Any = importlib.import_module(self.module)
        for part in self.name.split("."):
            value = getattr(value, part)
        return value.func if isinstance(value, FunctionTask) else value


def serialize(task: str, body: BoundFunction, main: bool, by_value: bool = False) -> bytes:
    """Serialize a body for a worker in another process.

    This accesses the file system, so do not call it in an event loop.

    :param task: the name of the task, for messages.
    :param body: the function and its repositories.
    :param main: whether workers load the main script, and can find functions defined in it.
    :param by_value: whether to serialize functions and classes by value that workers cannot find,
        if cloudpickle is installed.
    :raises TaskConfigurationError: naming the object that cannot be serialized, and the remedy.
    """
    dumps_by_value = _find_cloudpickle() if by_value else None
    dumps = partial(dumps_by_value or pickle.dumps, protocol=_PROTOCOL)
    func = _portable_function(task, body.func, main, dumps_by_value is not None, dumps)
    for name, repo in body.links.items():
        _check_repository(task, name, repo, dumps)
    relative = any(
        isinstance(store, FileRepositoryBase) and not store.basedir.is_absolute()
        for repo in body.links.values()
        for store in stores(repo)
    )
    folder = os.getcwd() if relative else None
    return dumps((folder, func, dict(body.links)))


def deserialize(payload: bytes) -> BoundFunction:
    """Return the function and copies of the repositories of a serialized body.

    :raises Exception: if one of them is not available in this process.
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


def _find_cloudpickle() -> Callable[..., bytes] | None:
    """Return ``cloudpickle.dumps``, which loky and Dask depend on, or None without it."""
    try:
        from cloudpickle import dumps  # type: ignore[import-untyped] # no type information
    except ImportError:
        return None
    return dumps  # type: ignore[no-any-return] # as above


def _portable_function(
    task: str, func: Callable[..., Any], main: bool, by_value: bool, dumps: Dumps
) -> Any:
    """Return a reference to a function if workers can find it, else the function to pickle."""
    if isinstance(func, FunctionType):
        reference = Reference(func.__module__, func.__qualname__)
        problem = _reference_problem(reference, func, main)
        if problem is None:
            return reference
        if not by_value:
            raise _refusal(task, f"{reference.module}.{reference.name},", problem)
    try:  # also a partial, a method, an instance with __call__
        pickle.loads(dumps(func))
    except Exception as e:
        raise _refusal(task, f"{func!r},", f"does not pickle ({describe(e)})") from e
    return func


def _reference_problem(reference: Reference, func: FunctionType, main: bool) -> str | None:
    """Return why another process cannot find a function by its name, or None if it can."""
    if func.__name__ == "<lambda>":
        return "is a lambda, which no other process can find"
    if "<locals>" in reference.name:
        return "is defined inside another function, where no other process can find it"
    if reference.module == "__main__" and not main:
        return "is defined in the script run as `__main__`, which these workers do not load"
    try:
        if reference.resolve() is not func:
            return "is not the object with that name in its module"
    except Exception as e:  # noqa: BLE001 - an import may raise anything; reported by the caller
        return f"cannot be found there ({describe(e)})"
    return None


def _refusal(task: str, what: str, problem: str) -> TaskConfigurationError:
    return TaskConfigurationError(
        f"the body of {task}, {what} cannot be passed to a worker in another process: it "
        f"{problem}. "
        "Define it at the top level of a module that the workers can import, or use threads"
    )


def _check_repository(task: str, name: str, repo: Repository, dumps: Dumps) -> None:
    problem = None
    cause = None
    try:
        pickle.loads(dumps(repo))
    except Exception as e:  # noqa: BLE001 - pickling may raise anything; reported below
        problem, cause = describe(e), e
    else:
        for store in stores(repo):
            if store.identity is None:
                problem = (
                    f"the location of the data of {store!r} is unknown (its `identity` is None), "
                    "so that its copy would be another repository"
                )
    if problem is not None:
        raise TaskConfigurationError(
            f"the link {name!r} of {task}, {repo!r}, cannot be passed to a worker in another "
            f"process: "
            f"{problem}. Link a repository in files, or use threads"
        ) from cause
