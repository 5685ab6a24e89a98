"""Stopping of pods that another process tracks, or none."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from pydatatask_kube.names import FATE, name_of, uid_of
from pydatatask_kube.outcome import DISCARDED, KILLED
from pydatatask_kube.state import is_over

from .leaving import FAREWELL, LOOK_AGAIN

if TYPE_CHECKING:
    from pydatatask_kube.setting import KubeSetting

__all__ = ["KILL_GRACE", "discard_foreign", "kill_foreign"]

KILL_GRACE = 10
"""Grace period of a pod that is discarded, in seconds."""


async def discard_foreign(task: KubeSetting, pod: dict[str, Any]) -> None:
    """Delete a pod, and mark it so that its driver does not record its outcome.

    :param task: the task.
    :param pod: the pod.
    """
    await task.podman.patch(pod, {"metadata": {"annotations": {FATE: DISCARDED}}})
    await task.podman.remove(name_of(pod), uid_of(pod), KILL_GRACE)
    await _wait(task, pod, until_over=False)


async def kill_foreign(task: KubeSetting, job: str) -> bool:
    """Stop the pod of a job, whose driver then records the outcome.

    :param task: the task.
    :param job: the job.
    :return: whether there was a pod.
    """
    pods = [pod for pod in await task.podman.find(task.name, job) if not is_over(pod)]
    for pod in pods:
        change: dict[str, Any] = {"metadata": {"annotations": {FATE: KILLED}}}
        begun = bool(pod.get("status", {}).get("startTime"))
        if begun:  # the kubelet stops it and keeps the pod, so its logs can still be read
            change["spec"] = {"activeDeadlineSeconds": 1}
        await task.podman.patch(pod, change)
        if not begun:
            await task.podman.remove(name_of(pod), uid_of(pod))
        await _wait(task, pod, until_over=begun)
    return bool(pods)


async def _wait(task: KubeSetting, pod: dict[str, Any], *, until_over: bool) -> None:
    grace = pod.get("spec", {}).get("terminationGracePeriodSeconds") or 0
    deadline = time.monotonic() + grace + FAREWELL
    while time.monotonic() < deadline:
        now = await task.podman.get(name_of(pod))
        if now is None or uid_of(now) != uid_of(pod) or (until_over and is_over(now)):
            return
        await asyncio.sleep(LOOK_AGAIN)
