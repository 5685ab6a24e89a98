"""Tasks whose jobs run as pods of a Kubernetes cluster."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any, ClassVar

from pydatatask_core.errors import LaunchRefusedError, TaskError
from pydatatask_core.task.detached.tracker import Phase

from .jobs.control import KubeControl
from .jobs.job import PodJob
from .jobs.launch import Launcher
from .jobs.terminating_pods import POLL_INTERVAL_SECONDS
from .jobs.tracker import PodTracker
from .jobs.usage import usage_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from kubernetes_asyncio.client import V1Pod

    from pydatatask_core.resource_manager import Resources
    from pydatatask_core.task.runtime import Runtime

__all__ = ["KubeTask"]

log = logging.getLogger("pydatatask.task")

MAX_PENDING_RECORDS = 64
"""Nothing is launched while the outcomes of this many jobs are waiting to be recorded."""


class KubeTask(KubeControl):
    """A task which runs a kubernetes pod.

    Will automatically link a :class:`LiveKubeRepository` as "live" with ``inhibits_start``,
    ``inhibits_output``, ``is_status``.

    A job succeeds if its pod does (all containers end with exit status 0) and every output that is
    not optional has been written by then. Without these outputs the job has failed, with
    ``missing_outputs``. The record in ``done`` contains ``success``, ``return_code``,
    ``start_time``, ``end_time``, ``duration`` (seconds), ``attempt``, ``pod``, ``uid``, ``node``,
    ``image`` and ``restarts``, and for several containers a list of their values as ``containers``.
    The record of a failure also contains ``reason``, ``signal`` if a signal ended it, and, if it
    applies, one of ``oom_killed``, ``evicted``, ``image_unavailable``, ``unschedulable``,
    ``not_started``, ``timed_out``, ``killed``, ``deleted`` and ``lost``. The pod is deleted after
    all of this, including the logs, has been written.

    The name of a pod is determined by its job, so that a job never has two pods, even after a
    crash. If a node is lost, its pods may still be running: their jobs are recorded as lost, and
    are not started elsewhere until the user removes that record.

    :param name: the name of the task. It becomes a label.
    :param podman: a callable returning a PodManager to use to connect to the cluster.
    :param resources: a ResourceManager instance. Tasks launched will contribute to its quota by the
        resource requests of the pod's containers, and be denied if they would break the quota.
    :param template: YAML markup for a pod manifest template, either as a string or a path to a
        file, or a ``Template``, which can have other delimiters. It can use ``job``, ``task``,
        ``argv0`` (the running script), the keys of ``env``, and the name of every link, which is
        the info of its repository about the job. The task adds the labels ``app``, ``task`` and
        ``job``, the end of the name, and the restart policy ``Never`` if there is none.
    :param logs: optional: a BlobRepository to dump pod logs to on completion. Linked as "logs"
        with ``inhibits_start``, ``required_for_output``, ``is_status``. If there are several
        containers, each log has a heading.
    :param done: optional: a MetadataRepository in which to dump some information about the pod's
        lifetime and termination on completion. Linked as "done" with ``inhibits_start``,
        ``required_for_output``, ``is_status``.
    :param window: optional: how far back into the past to look (a timedelta, or seconds) in order
        to determine whether we have recently launched too many pods too quickly.
    :param timeout: optional: when a pod is found to have been running continuously for this
        amount of time (a timedelta, or seconds), it will be timed out and stopped. The method
        :meth:`handle_timeout` will be called in-process.
    :param env: optional: additional keys to add to the template environment. Messages do not show
        the text that they insert into a manifest.
    :param ready: optional: a repository from which to read task-ready status.
    :param pending_timeout: optional: the maximum time from the creation of a pod until it runs (a
        timedelta, or seconds), while no node has room for it or its image is unavailable. By
        default a pod waits for room without limit, and for an image for five minutes.
    :param retries: the number of retries of a failed job before its failure is recorded.
    :param concurrency: the maximum number of jobs that run at once.
    :param disabled: whether the pipeline ignores this task.
    :param unsafe_templates: whether a value that the template prints may change the shape of the
        manifest. By default its job is refused with a :class:`TemplateError`; only the filter
        ``tojson`` prints lists and mappings, and ``raw`` text that is meant as YAML.

    It is highly recommended to provide one or more of ``done`` or ``logs`` so that at least one
    link is present with ``inhibits_start``. Only ``done`` records which jobs have failed.
    """

    event_driven = True

    checks_outputs_in_pod: ClassVar[bool] = False
    """Whether the pod itself checks the required outputs of its job, and fails without them."""

    def _create_collaborators(self) -> None:
        self._launcher = Launcher(self)
        self._tracker = PodTracker(self)
        self.resources.register(self._usage, window=self.window)

    # -- opening ---------------------------------------------------------------------------------

    def attach(self, runtime: Runtime | None) -> None:
        super().attach(runtime)
        self._tracker.close()
        self._open_podman = None
        self._tracker = PodTracker(self)

    async def validate(self) -> None:
        """Check the configuration and the cluster, and find the pods of an earlier driver.

        Pods of the app that belong to no task are reported.

        :raises TemplateError: if the template cannot be read, is not well-formed, or uses a name
            that can never be defined.
        :raises PodManagerError: if pods cannot be listed.
        """
        self._tracker.listen()  # first, because the watch reports the pods that have no listener
        if self.is_inspecting:
            self.podman.inspected_tasks.add(self.name)
        await self.template.check()
        self.template.require_known(("job", "task", "argv0", *self.env), self.links)
        await self._tracker.adopt()

    async def _usage(self) -> Resources:
        """Return the resources that this task's pods use, and the number of recent launches."""
        return await usage_of(self, self._tracker)

    async def requested_resources(self, job: str) -> Resources | None:
        return await self._launcher.requested_resources(job)

    # -- rounds ----------------------------------------------------------------------------------

    @property
    def running(self) -> AbstractSet[str]:
        return self._tracker.jobs.keys()

    async def update(self) -> bool:
        """Retry the actions that had to wait; endings of pods arrive from the watch."""
        tracker = self._tracker
        await tracker.adopt()
        tracked, terminating = list(tracker.jobs.values()), tracker.terminating.expects_deletions
        if not tracked:
            return terminating  # wait for these pods before the next update
        tracker.record_exited(tracked)
        if self.runtime is None:
            await self.launch_due_retries()
        if self.runtime is None or not self.runtime.looping:
            await tracker.wait_recorded()
        return True

    async def launch(self, job: str) -> None:
        """Launch a job; in synchronous mode, wait until it has ended.

        :raises UnrecordableJobError: if its outcome could not be recorded.
        :raises LaunchRefusedError: if the quota has no room, or too many outcomes are unrecorded.
        :raises TemplateError: if the rendered template is not an acceptable pod.
        :raises TaskError: if the job is running already.
        :raises PodManagerError: if the pod could not be created.
        """
        tracker = self._tracker
        self.check_recordable(job)
        await tracker.adopt()
        tracked = tracker.jobs.get(job)
        if tracked is None:
            tracked = tracker.jobs[job] = PodJob(job)
        elif tracked.phase is Phase.WAITING:
            self._waiting.discard(job)
            tracker.set_phase(tracked, Phase.LAUNCHING)
        else:
            raise TaskError(f"{self.name}: job {job!r} is running already")
        await self._start(tracked)
        if self.synchronous:
            await self._complete(tracked)
        elif not self.drives:
            tracker.untrack(tracked)  # the driver tracks it

    async def _start(self, tracked: PodJob) -> None:
        tracker = self._tracker
        try:
            if tracker.pending_records >= MAX_PENDING_RECORDS:
                raise LaunchRefusedError(self.name, tracked.job, "unrecorded job outcomes")
            await self._launcher.launch(tracked, tracker)
        except LaunchRefusedError:
            if tracked.attempt > 1:
                tracker.set_phase(tracked, Phase.WAITING)
                self._waiting.add(tracked.job)
            else:
                tracker.on_launch_failed(tracked)
            raise
        except BaseException:
            if tracked.attempt > 1:
                tracker.schedule_retry(tracked, tracked.next_delay(1.0))
            else:
                tracker.on_launch_failed(tracked)
            raise
        tracker.watch(tracked)

    async def _complete(self, tracked: PodJob) -> None:
        """Track a job until it has finished, as a pipeline does otherwise."""
        tracker = self._tracker
        while not tracked.finished.is_set():
            if not self.drives and tracked.pod is not None and not tracked.gone:
                pod = await self.podman.get(tracked.name)
                tracker.on_pod(tracked.pod if pod is None else pod, gone=pod is None)
            tracker.record_exited([tracked])
            if tracked.phase is Phase.WAITING and time.monotonic() >= tracked.not_before:
                with contextlib.suppress(LaunchRefusedError):
                    return await self.launch(tracked.job)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(tracked.finished.wait(), POLL_INTERVAL_SECONDS)

    async def settled(self, job: str, record: Mapping[str, Any]) -> None:
        """Handle the outcome of a job that will not be retried; a hook for subclasses.

        It is called before the pod is deleted, and again if it or a later step fails.

        :param job: the job.
        :param record: the record of its outcome.
        """

    # -- ending jobs early -----------------------------------------------------------------------

    async def handle_timeout(self, pod: V1Pod) -> None:
        """Override this method in a subclass to have it called whenever a pod times out.

        You can use this method to e.g. scrape in-progress data out of the pod via an exec. The
        pod runs until this returns, and is deleted afterwards; exceptions are logged.

        :param pod: the last known state of the pod.
        """

    async def delete(self, pod: V1Pod) -> None:
        """Kill a pod and relinquish its resources without marking the task as complete.

        Its job is then ready again, if it was before.

        :param pod: a pod of this task.
        :raises PodManagerError: if that failed.
        """
        raw = await self.podman.get(pod.metadata.name)
        if raw is not None and raw["metadata"]["uid"] == pod.metadata.uid:
            await self.discard(raw)

    async def kill(self, job: str, *, grace: float | None = None) -> bool:
        """Kill a job that has a pod or waits for a retry; it counts as failed.

        If this process drives the task, return after the outcome is recorded, as ``killed``.
        Otherwise return when the pod has ended; the driver records it, now or when it next runs.

        :param job: the job.
        :param grace: seconds between the signal to end and the kill of its containers; by default
            the grace period of the pod.
        :return: whether there was a job to kill.
        """
        return await self.kill_job(job, grace)
