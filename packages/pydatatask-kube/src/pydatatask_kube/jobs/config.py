"""Checks of the arguments of a ``KubeTask``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import TaskConfigurationError
from pydatatask_core.resource_manager import ResourceManager

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["check_env", "check_managers"]


def check_managers(name: str, podman: object, resources: object) -> None:
    """Check the types of the arguments of a task that are given by position.

    :param name: the name of the task.
    :param podman: a callable that returns the pod manager.
    :param resources: the quota of the jobs.
    :raises TaskConfigurationError: if one has another type.
    """
    if not callable(podman):
        raise TaskConfigurationError(
            f"{name}: podman must be a callable that returns a PodManager, such as "
            f"`lambda: {podman!r}`, not {podman!r} itself"
        )
    if not isinstance(resources, ResourceManager):
        raise TaskConfigurationError(
            f"{name}: resources must be a ResourceManager, not {resources!r}"
        )


def check_env(name: str, env: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a copy of the additional names for templates.

    :param name: the name of the task.
    :param env: the names and their values.
    :raises TaskConfigurationError: if a template could not use one of them.
    """
    checked = dict(env or {})
    for key in checked:
        if not isinstance(key, str) or not key.isidentifier():
            raise TaskConfigurationError(
                f"{name}: keys of env must be identifiers, because templates use them as names; "
                f"{key!r} is not one"
            )
    return checked
