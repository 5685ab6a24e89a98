"""Inspection of the jobs of a ``KubeTask``, and ending them early."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import TaskError
from pydatatask_core.task.detached.tracker import Phase
from pydatatask_kube.cluster.orphans import describe_orphans
from pydatatask_kube.cluster.pod_state import is_terminated
from pydatatask_kube.outcome.pod_outcome import killed
from pydatatask_kube.pod_names import job_of, labels, name_of, uid_of

from .config import KubeTaskConfig
from .log_reader import read_logs
from .terminating_pods import POLL_INTERVAL_SECONDS
from .termination import KILL_GRACE_SECONDS, delete_foreign_pod, kill_foreign_pod

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Iterable

    from .tracker import PodTracker

__all__ = ["KubeControl"]


class KubeControl(KubeTaskConfig, ABC):
    """The part of ``KubeTask`` with which processes inspect, stop and discard its jobs.

    It works in the process that drives the task and in others beside it.
    """

    _tracker: PodTracker

    # -- inspection ------------------------------------------------------------------------------

    async def config_warnings(self) -> Iterable[str]:
        if not self.is_inspecting or self.name != min(self.podman.inspected_tasks):
            return ()  # the watch reports them, or another task does
        podman = self.podman
        message = describe_orphans(await podman.find(), podman.inspected_tasks, podman.where)
        return () if message is None else (message,)

    @property
    def is_inspecting(self) -> bool:
        """True if the pipeline was opened for inspection only."""
        return self.runtime is not None and self.runtime.mode == "inspect"

    async def load_pods(self) -> None:
        await self._tracker.adopt()

    async def find(self, job: str) -> list[dict[str, Any]]:
        await self._tracker.adopt()
        pods = await self.podman.find(self.name, job)
        tracked = self._tracker.jobs.get(job)
        if tracked is not None:
            await tracked.launched.wait()
            if tracked.pod is not None and not tracked.gone and tracked.pod not in pods:
                pods.append(tracked.pod)  # just created, and not reported by the watch yet
        return pods

    def stream_logs(self, job: str, *, follow: bool = False) -> AsyncGenerator[bytes, None]:
        return read_logs(self, job, follow)

    async def is_recorded(self, pod: dict[str, Any]) -> bool:
        """Return whether the outcome of exactly this pod is recorded.

        :param pod: a pod of this task, as JSON.
        """
        job = job_of(pod)
        if self.done is None or job is None:
            return False
        record = await self.done.info(job)
        return isinstance(record, dict) and record.get("uid") == uid_of(pod)

    # -- stopping --------------------------------------------------------------------------------

    async def discard(self, pod: dict[str, Any]) -> None:
        expected_labels = labels(self.podman.app, self.name, str(job_of(pod)))
        if not expected_labels.items() <= (pod["metadata"].get("labels") or {}).items():
            raise TaskError(
                f"{self.name}: the pod {pod['metadata']['name']!r} does not belong to this task"
            )
        await self._tracker.adopt()
        tracked = self._tracker.jobs.get(expected_labels["job"])
        if (
            tracked is not None
            and tracked.pod is not None
            and tracked.uid == pod["metadata"]["uid"]
        ):
            await self._tracker.discard(tracked, KILL_GRACE_SECONDS)
        else:
            await delete_foreign_pod(self, pod)

    async def forget_retry(self, job: str) -> None:
        tracked = self._tracker.jobs.get(job)
        if tracked is not None and tracked.phase is Phase.WAITING:
            self.cancel_retry(job)
            await self._tracker.complete(tracked, None)

    async def clean_up(self, jobs: Collection[str]) -> None:
        for pod in await self.podman.find(self.name):
            if job_of(pod) in jobs and is_terminated(pod) and await self.is_recorded(pod):
                await self.podman.remove(name_of(pod), uid_of(pod))

    async def kill_job(self, job: str, grace: float | None) -> bool:
        """Kill a job, as described in :meth:`KubeTask.kill`.

        :param job: the job.
        :param grace: the grace period of its containers in seconds.
        """
        self.live.check_job_id(job)
        await self._tracker.adopt()
        tracked = self._tracker.jobs.get(job)
        if tracked is None:
            return not self.drives and await kill_foreign_pod(self, job)
        while not tracked.finished.is_set():
            await tracked.launched.wait()
            if tracked.phase is Phase.WAITING or tracked.waits_for_name:
                self.cancel_retry(job)
                await self._tracker.cancel(tracked)
            elif tracked.phase is Phase.RUNNING:
                tracked.grace = None if grace is None else max(0, round(grace))
                self._tracker.set_outcome(tracked, killed(still_exists=not tracked.gone))
            # A job that has ended may be about to be retried, so this loops until it has finished.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(tracked.finished.wait(), POLL_INTERVAL_SECONDS)
        return True
