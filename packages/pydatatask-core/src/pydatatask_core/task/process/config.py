"""Checks of the arguments of a process task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.errors import TaskConfigurationError
from pydatatask_core.proc_manager.base import AbstractProcessManager
from pydatatask_core.proc_manager.shell import parse_shell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydatatask_core.proc_manager.pool import ManagerPool

__all__ = ["check_environ", "check_flag", "check_manager", "check_resources", "parsed_shell"]


def check_resources(name: str, manager: object, quota: object, resources: object) -> None:
    """Check the types of the arguments of a task that are given by position.

    :param name: the name of the task.
    :param manager: a callable that returns the process manager.
    :param quota: the quota of the jobs.
    :param resources: the share of one job.
    :raises TaskConfigurationError: if one has another type.
    """
    if not callable(manager):
        raise TaskConfigurationError(
            f"{name}: manager has to be a callable that returns a process manager, such "
            f"as `lambda: {manager!r}`, not {manager!r} itself"
        )
    from pydatatask_core.resource_manager import ResourceManager, Resources

    if not isinstance(quota, ResourceManager) or not isinstance(resources, Resources):
        raise TaskConfigurationError(
            f"{name}: resource_manager has to be a ResourceManager and job_resources "
            f"Resources, not {quota!r} and {resources!r}"
        )


def check_flag(name: str, parameter: str, value: object) -> bool:
    """Return a flag, or raise if it is not one.

    :param name: the name of the task.
    :param parameter: the name of the argument.
    :param value: the argument.
    :raises TaskConfigurationError: if it has another type.
    """
    if not isinstance(value, bool):
        raise TaskConfigurationError(f"{name}: {parameter} has to be True or False, not {value!r}")
    return value


def check_manager(
    name: str, create: Callable[[], AbstractProcessManager | ManagerPool]
) -> AbstractProcessManager | ManagerPool:
    """Return the process manager that the argument of a task returns, or its pool of managers.

    :param name: the name of the task.
    :param create: the argument.
    :raises TaskConfigurationError: if it returns anything else.
    """
    manager = create()
    if not isinstance(manager, AbstractProcessManager) and not _is_pool(manager):
        raise TaskConfigurationError(
            f"{name}: its manager, {create!r}, returned {manager!r}, which is not a process manager"
        )
    return manager


def _is_pool(manager: object) -> bool:
    from pydatatask_core.proc_manager.pool import ManagerPool

    return isinstance(manager, ManagerPool)


def parsed_shell(name: str, shell: str | None) -> tuple[str, ...] | None:
    """Parse the command line of an interpreter.

    :param name: the name of the task.
    :param shell: the command line; None for the default.
    :raises TaskConfigurationError: if it is not one.
    """
    try:
        return parse_shell(shell)
    except ValueError as e:
        raise TaskConfigurationError(f"{name}: {e}") from e


def check_environ(name: str, environ: Mapping[str, str] | None) -> dict[str, str]:
    """Return a copy of environment variables.

    :param name: the name of the task.
    :param environ: the variables.
    :raises TaskConfigurationError: if one cannot be set.
    """
    checked = dict(environ or {})
    for key, value in checked.items():
        if not isinstance(key, str) or not key or "=" in key or "\0" in key:
            raise TaskConfigurationError(f"{name}: {key!r} cannot be an environment variable")
        if not isinstance(value, str) or "\0" in value:
            raise TaskConfigurationError(
                f"{name}: the environment variable {key} has to be a string, not {value!r}"
            )
    return checked
