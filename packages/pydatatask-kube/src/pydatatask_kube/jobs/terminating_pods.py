"""Pods that are terminating: deleted, but still present."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from pydatatask_kube.errors import PodManagerError
from pydatatask_kube.pod_names import uid_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydatatask_kube.task import KubeTask

    from .job import PodJob

__all__ = ["DELETION_TIMEOUT_SECONDS", "POLL_INTERVAL_SECONDS", "TerminatingPods"]

log = logging.getLogger("pydatatask.task")

DELETION_TIMEOUT_SECONDS = 30.0
"""Seconds beyond its grace period within which a deleted pod is expected to disappear."""

POLL_INTERVAL_SECONDS = 0.5
"""Poll interval for a pod that is not watched, in seconds."""

_DEFAULT_GRACE_SECONDS = 30


class TerminatingPods:
    """The pods of a task that were deleted and may still exist, for example due to a finalizer.

    The task does not wait for pods of which everything is recorded. A warning is logged once for
    each pod that does not disappear.

    :param task: the task.
    """

    def __init__(self, task: KubeTask) -> None:
        self.task = task
        self._expected: dict[str, tuple[float, PodJob]] = {}
        """By uid, the monotonic time by which the pod is expected to disappear, and its finished
        job."""
        self._warned: set[str] = set()

    def __contains__(self, uid: str) -> bool:
        return uid in self._expected

    def add(self, tracked: PodJob) -> None:
        """Add the pod of a job whose outcome is recorded.

        :param tracked: the job.
        """
        timeout = DELETION_TIMEOUT_SECONDS
        if _is_lost(tracked):
            self._warned.add(tracked.uid)  # its record already says so
            timeout = 0.0
        self._expected[tracked.uid] = time.monotonic() + timeout, tracked

    def drop(self, uid: str) -> bool:
        """Remove a pod that has disappeared, and return whether its job was recorded.

        :param uid: the uid of the pod.
        """
        self._warned.discard(uid)
        return self._expected.pop(uid, None) is not None

    def keep_only(self, uids: Collection[str]) -> bool:
        """Remove the pods that no longer exist, and return whether there were any.

        :param uids: the uids of all existing pods of the task.
        """
        gone = self._expected.keys() - set(uids)
        for uid in gone:
            self.drop(uid)
        return bool(gone)

    @property
    def expects_deletions(self) -> bool:
        """True if a pod of a recorded job is expected to disappear soon."""
        now, is_expected = time.monotonic(), False
        for until, tracked in self._expected.values():
            if now < until:
                is_expected = True
            else:
                self._warn(tracked)
        return is_expected

    async def wait_terminated(self, tracked: PodJob) -> None:
        """Wait, with a limit, until no container of a pod runs any longer.

        :param tracked: its job.
        """
        if not _is_lost(tracked) and not await self._wait_for(tracked, tracked.stopped):
            self._warn(tracked)

    async def wait_deleted(self, tracked: PodJob, *, limited: bool = False) -> None:
        """Wait until a pod has been deleted.

        :param tracked: its job.
        :param limited: whether to stop waiting after the usual maximum time.
        """
        while not (limited and _is_lost(tracked)) and not await self._wait_for(
            tracked, tracked.deleted
        ):
            self._warn(tracked)
            if limited:
                return

    async def _wait_for(self, tracked: PodJob, event: asyncio.Event) -> bool:
        assert tracked.pod is not None
        grace = tracked.pod.get("spec", {}).get("terminationGracePeriodSeconds")
        try:
            async with asyncio.timeout(
                DELETION_TIMEOUT_SECONDS + (_DEFAULT_GRACE_SECONDS if grace is None else grace)
            ):
                if self.task.drives:  # the watch sets the event
                    await event.wait()
                else:
                    await self._poll(tracked, event)
        except TimeoutError:
            return False
        return True

    async def _poll(self, tracked: PodJob, event: asyncio.Event) -> None:
        assert tracked.pod is not None
        while True:
            try:
                pod = await self.task.podman.get(tracked.name)
            except PodManagerError:
                pod = tracked.pod  # it may still exist; the next poll will show
            if pod is None or uid_of(pod) != tracked.uid:
                tracked.update_pod(tracked.pod, gone=True)
            else:
                tracked.update_pod(pod, gone=False)
            if event.is_set():
                return
            await asyncio.sleep(POLL_INTERVAL_SECONDS)

    def _warn(self, tracked: PodJob) -> None:
        if tracked.uid not in self._warned:
            self._warned.add(tracked.uid)
            log.warning(
                "%s: the pod %s of job %s was deleted but does not disappear; the job is not "
                "started again while the pod exists",
                *(self.task.name, tracked.name, tracked.job),
                extra={"task": self.task.name, "job": tracked.job},
            )


def _is_lost(tracked: PodJob) -> bool:
    """Return whether the node of a pod does not respond, so that waiting is useless."""
    return tracked.outcome is not None and tracked.outcome.kind == "lost"
