"""Stopping of pods that another process tracks, or none."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from pydatatask_kube.cluster.pod_state import is_terminated
from pydatatask_kube.outcome.pod_outcome import DISCARDED, KILLED_KIND
from pydatatask_kube.pod_names import TERMINATION_REASON, name_of, uid_of

from .terminating_pods import DELETION_TIMEOUT_SECONDS, POLL_INTERVAL_SECONDS

if TYPE_CHECKING:
    from pydatatask_kube.task import KubeTask

__all__ = ["KILL_GRACE_SECONDS", "delete_foreign_pod", "kill_foreign_pod"]

KILL_GRACE_SECONDS = 10
"""Grace period of a pod that is discarded, in seconds."""


async def delete_foreign_pod(task: KubeTask, pod: dict[str, Any]) -> None:
    """Delete a pod, and mark it so that its driver does not record its outcome.

    :param task: the task.
    :param pod: the pod.
    """
    await task.podman.patch(pod, {"metadata": {"annotations": {TERMINATION_REASON: DISCARDED}}})
    await task.podman.remove(name_of(pod), uid_of(pod), KILL_GRACE_SECONDS)
    await _wait(task, pod, until_terminated=False)


async def kill_foreign_pod(task: KubeTask, job: str) -> bool:
    """Stop the pod of a job, whose driver then records the outcome.

    :param task: the task.
    :param job: the job.
    :return: whether there was a pod.
    """
    pods = [pod for pod in await task.podman.find(task.name, job) if not is_terminated(pod)]
    for pod in pods:
        change: dict[str, Any] = {"metadata": {"annotations": {TERMINATION_REASON: KILLED_KIND}}}
        started = bool(pod.get("status", {}).get("startTime"))
        if started:  # the kubelet stops it and keeps the pod, so its logs can still be read
            change["spec"] = {"activeDeadlineSeconds": 1}
        await task.podman.patch(pod, change)
        if not started:
            await task.podman.remove(name_of(pod), uid_of(pod))
        await _wait(task, pod, until_terminated=started)
    return bool(pods)


async def _wait(task: KubeTask, pod: dict[str, Any], *, until_terminated: bool) -> None:
    grace = pod.get("spec", {}).get("terminationGracePeriodSeconds") or 0
    deadline = time.monotonic() + grace + DELETION_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        current = await task.podman.get(name_of(pod))
        if (
            current is None
            or uid_of(current) != uid_of(pod)
            or (until_terminated and is_terminated(current))
        ):
            return
        await asyncio.sleep(POLL_INTERVAL_SECONDS)
