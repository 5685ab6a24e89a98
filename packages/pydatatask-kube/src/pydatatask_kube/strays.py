"""Pods of an application that nobody looks after. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .names import name_of, task_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

__all__ = ["describe_strays"]


def describe_strays(
    pods: Iterable[Mapping[str, Any]], tasks: Collection[str], where: str
) -> str | None:
    """Say which pods belong to no task, if some do.

    :param pods: the pods of an application.
    :param tasks: the tasks that there are.
    :param where: the namespace and server.
    """
    strays = [name_of(pod) for pod in pods if task_of(pod) not in tasks]
    if not strays:
        return None
    return (
        f"{where} has {len(strays)} pods of this app that belong to no task which the pipeline "
        f"was opened for, {min(strays)!r} for one; they are left alone"
    )
