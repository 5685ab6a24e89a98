"""The configuration of a ``KubeTask``, and the links that follow from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import TaskConfigurationError
from pydatatask_core.resource_manager import ResourceManager
from pydatatask_core.task.durations import parse_seconds, parse_window
from pydatatask_core.task.logging_task import LoggingTask
from pydatatask_core.task.template import TaskTemplate
from pydatatask_kube.outcome.classifier import Limits
from pydatatask_kube.pod_names import check_label

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from pydatatask_core.repository.base import Repository
    from pydatatask_core.repository.blob import BlobRepository
    from pydatatask_core.repository.metadata import MetadataRepository
    from pydatatask_core.task.retries import Retries
    from pydatatask_core.task.template import Template
    from pydatatask_kube.live import LiveKubeRepository
    from pydatatask_kube.manager import PodManager

__all__ = ["KubeTaskConfig"]


class KubeTaskConfig(LoggingTask, ABC):
    """The configuration part of a task of pods; see :class:`KubeTask` for the parameters."""

    live: LiveKubeRepository

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
        super().__init__(name, ready, disabled, retries=retries, concurrency=concurrency)
        check_label("the name of a task of pods", name)
        self._check(podman, resources)
        self._podman = podman
        self._open_podman: PodManager | None = None
        self.resources = resources
        self.template = TaskTemplate(template, name)
        self.unsafe_templates = unsafe_templates
        self.window = parse_window(name, window)
        self.env = _check_env(name, env)
        self.limits = Limits(
            parse_seconds(name, "pending_timeout", pending_timeout),
            parse_seconds(name, "timeout", timeout),
        )
        self.logs = logs
        self.done = done
        self._link_all()
        self._create_collaborators()

    def _check(self, podman: object, resources: object) -> None:
        if not callable(podman):
            raise TaskConfigurationError(
                f"{self.name}: podman must be a callable that returns a PodManager, such as "
                f"`lambda: {podman!r}`, not {podman!r} itself"
            )
        if not isinstance(resources, ResourceManager):
            raise TaskConfigurationError(
                f"{self.name}: resources must be a ResourceManager, not {resources!r}"
            )

    @abstractmethod
    def _create_collaborators(self) -> None:
        """Create the objects that use the configuration."""

    def _link_all(self) -> None:
        from pydatatask_kube.live import LiveKubeRepository

        self.live = LiveKubeRepository(self)
        self.link("live", self.live, is_status=True, inhibits_start=True, inhibits_output=True)
        if self.logs is not None:
            self.link_blobs(
                "logs", self.logs, is_status=True, inhibits_start=True, required_for_output=True
            )
        if self.done is not None:
            self.link_outcomes("done", self.done)

    @property
    def podman(self) -> PodManager:
        """The pod manager instance for this task.

        :raises SessionError: if the manager is provided by an unopened session.
        """
        if self._open_podman is not None:
            return self._open_podman
        from pydatatask_kube.manager import PodManager

        podman = self._podman()
        if not isinstance(podman, PodManager):
            raise TaskConfigurationError(
                f"{self.name}: its podman, {self._podman!r}, returned {podman!r}, which is not a "
                "PodManager"
            )
        if self.runtime is not None:  # the session is open for as long as the runtime
            self._open_podman = podman
        return podman

    @property
    def quotas(self) -> tuple[ResourceManager, ...]:
        return (self.resources,)

    @property
    def log_repositories(self) -> Sequence[BlobRepository]:
        return () if self.logs is None else (self.logs,)

    @property
    def drives(self) -> bool:
        """True if this process is the one to track all jobs of the task."""
        return self.runtime is None or self.runtime.mode == "drive"

    @abstractmethod
    async def load_pods(self) -> None:
        """Wait until the pods are known, if this process drives the task.

        :raises PodManagerError: if they could not be listed.
        """

    @abstractmethod
    async def find(self, job: str) -> list[dict[str, Any]]:
        """Return the pods of a job: at most one, unless another client creates more.

        :param job: the job.
        :raises PodManagerError: if they could not be listed.
        """

    @abstractmethod
    async def forget_retry(self, job: str) -> None:
        """Cancel the retry of a job that waits for one.

        :param job: the job.
        """

    @abstractmethod
    async def discard(self, pod: dict[str, Any]) -> None:
        """Kill a pod, given as JSON, without marking its job as complete.

        :param pod: the pod.
        """


def _check_env(name: str, env: Mapping[str, Any] | None) -> dict[str, Any]:
    checked = dict(env or {})
    for key in checked:
        if not isinstance(key, str) or not key.isidentifier():
            raise TaskConfigurationError(
                f"{name}: keys of env must be identifiers, because templates use them as names; "
                f"{key!r} is not one"
            )
    return checked
