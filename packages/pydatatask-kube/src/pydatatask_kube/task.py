"""Jobs that run as pods of a Kubernetes cluster."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any, ClassVar

from pydatatask_core.errors import LaunchRefusedError, TaskError
from pydatatask_core.task.flight import Phase

from ._task.job import LiveJob
from ._task.jobs import Jobs
from ._task.launching import Launcher
from ._task.leaving import LOOK_AGAIN
from ._task.usage import usage_of
from .control import KubeControl

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from kubernetes_asyncio.client import V1Pod

    from pydatatask_core.resource_manager import Resources
    from pydatatask_core.task.runtime import Runtime

__all__ = ["KubeTask"]

log = logging.getLogger("pydatatask.task")

MOST_UNRECORDED = 64
"""While the ends of as many jobs are not recorded, nothing is launched."""


class KubeTask(KubeControl):
    """A task which runs a kubernetes pod.

    Will automatically link a :class:`LiveKubeRepository` as "live" with ``inhibits_start``,
    ``inhibits_output``, ``is_status``.

    A job ends well if its pod does, all containers with exit status 0, and every output that is not
    optional is written then; else it has failed, with ``missing_outputs``. Whatever else became of
    the pod is recorded in ``done``: ``success``, ``return_code``, ``start_time``, ``end_time``,
    ``duration`` (seconds), ``attempt``, ``pod``, ``uid``, ``node``, ``image``, ``restarts``, with
    several containers a list of these as ``containers``; of a failure also ``reason``, ``signal``
    where it was one, and one of ``oom_killed``, ``evicted``, ``image_unavailable``,
    ``unschedulable``, ``not_started``, ``timed_out``, ``killed``, ``deleted`` and ``lost`` where
    that applies. The pod is deleted when all of that is written, the logs included.

    A pod is created under the one name that the pod of its job can have, so a job has no two of
    them, whatever crashes. A node that is lost proves nothing about what runs on it: its jobs are
    recorded as lost, and are not started elsewhere before somebody removes that record.

    :param name: the name of the task. It becomes a label.
    :param podman: a callable returning a PodManager to use to connect to the cluster.
    :param resources: a ResourceManager instance. Tasks launched will contribute to its quota, by
        what the containers of the pod request, and be denied if they would break the quota.
    :param template: YAML markup for a pod manifest template, either as a string or a path to a
        file, or a ``Template``, which can have other delimiters. It may name ``job``, ``task``,
        ``argv0`` (the script that runs), the keys of ``env`` and every link, which gives what its
        repository says about the job. What it gets besides are the labels ``app``, ``task`` and
        ``job``, the end of its name, and the restart policy ``Never`` if it has none.
    :param logs: optional: a BlobRepository to dump pod logs to on completion. Linked as "logs"
        with ``inhibits_start``, ``required_for_output``, ``is_status``. Of several containers
        each has a heading.
    :param done: optional: a MetadataRepository in which to dump some information about the pod's
        lifetime and termination on completion. Linked as "done" with ``inhibits_start``,
        ``required_for_output``, ``is_status``.
    :param window: optional: how far back into the past to look (a timedelta, or seconds) in order
        to determine whether we have recently launched too many pods too quickly.
    :param timeout: optional: when a pod is found to have been running continuously for this
        amount of time (a timedelta, or seconds), it will be timed out and stopped. The method
        :meth:`handle_timeout` will be called in-process.
    :param env: optional: additional keys to add to the template environment. What they put into
        a manifest is not shown in any message.
    :param ready: optional: a repository from which to read task-ready status.
    :param pending_timeout: optional: how long a pod may take until it runs (a timedelta, or
        seconds), be it that no node has room for it or that its image cannot be had. Without it
        a pod waits for room for ever, and for an image five minutes.
    :param retries: how often a failed job is tried again before its failure is recorded.
    :param concurrency: how many jobs may run at once.
    :param disabled: whether the pipeline leaves this task alone.
    :param unsafe_templates: whether a value that the template prints may change the shape of the
        manifest. By default its job is refused with a :class:`TemplateError`; only the filter
        ``tojson`` prints lists and mappings, and ``raw`` text that is meant as YAML.

    It is highly recommended to provide one or more of ``done`` or ``logs`` so that at least one
    link is present with ``inhibits_start``. Only ``done`` tells what has failed.
    """

    event_driven = True

    checks_outputs_in_pod: ClassVar[bool] = False
    """Whether a pod ends well only if its job's required outputs are written."""

    def _prepare(self) -> None:
        self._launcher = Launcher(self)
        self._jobs = Jobs(self)
        self.resources.register(self._usage, window=self.window)

    # -- opening ---------------------------------------------------------------------------------

    def attach(self, runtime: Runtime | None) -> None:
        super().attach(runtime)
        self._jobs.close()
        self._open_podman = None
        self._jobs = Jobs(self)

    async def validate(self) -> None:
        """Check the configuration and the cluster, and find what an earlier driver left behind.

        Pods of the app that belong to no task are reported.

        :raises TemplateError: if the template cannot be read, is not well-formed, or uses a name
            that can never be defined.
        :raises PodManagerError: if pods cannot be listed.
        """
        self._jobs.listen()  # before all else, since the watch reports pods that nobody listens to
        if self.looks_only:
            self.podman.tasks.add(self.name)
        await self.template.check()
        self.template.require_known(("job", "task", "argv0", *self.env), self.links)
        await self._jobs.adopt()

    async def _usage(self) -> Resources:
        """Tell what the live pods take of the quota, and how many launches were recent."""
        return await usage_of(self, self._jobs)

    async def demand(self, job: str) -> Resources | None:
        return await self._launcher.demand(job)

    # -- rounds ----------------------------------------------------------------------------------

    @property
    def running(self) -> AbstractSet[str]:
        return self._jobs.live.keys()

    async def update(self) -> bool:
        """Go on with what could not be done before; whatever ends is told by the cluster."""
        jobs = self._jobs
        await jobs.adopt()
        live, leaving = list(jobs.live.values()), jobs.leaving.expected
        if not live:
            return leaving  # what comes next waits for that
        jobs.attend(live)
        if self.runtime is None:
            await self.launch_due()
        if self.runtime is None or not self.runtime.looping:
            await jobs.settle()
        return True

    async def launch(self, job: str) -> None:
        """Launch a job; in synchronous mode, to its end.

        :raises UnrecordableJobError: if its end could not be recorded.
        :raises LaunchRefusedError: if the quota has no room, or too many ends are not recorded.
        :raises TemplateError: if the template gives no pod that is accepted.
        :raises TaskError: if the job is running already.
        :raises PodManagerError: if the pod could not be created.
        """
        jobs = self._jobs
        self.check_recordable(job)
        await jobs.adopt()
        live = jobs.live.get(job)
        if live is None:
            live = jobs.live[job] = LiveJob(job)
        elif live.phase is Phase.WAITING:
            self._waiting.discard(job)
            jobs.enter(live, Phase.LAUNCHING)
        else:
            raise TaskError(f"{self.name}: job {job!r} is running already")
        await self._begin(live)
        if self.synchronous:
            await self._complete(live)
        elif not self.drives:
            jobs.drop(live)  # it is for the driver to look after it

    async def _begin(self, live: LiveJob) -> None:
        jobs = self._jobs
        try:
            if jobs.unrecorded >= MOST_UNRECORDED:
                raise LaunchRefusedError(self.name, live.job, "recording ends of jobs")
            await self._launcher.launch(live, jobs)
        except LaunchRefusedError:
            if live.attempt > 1:
                jobs.enter(live, Phase.WAITING)
                self._waiting.add(live.job)
            else:
                jobs.give_up(live)
            raise
        except BaseException:
            if live.attempt > 1:
                jobs.wait_again(live, live.wait(1.0))
            else:
                jobs.give_up(live)
            raise
        jobs.run_on(live)

    async def _complete(self, live: LiveJob) -> None:
        """Wait until a job is over, and do what otherwise a pipeline would."""
        jobs = self._jobs
        while not live.over.is_set():
            if not self.drives and live.pod is not None and not live.gone:
                pod = await self.podman.get(live.name)
                jobs.changed(live.pod if pod is None else pod, gone=pod is None)
            jobs.attend([live])
            if live.phase is Phase.WAITING and time.monotonic() >= live.not_before:
                with contextlib.suppress(LaunchRefusedError):
                    return await self.launch(live.job)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(live.over.wait(), LOOK_AGAIN)

    async def settled(self, job: str, record: Mapping[str, Any]) -> None:
        """Take note that a job has ended and will not be tried again; for subclasses.

        It is called before the pod is deleted, and again if that or anything else fails.

        :param job: the job.
        :param record: how it ended.
        """

    # -- ending jobs early -----------------------------------------------------------------------

    async def handle_timeout(self, pod: V1Pod) -> None:
        """Override this method in a subclass to have it called whenever a pod times out.

        You can use this method to e.g. scrape in-progress data out of the pod via an exec. The
        pod runs until this returns, and is deleted afterwards; what this raises is logged.

        :param pod: the pod, as it was known last.
        """

    async def delete(self, pod: V1Pod) -> None:
        """Kill a pod and relinquish its resources without marking the task as complete.

        Its job is ready again, if it was.

        :param pod: a pod of this task.
        :raises PodManagerError: if that failed.
        """
        raw = await self.podman.get(pod.metadata.name)
        if raw is not None and raw["metadata"]["uid"] == pod.metadata.uid:
            await self.discard(raw)

    async def kill(self, job: str, *, grace: float | None = None) -> bool:
        """End a job that is live; it counts as failed.

        If this process drives the task, this returns when the end is recorded, as ``killed``; else
        when the pod is over, and the driver records it, now or when there is one.

        :param job: the job.
        :param grace: how many seconds its containers get to end after they were asked to; what
            the pod says itself by default.
        :return: whether there was anything to end.
        """
        return await self.end_early(job, grace)
