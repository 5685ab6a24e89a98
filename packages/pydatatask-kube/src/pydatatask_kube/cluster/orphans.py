"""Pods of an application that no task manages. Without I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydatatask_kube.pod_names import name_of, task_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

__all__ = ["describe_orphans"]


def describe_orphans(
    pods: Iterable[Mapping[str, Any]], tasks: Collection[str], where: str
) -> str | None:
    """Return a warning about the pods that belong to no task, or None if there are none.

    :param pods: the pods of an application.
    :param tasks: the names of the tasks.
    :param where: the namespace and server.
    """
    orphans = [name_of(pod) for pod in pods if task_of(pod) not in tasks]
    if not orphans:
        return None
    return (
        f"{where} has {len(orphans)} pods of this app that belong to no task of the open "
        f"pipeline, for example {min(orphans)!r}; they are left unchanged"
    )
