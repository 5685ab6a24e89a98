"""Pods that are terminating: deleted, but still present."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from pydatatask_kube.errors import PodManagerError
from pydatatask_kube.names import uid_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydatatask_kube.task import KubeTask

    from .job import LiveJob

__all__ = ["FAREWELL", "LOOK_AGAIN", "Leaving"]

log = logging.getLogger("pydatatask.task")

FAREWELL = 30.0
"""Seconds beyond its grace period within which a deleted pod is expected to disappear."""

LOOK_AGAIN = 0.5
"""Poll interval for a pod that is not watched, in seconds."""

_GRACE = 30


class Leaving:
    """The pods of a task that were deleted and may still exist, for example due to a finalizer.

    The task does not wait for pods of which everything is recorded. A warning is logged once for
    each pod that does not disappear.

    :param task: the task.
    """

    def __init__(self, task: KubeTask) -> None:
        self.task = task
        self._expected: dict[str, tuple[float, LiveJob]] = {}
        """By uid, the monotonic time by which the pod is expected to disappear, and its finished
        job."""
        self._told: set[str] = set()

    def __contains__(self, uid: str) -> bool:
        return uid in self._expected

    def add(self, live: LiveJob) -> None:
        """Add the pod of a job whose outcome is recorded.

        :param live: the job.
        """
        patience = FAREWELL
        if _is_lost(live):
            self._told.add(live.uid)  # its record already says so
            patience = 0.0
        self._expected[live.uid] = time.monotonic() + patience, live

    def drop(self, uid: str) -> bool:
        """Remove a pod that has disappeared, and return whether its job was recorded.

        :param uid: the uid of the pod.
        """
        self._told.discard(uid)
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
    def expected(self) -> bool:
        """True if a pod of a recorded job is expected to disappear soon."""
        now, soon = time.monotonic(), False
        for until, live in self._expected.values():
            if now < until:
                soon = True
            else:
                self._tell(live)
        return soon

    async def until_over(self, live: LiveJob) -> None:
        """Wait, with a limit, until no container of a pod runs any longer.

        :param live: its job.
        """
        if not _is_lost(live) and not await self._waited(live, live.stopped):
            self._tell(live)

    async def until_gone(self, live: LiveJob, *, limited: bool = False) -> None:
        """Wait until a pod has been deleted.

        :param live: its job.
        :param limited: whether to stop waiting after the usual maximum time.
        """
        while not (limited and _is_lost(live)) and not await self._waited(live, live.vanished):
            self._tell(live)
            if limited:
                return

    async def _waited(self, live: LiveJob, event: asyncio.Event) -> bool:
        assert live.pod is not None
        grace = live.pod.get("spec", {}).get("terminationGracePeriodSeconds")
        try:
            async with asyncio.timeout(FAREWELL + (_GRACE if grace is None else grace)):
                if self.task.drives:  # the watch sets the event
                    await event.wait()
                else:
                    await self._look(live, event)
        except TimeoutError:
            return False
        return True

    async def _look(self, live: LiveJob, event: asyncio.Event) -> None:
        assert live.pod is not None
        while True:
            try:
                pod = await self.task.podman.get(live.name)
            except PodManagerError:
                pod = live.pod  # it may still exist; the next poll will show
            if pod is None or uid_of(pod) != live.uid:
                live.see(live.pod, gone=True)
            else:
                live.see(pod, gone=False)
            if event.is_set():
                return
            await asyncio.sleep(LOOK_AGAIN)

    def _tell(self, live: LiveJob) -> None:
        if live.uid not in self._told:
            self._told.add(live.uid)
            log.warning(
                "%s: the pod %s of job %s was deleted but does not disappear; the job is not "
                "started again while the pod exists",
                *(self.task.name, live.name, live.job),
                extra={"task": self.task.name, "job": live.job},
            )


def _is_lost(live: LiveJob) -> bool:
    """Return whether the node of a pod does not respond, so that waiting is useless."""
    return live.ending is not None and live.ending.kind == "lost"
