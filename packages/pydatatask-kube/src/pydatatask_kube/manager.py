"""The connection to a cluster that tasks share, and operations on pods."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import TaskConfigurationError

from .cluster.client import Client
from .cluster.informer import PodInformer
from .cluster.pod_api import PodApi
from .manifest.pod_manifest import complete
from .pod_names import check_label, selector

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kubernetes_asyncio.client import ApiClient, Configuration, CoreV1Api, V1Pod
    from kubernetes_asyncio.stream import WsApiClient

__all__ = ["PodManager"]


class PodManager(PodApi):
    """A pod manager allows multiple tasks to share a connection to a kubernetes cluster.

    Create it as a resource of the session::

        @session.resource
        async def podman():
            podman = PodManager("my-app", "my-namespace")
            yield podman
            await podman.close()

    It connects on first use. While a pipeline drives tasks with it, it lists the pods of its app
    once, watches them afterwards, and answers queries from memory. Every request has a timeout, is
    retried a few times if the server is overloaded or cannot be reached, and is repeated with a
    reloaded configuration if the credentials have expired.

    :param app: the app name string with which to label all created pods.
    :param namespace: the namespace in which to create and query pods.
    :param config: a callable returning a kubernetes configuration object, or an awaitable of one.
        By default the configuration of kubectl is used (``KUBECONFIG``, ``~/.kube/config``), or in
        a pod without one the pod's service account.
    :raises TaskConfigurationError: if the app cannot be a label.
    """

    def __init__(
        self,
        app: str,
        namespace: str,
        config: Callable[[], Configuration | Awaitable[Configuration]] | None = None,
    ) -> None:
        if not isinstance(namespace, str) or not namespace:
            raise TaskConfigurationError(
                f"the namespace of a PodManager must be a non-empty string, not {namespace!r}"
            )
        if config is not None and not callable(config):
            raise TaskConfigurationError(
                f"config must be a callable that returns a Configuration, not {type(config)!r}"
            )
        app = check_label("the app of a PodManager", app)
        super().__init__(app, namespace, Client(config, namespace))
        self.informer = PodInformer(self)
        self.inspected_tasks: set[str] = set()
        """The tasks that were opened for inspection only; driven tasks listen to the watch."""

    # -- connection ------------------------------------------------------------------------------

    @property
    def api(self) -> ApiClient:
        """The current API client.

        :raises SessionError: if it is not connected yet, or closed.
        """
        return self.client.api

    @property
    def api_ws(self) -> WsApiClient:
        """The current websocket-aware API client.

        :raises SessionError: if it is not connected yet, or closed.
        """
        return self.client.api_ws

    @property
    def v1(self) -> CoreV1Api:
        """A CoreV1Api instance associated with the current API client."""
        from kubernetes_asyncio.client import CoreV1Api

        return CoreV1Api(self.api)

    @property
    def v1_ws(self) -> CoreV1Api:
        """A CoreV1Api instance associated with the current websocket-aware API client."""
        from kubernetes_asyncio.client import CoreV1Api

        return CoreV1Api(self.api_ws)

    async def connect(self) -> None:
        """Load the configuration and create the clients; do nothing if already connected.

        :raises PodManagerError: if there is no usable configuration.
        """
        await self.client.connect()

    async def close(self) -> None:
        """Close the network connections associated with this podman."""
        await self.informer.close()
        await self.client.close()

    # -- documented methods ----------------------------------------------------------------------

    async def launch(self, job: str, task: str, manifest: dict[str, Any]) -> None:
        """Create a pod with the given manifest, named and labeled for the given job and task.

        :param job: the job.
        :param task: the task.
        :param manifest: the pod, as in a YAML or JSON file.
        :raises PodManagerError: if it could not be created, or exists already.
        """
        await self.create(complete(manifest, self.app, task, job, attempt=1))

    async def query(self, job: str | None = None, task: str | None = None) -> list[V1Pod]:
        """Return a list of pods labeled for this podman's app and the given job and task.

        :param job: the job; any by default.
        :param task: the task; any by default.
        :raises PodManagerError: if they could not be listed.
        """
        pods = await self.find(task, job)
        await self.connect()
        return [self.typed(self.informer.full(pod)) for pod in pods]

    async def delete(self, pod: V1Pod) -> None:
        """Destroy the given pod; do nothing if it has been deleted already.

        :raises PodManagerError: if that failed.
        """
        await self.remove(pod.metadata.name, pod.metadata.uid)

    async def logs(self, pod: V1Pod, timeout: float = 10) -> str:
        """Retrieve the logs for the given pod, those of all its containers one after the other.

        :param pod: the pod.
        :param timeout: the maximum duration in seconds.
        :raises TimeoutError: if it takes longer.
        :raises PodManagerError: if a log could not be read.
        """
        containers = [c.name for c in (*(pod.spec.init_containers or ()), *pod.spec.containers)]
        texts = []
        async with asyncio.timeout(timeout):
            for container in containers:
                async with self.log(pod.metadata.name, container) as response:
                    texts.append((await response.read()).decode(errors="replace"))
        return "".join(texts)

    # -- pods as JSON, used by KubeTask -----------------------------------------------------------

    def typed(self, pod: dict[str, Any]) -> V1Pod:
        """Convert a pod to the client library's model."""
        from types import SimpleNamespace

        # deserialize() uses the `data` attribute of a response only.
        response: Any = SimpleNamespace(data=json.dumps(pod))
        typed: V1Pod = self.api.deserialize(response, "V1Pod")
        return typed

    async def find(self, task: str | None = None, job: str | None = None) -> list[dict[str, Any]]:
        """Return the pods of the app, from memory if they are watched, else from a listing.

        :param task: the value of their label ``task``; any by default.
        :param job: the value of their label ``job``; any by default.
        """
        if self.informer.synced:
            return self.informer.pods(task, job)
        result: list[dict[str, Any]] = []
        async with aclosing(self.pages(selector(self.app, task, job))) as pages:
            async for pods, _ in pages:
                result += pods
        return result

    def __repr__(self) -> str:
        return f"PodManager({self.app!r}, {self.namespace!r})"
