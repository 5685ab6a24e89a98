"""All jobs that a task of pods looks after, and the ways from one of their phases to the next."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from pydatatask_core.task.flight import JobsInFlight, Phase
from pydatatask_kube.ending import judge
from pydatatask_kube.names import job_of, name_of, uid_of
from pydatatask_kube.outcome import KILLED
from pydatatask_kube.state import is_over

from .ending import Ender
from .job import LiveJob
from .leaving import Leaving
from .usage import request_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydatatask_kube.outcome import Ending
    from pydatatask_kube.task import KubeTask

__all__ = ["Jobs"]

log = logging.getLogger("pydatatask.task")


class Jobs(JobsInFlight[LiveJob]):
    """The jobs of a task of pods that are in flight.

    It listens to the watch of the pod manager.

    :param task: whose jobs.
    """

    task: KubeTask

    def __init__(self, task: KubeTask) -> None:
        super().__init__(task)
        self.leaving = Leaving(task)
        self._ender = Ender(task, self)
        self._watching: Any = None

    def close(self) -> None:
        if self._watching is not None:
            self._watching.unsubscribe(self.task.name, self)
            self._watching = None
        super().close()

    async def record_end(self, live: LiveJob) -> None:
        await self._ender.end(live)

    async def try_to_record(self, live: LiveJob) -> None:
        await super().try_to_record(live)
        if live.waits_for_name:
            await self._ender.try_again(live)

    @property
    def listens(self) -> bool:
        """Whether it is told of the task's pods."""
        return self._watching is not None

    def listen(self) -> None:
        """Begin to be told of the task's pods, to drive them."""
        if self._watching is None and self.task.drives:
            self._watching = self.task.podman.watch
            self._watching.subscribe(self.task.name, self)

    async def adopt(self) -> None:
        """Know the pods that an earlier driver left behind; only to drive them.

        :raises PodManagerError: if they could not be listed.
        """
        self.listen()
        if self._watching is not None:
            await self._watching.ready()

    # -- what the watch tells --------------------------------------------------------------------

    def changed(self, pod: dict[str, Any], gone: bool) -> None:
        """Take note of a pod of the task.

        :param pod: the pod as it is now, or was last.
        :param gone: whether it is no more.
        """
        job = job_of(pod)
        uid = uid_of(pod)
        if job is None or uid in self.leaving:
            if gone and self.leaving.drop(uid):
                self.task.wake()  # it was live until now
            return
        live = self.live.get(job)
        if live is None:
            if not gone:
                self._take_on(job, pod)
        elif live.pod is None or live.uid == uid:
            if live.phase is not Phase.WAITING:
                live.see(pod, gone)
                self.look(live)
        elif not gone and live.phase is Phase.WAITING:
            log.warning(
                "%s: job %s was to be tried again, and got a pod from elsewhere, %s",
                *(self.task.name, job, name_of(pod)),
                extra={"task": self.task.name, "job": job},
            )

    def listed(self, began: float) -> None:
        """Take note that all pods were listed anew.

        :param began: the time (monotonic) when the listing began.
        """
        known = {uid_of(pod) for pod in self.task.podman.watch.pods(self.task.name)}
        if self.leaving.keep_only(known):
            self.task.wake()
        for live in list(self.live.values()):
            if live.pod is None or live.gone or live.known_since >= began:
                continue
            if live.uid not in known:
                live.see(live.pod, gone=True)
                self.look(live)

    def _take_on(self, job: str, pod: dict[str, Any]) -> None:
        """Begin to look after a pod that somebody else made, an earlier driver for instance."""
        if not self.task.live.is_valid_job_id(job):
            return
        live = self.live[job] = LiveJob(job, adopted=True)
        live.see(pod, gone=False)
        live.request = request_of(pod, self.task.name)
        if not is_over(pod):
            live.counted = True
            if self.task.podman.watch.synced:  # else the quota is asked for only later
                self.spawn(self.task.resources.flush(), live)
        self.enter(live, Phase.RUNNING)
        self.look(live)

    def give_up(self, live: LiveJob) -> None:
        """Take note that a job could not be launched, as far as is known.

        :param live: the job.
        """
        self.drop(live)
        if live.pod is not None and not live.gone:  # the watch has told of it, maybe for good
            self._take_on(live.job, live.pod)

    # -- phases ----------------------------------------------------------------------------------

    def enter(self, live: LiveJob, phase: Phase) -> None:
        super().enter(live, phase)
        if live.phase is Phase.LAUNCHING:
            live.launched.clear()
        else:
            live.launched.set()

    def run_on(self, live: LiveJob) -> None:
        """Look after a job whose pod was just made.

        :param live: the job.
        """
        live.known_since = time.monotonic()
        self.enter(live, Phase.RUNNING)
        self.look(live)

    def look(self, live: LiveJob) -> None:
        """Find out whether a job has ended, as far as its pod tells.

        :param live: the job.
        """
        if live.phase is not Phase.RUNNING or live.pod is None:
            return
        live.let_go()
        verdict = judge(live.pod, live.gone, self.task.podman.client.clock.now(), self.task.limits)
        if verdict.ending is not None:
            self.end(live, verdict.ending)
        elif verdict.again is not None:
            loop = asyncio.get_running_loop()
            live.timer = loop.call_later(verdict.again + 0.01, self.look, live)

    def end(self, live: LiveJob, ending: Ending) -> None:
        """Take note that a job has ended, or is to be ended.

        :param live: the job.
        :param ending: how, or why.
        """
        live.let_go()
        live.ending = ending
        self.enter(live, Phase.ENDED)
        self.attend([live])

    def wait_again(self, live: LiveJob, delay: float) -> None:
        live.begin_anew()
        super().wait_again(live, delay)

    async def cancel(self, live: LiveJob) -> None:
        """Record a job as killed that waits for another attempt; if that fails, it goes on waiting.

        :param live: the job.
        """
        assert live.past is not None
        record = {**live.past, "reason": "killed on request", KILLED: True}
        live.recording = True
        self.enter(live, Phase.ENDED)  # so that nobody launches it meanwhile
        try:
            await self._ender.record(live, record)
        except BaseException:
            live.recording = False
            self.wait_again(live, max(0.0, live.not_before - time.monotonic()))
            raise
        await self.finished(live, record)

    async def finished(self, live: LiveJob, record: Mapping[str, Any] | None) -> None:
        if live.pod is not None and not live.gone:
            self.leaving.add(live)
        await super().finished(live, record)

    # -- the quota -------------------------------------------------------------------------------

    async def give_back(self, live: LiveJob) -> None:
        """Give back a job's share of the quota, unless that has been done.

        :param live: the job, whose pod runs no more.
        """
        if live.counted:
            live.counted = False
            await self.task.resources.relinquish(live.request.without_launches())

    async def discard(self, live: LiveJob, grace: int) -> None:
        """End a job and forget it, as if it had never been launched.

        :param live: the job, which has a pod.
        :param grace: how many seconds it gets to end.
        """
        before, live.recording = live.phase, True  # from here on its end is not for the record
        self.enter(live, Phase.ENDED)
        try:
            await self.task.podman.remove(live.name, live.uid, grace)
            await self.leaving.until_gone(live, limited=True)
        except BaseException:
            live.recording = False
            self.enter(live, before)
            self.look(live)
            raise
        await self.give_back(live)
        await self.finished(live, None)
