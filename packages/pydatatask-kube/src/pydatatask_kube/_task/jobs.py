"""The tracker of the jobs of a ``KubeTask``, and the transitions between their phases."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from pydatatask_core.task.detached.tracker import JobTracker, Phase
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


class Jobs(JobTracker[LiveJob]):
    """The tracked jobs of a task of pods.

    It is a listener of the pod manager's watch.

    :param task: the task.
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

    async def record_outcome(self, live: LiveJob) -> None:
        await self._ender.end(live)

    async def try_to_record(self, live: LiveJob) -> None:
        await super().try_to_record(live)
        if live.waits_for_name:
            await self._ender.try_again(live)

    @property
    def listens(self) -> bool:
        """True if it listens to the watch."""
        return self._watching is not None

    def listen(self) -> None:
        """Start to listen to the watch if this process drives the task."""
        if self._watching is None and self.task.drives:
            self._watching = self.task.podman.watch
            self._watching.subscribe(self.task.name, self)

    async def adopt(self) -> None:
        """Start to track the pods of an earlier driver, if this process drives the task.

        :raises PodManagerError: if they could not be listed.
        """
        self.listen()
        if self._watching is not None:
            await self._watching.ready()

    # -- events of the watch ---------------------------------------------------------------------

    def changed(self, pod: dict[str, Any], gone: bool) -> None:
        """Process the new state of a pod of the task.

        :param pod: the pod, or its last known state.
        :param gone: whether it has been deleted.
        """
        job = job_of(pod)
        uid = uid_of(pod)
        if job is None or uid in self.leaving:
            if gone and self.leaving.drop(uid):
                self.task.wake()  # its job was in `live` until now
            return
        live = self.jobs.get(job)
        if live is None:
            if not gone:
                self._take_on(job, pod)
        elif live.pod is None or live.uid == uid:
            if live.phase is not Phase.WAITING:
                live.see(pod, gone)
                self.look(live)
        elif not gone and live.phase is Phase.WAITING:
            log.warning(
                "%s: job %s was waiting for a retry when another client created its pod %s",
                *(self.task.name, job, name_of(pod)),
                extra={"task": self.task.name, "job": job},
            )

    def listed(self, began: float) -> None:
        """Process the end of a new listing of all pods.

        :param began: the monotonic time at which the listing began.
        """
        known = {uid_of(pod) for pod in self.task.podman.watch.pods(self.task.name)}
        if self.leaving.keep_only(known):
            self.task.wake()
        for live in list(self.jobs.values()):
            if live.pod is None or live.gone or live.known_since >= began:
                continue
            if live.uid not in known:
                live.see(live.pod, gone=True)
                self.look(live)

    def _take_on(self, job: str, pod: dict[str, Any]) -> None:
        """Start to track a pod that another process created, such as an earlier driver."""
        if not self.task.live.is_valid_job_id(job):
            return
        live = self.jobs[job] = LiveJob(job, adopted=True)
        live.see(pod, gone=False)
        live.request = request_of(pod, self.task.name)
        if not is_over(pod):
            live.holds_quota = True
            if self.task.podman.watch.synced:  # else the quota is computed later
                self.spawn(self.task.resources.flush(), live)
        self.set_phase(live, Phase.RUNNING)
        self.look(live)

    def give_up(self, live: LiveJob) -> None:
        """Stop tracking a job that was not launched, as far as this process knows.

        :param live: the job.
        """
        self.untrack(live)
        if live.pod is not None and not live.gone:  # the watch may not report this pod again
            self._take_on(live.job, live.pod)

    # -- phases ----------------------------------------------------------------------------------

    def set_phase(self, live: LiveJob, phase: Phase) -> None:
        super().set_phase(live, phase)
        if live.phase is Phase.LAUNCHING:
            live.launched.clear()
        else:
            live.launched.set()

    def run_on(self, live: LiveJob) -> None:
        """Track a job whose pod was just created.

        :param live: the job.
        """
        live.known_since = time.monotonic()
        self.set_phase(live, Phase.RUNNING)
        self.look(live)

    def look(self, live: LiveJob) -> None:
        """Check whether a job has ended, by the last known state of its pod.

        :param live: the job.
        """
        if live.phase is not Phase.RUNNING or live.pod is None:
            return
        live.stop_watching()
        verdict = judge(live.pod, live.gone, self.task.podman.client.clock.now(), self.task.limits)
        if verdict.ending is not None:
            self.end(live, verdict.ending)
        elif verdict.again is not None:
            loop = asyncio.get_running_loop()
            live.timer = loop.call_later(verdict.again + 0.01, self.look, live)

    def end(self, live: LiveJob, ending: Ending) -> None:
        """Start to record the outcome of a job that has ended or must be stopped.

        :param live: the job.
        :param ending: its outcome.
        """
        live.stop_watching()
        live.ending = ending
        self.set_phase(live, Phase.EXITED)
        self.record_exited([live])

    def schedule_retry(self, live: LiveJob, delay: float) -> None:
        live.begin_anew()
        super().schedule_retry(live, delay)

    async def cancel(self, live: LiveJob) -> None:
        """Record a job that waits for a retry as killed; if that fails, it keeps waiting.

        :param live: the job.
        """
        assert live.past is not None
        record = {**live.past, "reason": "killed on request", KILLED: True}
        live.recording = True
        self.set_phase(live, Phase.EXITED)  # so that it is not launched in the meantime
        try:
            await self._ender.record(live, record)
        except BaseException:
            live.recording = False
            self.schedule_retry(live, max(0.0, live.not_before - time.monotonic()))
            raise
        await self.complete(live, record)

    async def complete(self, live: LiveJob, record: Mapping[str, Any] | None) -> None:
        if live.pod is not None and not live.gone:
            self.leaving.add(live)
        await super().complete(live, record)

    # -- quota -----------------------------------------------------------------------------------

    async def give_back(self, live: LiveJob) -> None:
        """Release a job's share of the quota, unless it has been released already.

        :param live: the job, whose pod no longer runs.
        """
        if live.holds_quota:
            live.holds_quota = False
            await self.task.resources.relinquish(live.request.without_launches())

    async def discard(self, live: LiveJob, grace: int) -> None:
        """Delete the pod of a job and stop tracking it, as if it had never been launched.

        :param live: the job, which has a pod.
        :param grace: the grace period in seconds.
        """
        before, live.recording = live.phase, True  # from now on its outcome is not recorded
        self.set_phase(live, Phase.EXITED)
        try:
            await self.task.podman.remove(live.name, live.uid, grace)
            await self.leaving.until_gone(live, limited=True)
        except BaseException:
            live.recording = False
            self.set_phase(live, before)
            self.look(live)
            raise
        await self.give_back(live)
        await self.complete(live, None)
