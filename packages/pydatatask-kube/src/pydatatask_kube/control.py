"""Inspection of the jobs of a ``KubeTask``, and ending them early."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import TaskError
from pydatatask_core.task.detached.tracker import Phase

from ._task.leaving import LOOK_AGAIN
from ._task.reading import read_logs
from ._task.stopping import KILL_GRACE, discard_foreign, kill_foreign
from .names import job_of, labels, name_of, uid_of
from .outcome import killed
from .setting import KubeSetting
from .state import is_over
from .strays import describe_strays

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Iterable

    from ._task.jobs import Jobs

__all__ = ["KubeControl"]


class KubeControl(KubeSetting, ABC):
    """The part of ``KubeTask`` with which processes inspect, stop and discard its jobs.

    It works in the process that drives the task and in others beside it.
    """

    _jobs: Jobs

    # -- inspection ------------------------------------------------------------------------------

    async def config_warnings(self) -> Iterable[str]:
        if not self.looks_only or self.name != min(self.podman.tasks):
            return ()  # the watch reports them, or another task does
        podman = self.podman
        told = describe_strays(await podman.find(), podman.tasks, podman.where)
        return () if told is None else (told,)

    @property
    def looks_only(self) -> bool:
        """True if the pipeline was opened for inspection only."""
        return self.runtime is not None and self.runtime.mode == "inspect"

    async def known(self) -> None:
        await self._jobs.adopt()

    async def find(self, job: str) -> list[dict[str, Any]]:
        await self._jobs.adopt()
        pods = await self.podman.find(self.name, job)
        live = self._jobs.jobs.get(job)
        if live is not None:
            await live.launched.wait()
            if live.pod is not None and not live.gone and live.pod not in pods:
                pods.append(live.pod)  # just created, and not reported by the watch yet
        return pods

    def stream_logs(self, job: str, *, follow: bool = False) -> AsyncGenerator[bytes, None]:
        return read_logs(self, job, follow)

    async def has_recorded(self, pod: dict[str, Any]) -> bool:
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
        ours = labels(self.podman.app, self.name, str(job_of(pod)))
        if not ours.items() <= (pod["metadata"].get("labels") or {}).items():
            raise TaskError(
                f"{self.name}: the pod {pod['metadata']['name']!r} does not belong to this task"
            )
        await self._jobs.adopt()
        live = self._jobs.jobs.get(ours["job"])
        if live is not None and live.pod is not None and live.uid == pod["metadata"]["uid"]:
            await self._jobs.discard(live, KILL_GRACE)
        else:
            await discard_foreign(self, pod)

    async def forget(self, job: str) -> None:
        live = self._jobs.jobs.get(job)
        if live is not None and live.phase is Phase.WAITING:
            self._waiting.discard(job)
            await self._jobs.complete(live, None)

    async def clean_up(self, jobs: Collection[str]) -> None:
        for pod in await self.podman.find(self.name):
            if job_of(pod) in jobs and is_over(pod) and await self.has_recorded(pod):
                await self.podman.remove(name_of(pod), uid_of(pod))

    async def end_early(self, job: str, grace: float | None) -> bool:
        """Kill a job, as described in :meth:`KubeTask.kill`.

        :param job: the job.
        :param grace: the grace period of its containers in seconds.
        """
        self.live.check_job_id(job)
        await self._jobs.adopt()
        live = self._jobs.jobs.get(job)
        if live is None:
            return not self.drives and await kill_foreign(self, job)
        while not live.finished.is_set():
            await live.launched.wait()
            if live.phase is Phase.WAITING or live.waits_for_name:
                self._waiting.discard(job)
                await self._jobs.cancel(live)
            elif live.phase is Phase.RUNNING:
                live.grace = None if grace is None else max(0, round(grace))
                self._jobs.end(live, killed(stays=not live.gone))
            # A job that has ended may be about to be retried, so this loops until it has finished.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(live.finished.wait(), LOOK_AGAIN)
        return True
