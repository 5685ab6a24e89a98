"""Pods on their way out: deleted, and not gone yet."""

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
"""Seconds beyond its grace period in which a pod that was deleted is expected to go."""

LOOK_AGAIN = 0.5
"""Seconds between two looks at a pod that is not watched."""

_GRACE = 30


class Leaving:
    """The pods of a task that were deleted and may be there still, held by a finalizer for one.

    Nothing waits for those of which everything is recorded, and of one that does not go is told
    once.

    :param task: whose pods.
    """

    def __init__(self, task: KubeTask) -> None:
        self.task = task
        self._expected: dict[str, tuple[float, LiveJob]] = {}
        """By uid, the jobs that are done with, and until when (monotonic) their pods are expected
        to go."""
        self._told: set[str] = set()

    def __contains__(self, uid: str) -> bool:
        return uid in self._expected

    def add(self, live: LiveJob) -> None:
        """Have a pod go by itself, since everything of it is recorded.

        :param live: its job.
        """
        patience = FAREWELL
        if _is_lost(live):
            self._told.add(live.uid)  # by its record
            patience = 0.0
        self._expected[live.uid] = time.monotonic() + patience, live

    def drop(self, uid: str) -> bool:
        """Note that a pod is gone, and tell whether everything of it was recorded.

        :param uid: which pod.
        """
        self._told.discard(uid)
        return self._expected.pop(uid, None) is not None

    def keep_only(self, uids: Collection[str]) -> bool:
        """Note which pods there are, and tell whether any is gone.

        :param uids: of all pods of the task.
        """
        gone = self._expected.keys() - set(uids)
        for uid in gone:
            self.drop(uid)
        return bool(gone)

    @property
    def expected(self) -> bool:
        """Whether any pod of which everything is recorded is about to be gone."""
        now, soon = time.monotonic(), False
        for until, live in self._expected.values():
            if now < until:
                soon = True
            else:
                self._tell(live)
        return soon

    async def until_over(self, live: LiveJob) -> None:
        """Wait until nothing of a pod runs any more, but not for ever.

        :param live: its job.
        """
        if not _is_lost(live) and not await self._waited(live, live.stopped):
            self._tell(live)

    async def until_gone(self, live: LiveJob, *, limited: bool = False) -> None:
        """Wait until a pod is gone.

        :param live: its job.
        :param limited: whether not to wait for longer than that usually takes.
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
                if self.task.drives:  # the watch tells
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
                pod = live.pod  # it may be there still, and is asked for again
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
                "%s: the pod %s of job %s was deleted and does not go; its job is not started "
                "again while it is there",
                *(self.task.name, live.name, live.job),
                extra={"task": self.task.name, "job": live.job},
            )


def _is_lost(live: LiveJob) -> bool:
    """Tell whether the node of a pod does not answer, so that there is nothing to wait for."""
    return live.ending is not None and live.ending.kind == "lost"
