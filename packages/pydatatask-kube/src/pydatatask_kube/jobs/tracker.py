"""The tracker of the jobs of a ``KubeTask``, and the transitions between their phases."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from pydatatask_core.task.detached.phase import Phase
from pydatatask_core.task.detached.tracker import JobTracker
from pydatatask_kube.cluster.pod_state import is_terminated
from pydatatask_kube.outcome.classifier import classify
from pydatatask_kube.outcome.pod_outcome import killed
from pydatatask_kube.pod_names import job_of, name_of, uid_of

from .job import PodJob
from .recorder import PodRecorder
from .terminating_pods import TerminatingPods
from .usage import request_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pydatatask_kube.outcome.pod_outcome import PodOutcome
    from pydatatask_kube.task import KubeTask

__all__ = ["PodTracker"]

log = logging.getLogger("pydatatask.task")


class PodTracker(JobTracker[PodJob]):
    """The tracked jobs of a task of pods.

    It is a listener of the pod manager's watch.

    :param task: the task.
    """

    task: KubeTask
    recorder: PodRecorder

    def __init__(self, task: KubeTask) -> None:
        super().__init__(task)
        self.terminating = TerminatingPods(task)
        self.recorder = PodRecorder(task, self)
        self._informer: Any = None

    def close(self) -> None:
        if self._informer is not None:
            self._informer.unsubscribe(self.task.name, self)
            self._informer = None
        super().close()

    def new_job(self, job: str) -> PodJob:
        return PodJob(job)

    async def poll(self, jobs: Collection[PodJob]) -> bool:
        if not self.task.drives:
            for tracked in jobs:
                if tracked.pod is not None and not tracked.gone:
                    pod = await self.task.podman.get(tracked.name)
                    self.on_pod(tracked.pod if pod is None else pod, gone=pod is None)
        return self.terminating.expects_deletions

    @property
    def is_listening(self) -> bool:
        """True if it listens to the watch."""
        return self._informer is not None

    def listen(self) -> None:
        """Start to listen to the watch if this process drives the task."""
        if self._informer is None and self.task.drives:
            self._informer = self.task.podman.informer
            self._informer.subscribe(self.task.name, self)

    async def adopt(self) -> None:
        """Find the pods of an earlier driver, if this process drives the task.

        :raises PodManagerError: if they could not be listed.
        """
        self.listen()
        if self._informer is not None:
            await self._informer.wait_synced()
        self.adopted = True

    # -- events of the watch ---------------------------------------------------------------------

    def on_pod(self, pod: dict[str, Any], gone: bool) -> None:
        """Process the new state of a pod of the task.

        :param pod: the pod, or its last known state.
        :param gone: whether it has been deleted.
        """
        job = job_of(pod)
        uid = uid_of(pod)
        if job is None or uid in self.terminating:
            if gone and self.terminating.drop(uid):
                self.task.wake()  # its job was in `live` until now
            return
        tracked = self.jobs.get(job)
        if tracked is None:
            if not gone:
                self._track(job, pod)
        elif tracked.pod is None or tracked.uid == uid:
            if tracked.phase is not Phase.WAITING:
                tracked.update_pod(pod, gone)
                self.inspect(tracked)
        elif not gone and tracked.phase is Phase.WAITING:
            log.warning(
                "%s: job %s was waiting for a retry when another client created its pod %s",
                *(self.task.name, job, name_of(pod)),
                extra={"task": self.task.name, "job": job},
            )

    def on_listed(self, began: float) -> None:
        """Process the end of a new listing of all pods.

        :param began: the monotonic time at which the listing began.
        """
        known = {uid_of(pod) for pod in self.task.podman.informer.pods(self.task.name)}
        if self.terminating.keep_only(known):
            self.task.wake()
        for tracked in list(self.jobs.values()):
            if tracked.pod is None or tracked.gone or tracked.known_since >= began:
                continue
            if tracked.uid not in known:
                tracked.update_pod(tracked.pod, gone=True)
                self.inspect(tracked)

    def _track(self, job: str, pod: dict[str, Any]) -> None:
        """Start to track a pod that another process created, such as an earlier driver."""
        if not self.task.live.is_valid_job_id(job):
            return
        tracked = self.jobs[job] = PodJob(job, adopted=True)
        tracked.update_pod(pod, gone=False)
        tracked.request = request_of(pod, self.task.name)
        if not is_terminated(pod):
            self.hold_quota(tracked)
            if self.task.podman.informer.synced:  # else the quota is computed later
                self.spawn(self.task.quota.flush(), tracked)
        self.set_phase(tracked, Phase.RUNNING)
        self.inspect(tracked)

    def watch_unexpected(self, tracked: PodJob) -> None:
        """Track the pod of a job whose launch raised like one that another process created.

        :param tracked: the job.
        """
        self.untrack(tracked)
        assert tracked.pod is not None
        self._track(tracked.job, tracked.pod)  # the watch may not report this pod again

    # -- phases ----------------------------------------------------------------------------------

    def watch(self, tracked: PodJob) -> None:
        tracked.known_since = time.monotonic()
        self.set_phase(tracked, Phase.RUNNING)
        self.inspect(tracked)

    def inspect(self, tracked: PodJob) -> None:
        """Check whether a job has ended, by the last known state of its pod.

        :param tracked: the job.
        """
        if tracked.phase is not Phase.RUNNING or tracked.pod is None:
            return
        tracked.stop_watching()
        classification = classify(
            tracked.pod, tracked.gone, self.task.podman.client.clock.now(), self.task.limits
        )
        if classification.outcome is not None:
            self.set_outcome(tracked, classification.outcome)
        elif classification.recheck_seconds is not None:
            loop = asyncio.get_running_loop()
            tracked.timer = loop.call_later(
                classification.recheck_seconds + 0.01, self.inspect, tracked
            )

    def set_outcome(self, tracked: PodJob, outcome: PodOutcome) -> None:
        """Start to record the outcome of a job that has ended or must be stopped.

        :param tracked: the job.
        :param outcome: its outcome.
        """
        tracked.stop_watching()
        tracked.outcome = outcome
        self.set_phase(tracked, Phase.EXITED)
        self.record_exited([tracked])

    def schedule_retry(self, tracked: PodJob, delay: float) -> None:
        tracked.reset()
        super().schedule_retry(tracked, delay)

    async def terminate(self, tracked: PodJob, grace: float | None) -> None:
        tracked.grace = None if grace is None else max(0, round(grace))
        self.set_outcome(tracked, killed(still_exists=not tracked.gone))

    async def complete(self, tracked: PodJob, record: Mapping[str, Any] | None) -> None:
        if tracked.pod is not None and not tracked.gone:
            self.terminating.add(tracked)
        await super().complete(tracked, record)

    async def discard(self, tracked: PodJob, grace: int) -> None:
        """Delete the pod of a job and stop tracking it, as if it had never been launched.

        :param tracked: the job, which has a pod.
        :param grace: the grace period in seconds.
        """
        before, tracked.recording = tracked.phase, True  # from now on its outcome is not recorded
        self.set_phase(tracked, Phase.EXITED)
        try:
            await self.task.podman.remove(tracked.name, tracked.uid, grace)
            await self.terminating.wait_deleted(tracked, limited=True)
        except BaseException:
            tracked.recording = False
            self.set_phase(tracked, before)
            self.inspect(tracked)
            raise
        await self.release_quota(tracked)
        await self.complete(tracked, None)
