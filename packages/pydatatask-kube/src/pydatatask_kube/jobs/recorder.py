"""The recorder of the outcomes of pods."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pydatatask_core.task.detached.phase import Phase
from pydatatask_core.task.detached.recorder import KILLED, Outcome, OutcomeRecorder
from pydatatask_kube.outcome.pod_outcome import DISCARDED, KILLED_KIND
from pydatatask_kube.outcome.record import outcome_record

from .job import PodJob
from .logs import publish_logs

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydatatask_kube.task import KubeTask

    from .tracker import PodTracker

__all__ = ["PodRecorder"]

log = logging.getLogger("pydatatask.task")


class PodRecorder(OutcomeRecorder[PodJob, Outcome]):
    """A recorder of outcomes: it writes the logs, then ``done``, and then deletes the pod.

    :param task: the task.
    :param tracker: its jobs.
    """

    _task: KubeTask
    _tracker: PodTracker

    async def record(self, tracked: PodJob) -> None:
        if tracked.has_stopped:
            await self._tracker.release_quota(tracked)  # before it waits for a slot or a store
        outcome = tracked.outcome
        if outcome is not None and not (tracked.decided or tracked.cancelled):
            async with self._slots:
                # A decision that was made stands, even if an output appears later.
                tracked.decided = outcome.kind == DISCARDED or await self._is_recorded(tracked)
            if outcome.kind == "timed_out" and outcome.still_exists and not tracked.decided:
                await self._call_handle_timeout(tracked)
        await super().record(tracked)

    async def _is_recorded(self, tracked: PodJob) -> bool:
        """Return whether an earlier driver has recorded the outcome of the pod of a job."""
        pod = tracked.pod
        return tracked.adopted and pod is not None and await self._task.is_recorded(pod)

    async def find_outcome(self, tracked: PodJob) -> Outcome | None:
        if tracked.cancelled:
            assert tracked.failed_record is not None
            return Outcome({**tracked.failed_record, "reason": KILLED, KILLED_KIND: True})
        outcome, pod = tracked.outcome, tracked.pod
        assert outcome is not None
        assert pod is not None
        now = self._task.podman.client.clock.now()
        return Outcome(outcome_record(pod, outcome, tracked.attempt, now))

    async def missing_outputs(self, tracked: PodJob) -> Collection[str]:
        return () if self._task.checks_outputs_in_pod else await super().missing_outputs(tracked)

    async def reschedule(self, tracked: PodJob, outcome: Outcome, delay: float) -> bool:
        tracked.failed_record, tracked.retry_delay = outcome.record, delay
        tracked.decided = True  # :meth:`_retry` follows when the pod is deleted
        return True

    async def write_outputs(self, tracked: PodJob, outcome: Outcome) -> None:
        if self._task.logs is None or tracked.cancelled:
            return
        if not tracked.logs_saved:  # once: the pod may be deleted by the time this is repeated
            tracked.logs_problem = await publish_logs(self._task, tracked)
            tracked.logs_saved = True
        if tracked.logs_problem is not None:
            outcome.record["logs_problem"] = tracked.logs_problem

    async def delete_remains(self, tracked: PodJob) -> None:
        if tracked.pod is not None and not tracked.gone:
            await self._task.podman.remove(tracked.name, tracked.uid, tracked.grace)

    async def finish(self, tracked: PodJob) -> None:
        # Without a slot, so that other jobs need not wait until the pod has terminated.
        self._tracker.set_phase(tracked, Phase.TERMINATING)
        if not tracked.has_stopped:
            await self._tracker.terminating.wait_terminated(tracked)
        await self._tracker.release_quota(tracked)
        if tracked.retry_delay is None:
            await super().finish(tracked)
        else:
            self._tracker.spawn(self._retry(tracked), tracked)

    async def _retry(self, tracked: PodJob) -> None:
        """Launch a job again when the name of its pod is free, unless it is killed before that.

        :param tracked: the job.
        """
        if not tracked.gone:
            await self._tracker.terminating.wait_deleted(tracked)
        delay = tracked.retry_delay
        if delay is not None and tracked.waits_for_name and not tracked.finished.is_set():
            tracked.attempt += 1
            self._tracker.schedule_retry(tracked, delay)

    async def _call_handle_timeout(self, tracked: PodJob) -> None:
        assert tracked.pod is not None
        task = self._task
        try:
            pod = await task.podman.get(tracked.name)
            if pod is not None:
                await task.handle_timeout(task.podman.typed(pod))
        except Exception:
            log.exception(
                "%s: handle_timeout failed for job %s; the job is stopped anyway",
                *(task.name, tracked.job),
                extra={"task": task.name, "job": tracked.job},
            )
