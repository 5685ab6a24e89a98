"""Quota usage of the pods of a task."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import QuantityError
from pydatatask_core.resource_manager import Resources
from pydatatask_kube.cluster.pod_state import created_at, is_terminated
from pydatatask_kube.manifest.resource_requests import resources_of
from pydatatask_kube.pod_names import name_of

if TYPE_CHECKING:
    from pydatatask_kube.task import KubeTask

    from .tracker import PodTracker

__all__ = ["request_of", "usage_of"]

log = logging.getLogger("pydatatask.task")


async def usage_of(task: KubeTask, tracker: PodTracker) -> Resources:
    """Return the resources that the pods of a task use, and the number of recent launches.

    :param task: the task.
    :param tracker: its jobs that this process tracks.
    """
    # A task that only shares the quota with a driven task must not be driven by this query.
    is_tracking = tracker.is_listening or (task.runtime is not None and task.drives)
    if is_tracking:
        await tracker.adopt()
    now = task.podman.client.clock.now()
    pods = await task.podman.find(task.name)
    total = Resources(launches=0)
    if is_tracking:
        for tracked in tracker.jobs.values():
            if tracked.holds_quota:
                total += tracked.request.without_launches()
    else:
        for pod in pods:
            if not is_terminated(pod):
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
