"""What the pods of a task take of a quota."""

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
    """Tell what the live pods of a task take, and how many launches were recent.

    :param task: whose pods.
    :param jobs: those that this process looks after.
    """
    # Who only shares the quota with a task that is driven is not driven by being asked.
    looks_after = jobs.listens or (task.runtime is not None and task.drives)
    if looks_after:
        await jobs.adopt()
    now = task.podman.client.clock.now()
    pods = await task.podman.find(task.name)
    total = Resources(launches=0)
    if looks_after:
        for live in jobs.live.values():
            if live.counted:
                total += live.request.without_launches()
    else:
        for pod in pods:
            if not is_over(pod):
                total += request_of(pod, task.name).without_launches()
    recent = sum(now - created_at(pod, now) < task.window for pod in pods)
    return total + Resources(launches=recent)


def request_of(pod: dict[str, Any], task: str) -> Resources:
    """Tell what a pod that exists takes of the quota."""
    try:
        return resources_of(pod.get("spec") or {})
    except QuantityError as e:  # the API server takes none that are none
        log.warning("%s: what the pod %s takes is not counted: %s", task, name_of(pod), e)
        return Resources(launches=1)
