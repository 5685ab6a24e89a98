"""Tasks whose jobs run as pods of a Kubernetes cluster."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from pydatatask_core.errors import TaskConfigurationError, TaskError
from pydatatask_core.task.detached.phase import Phase
from pydatatask_core.task.detached.task import DetachedTask
from pydatatask_core.task.durations import parse_seconds
from pydatatask_core.task.template import TaskTemplate

from .cluster.orphans import describe_orphans
from .cluster.pod_state import is_terminated
from .jobs.config import check_env, check_managers
from .jobs.job import PodJob
from .jobs.launch import Launcher
from .jobs.log_reader import read_logs
from .jobs.termination import KILL_GRACE_SECONDS, delete_foreign_pod, kill_foreign_pod
from .jobs.tracker import PodTracker
from .jobs.usage import usage_of
from .live import LiveKubeRepository
from .outcome.classifier import Limits
from .pod_names import check_label, job_of, labels, name_of, uid_of

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping, Sequence

    from kubernetes_asyncio.client import V1Pod

    from pydatatask_core.repository.base import Repository
    from pydatatask_core.repository.blob import BlobRepository
    from pydatatask_core.repository.metadata import MetadataRepository
    from pydatatask_core.resource_manager import ResourceManager, Resources
    from pydatatask_core.task.retries import Retries
    from pydatatask_core.task.template import Template

    from .manager import PodManager

__all__ = ["KubeTask"]


class KubeTask(DetachedTask[PodJob]):
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

    poll_interval_seconds = 0.5

    checks_outputs_in_pod: ClassVar[bool] = False
    """Whether the pod itself checks the required outputs of its job, and fails without them."""

    _tracker: PodTracker
    _open_podman: PodManager | None = None

    def __init__(
        self,
        name: str,
        podman: Callable[[], PodManager],
        resources: ResourceManager,
        template: str | os.PathLike[str] | Template,
        logs: BlobRepository | None,
        done: MetadataRepository | None,
        window: timedelta | float = timedelta(seconds=60),
        timeout: timedelta | float | None = None,
        env: Mapping[str, Any] | None = None,
        ready: Repository | None = None,
        *,
        pending_timeout: timedelta | float | None = None,
        retries: int | Retries = 0,
        concurrency: int | None = None,
        disabled: bool = False,
        unsafe_templates: bool = False,
    ) -> None:
        super().__init__(
            name,
            ready,
            disabled,
            quota=resources,
            window=window,
            done=done,
            retries=retries,
            concurrency=concurrency,
        )
        check_label("the name of a task of pods", name)
        check_managers(name, podman, resources)
        self._podman = podman
        self.resources = resources
        self.template, self.unsafe_templates = TaskTemplate(template, name), unsafe_templates
        self.env = check_env(name, env)
        self.limits = Limits(
            parse_seconds(name, "pending_timeout", pending_timeout),
            parse_seconds(name, "timeout", timeout),
        )
        self.logs = logs
        self.live = LiveKubeRepository(self)
        self.link("live", self.live, is_status=True, inhibits_start=True, inhibits_output=True)
        if logs is not None:
            self.link_blobs(
                "logs", logs, is_status=True, inhibits_start=True, required_for_output=True
            )
        if done is not None:
            self.link_outcomes("done", done)
        self._launcher = Launcher(self)
        self._start_tracking()

    # -- opening ---------------------------------------------------------------------------------

    def _create_tracker(self) -> PodTracker:
        return PodTracker(self)

    def _forget_connection(self) -> None:
        self._open_podman = None

    @property
    def podman(self) -> PodManager:
        """The pod manager instance for this task.

        :raises SessionError: if the manager is provided by an unopened session.
        """
        if self._open_podman is not None:
            return self._open_podman
        from .manager import PodManager

        podman = self._podman()
        if not isinstance(podman, PodManager):
            raise TaskConfigurationError(
                f"{self.name}: its podman, {self._podman!r}, returned {podman!r}, which is not a "
                "PodManager"
            )
        if self.runtime is not None:  # the session is open for as long as the runtime
            self._open_podman, self.is_connected = podman, True
        return podman

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

    # -- launching -------------------------------------------------------------------------------

    async def _usage(self) -> Resources:
        return await usage_of(self, self._tracker)

    async def requested_resources(self, job: str) -> Resources | None:
        return await self._launcher.requested_resources(job)

    async def _launch(self, tracked: PodJob) -> None:
        await self._launcher.launch(tracked, self._tracker)

    async def launch(self, job: str) -> None:
        """Launch a job; in synchronous mode, wait until it has ended.

        :raises UnrecordableJobError: if its outcome could not be recorded.
        :raises LaunchRefusedError: if the quota has no room, or too many outcomes are unrecorded.
        :raises TemplateError: if the rendered template is not an acceptable pod.
        :raises TaskError: if the job is running already.
        :raises PodManagerError: if the pod could not be created.
        """
        await super().launch(job)
        if not self.synchronous and not self.drives:
            tracked = self._tracker.jobs.get(job)
            if tracked is not None:
                self._tracker.untrack(tracked)  # the driver tracks it

    # -- inspection ------------------------------------------------------------------------------

    @property
    def log_repositories(self) -> Sequence[BlobRepository]:
        return () if self.logs is None else (self.logs,)

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
        """Wait until the pods are known, if this process drives the task.

        :raises PodManagerError: if they could not be listed.
        """
        if not self._tracker.adopted:
            await self._tracker.adopt()

    async def find(self, job: str) -> list[dict[str, Any]]:
        """Return the pods of a job: at most one, unless another client creates more.

        :param job: the job.
        :raises PodManagerError: if they could not be listed.
        """
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

    async def discard(self, pod: dict[str, Any]) -> None:
        """Kill a pod, given as JSON, without marking its job as complete.

        :param pod: the pod.
        """
        expected_labels = labels(self.podman.app, self.name, str(job_of(pod)))
        if not expected_labels.items() <= (pod["metadata"].get("labels") or {}).items():
            raise TaskError(
                f"{self.name}: the pod {pod['metadata']['name']!r} does not belong to this task"
            )
        await self._tracker.adopt()
        tracked = self._tracker.jobs.get(expected_labels["job"])
        if tracked is not None:
            await tracked.launched.wait()  # a launch counts the quota of its pod when it returns
        if (
            tracked is not None
            and not tracked.finished.is_set()
            and tracked.pod is not None
            and tracked.uid == pod["metadata"]["uid"]
        ):
            await self._tracker.discard(tracked, KILL_GRACE_SECONDS)
        else:
            await delete_foreign_pod(self, pod)

    async def forget_retry(self, job: str) -> None:
        """Cancel the retry of a job that waits for one.

        :param job: the job.
        """
        tracked = self._tracker.jobs.get(job)
        if tracked is not None and tracked.phase is Phase.WAITING:
            self.cancel_retry(job)
            await self._tracker.complete(tracked, None)

    async def clean_up(self, jobs: Collection[str]) -> None:
        for pod in await self.podman.find(self.name):
            if job_of(pod) in jobs and is_terminated(pod) and await self.is_recorded(pod):
                await self.podman.remove(name_of(pod), uid_of(pod))

    async def _kill_untracked(self, job: str, grace: float | None) -> bool:
        self.live.check_job_id(job)
        return not self.drives and await kill_foreign_pod(self, job)
