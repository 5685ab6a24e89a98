"""Quota usage of the pods of a task."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import QuantityError
from pydatatask_core.resource_manager import Resources
from pydatatask_kube.names import name_of
from pydatatask_kube.requests import resources_of
from pydatatask_kube.state import created_at, is_over

if TYPE_CHECKING:
    from pydatatask_kube.task import KubeTask

    from .jobs import Jobs

__all__ = ["request_of", "usage_of"]

log = logging.getLogger("pydatatask.task")


async def usage_of(task: KubeTask, jobs: Jobs) -> Resources:
    """Return the resources that the pods of a task use, and the number of recent launches.

    :param task: the task.
    :param jobs: its jobs that this process tracks.
    """
    # A task that only shares the quota with a driven task must not be driven by this query.
    looks_after = jobs.listens or (task.runtime is not None and task.drives)
    if looks_after:
        await jobs.adopt()
    now = task.podman.client.clock.now()
    pods = await task.podman.find(task.name)
    total = Resources(launches=0)
    if looks_after:
        for live in jobs.jobs.values():
            if live.holds_quota:
                total += live.request.without_launches()
    else:
        for pod in pods:
            if not is_over(pod):
                total += request_of(pod, task.name).without_launches()
    recent = sum(now - created_at(pod, now) < task.window for pod in pods)
    return total + Resources(launches=recent)


def request_of(pod: dict[str, Any], task: str) -> Resources:
    """Return the resources that an existing pod uses of the quota."""
    try:
        return resources_of(pod.get("spec") or {})
    except QuantityError as e:  # unexpected: the API server validates quantities
        log.warning("%s: the resources of the pod %s are not counted: %s", task, name_of(pod), e)
        return Resources(launches=1)
