"""The connection to a cluster that tasks share, and what they do with pods by it."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import TaskConfigurationError

from .client import Client
from .errors import PodManagerError
from .manifest import complete
from .names import check_label, name_of, selector, uid_of
from .watch import PodWatch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from kubernetes_asyncio.client import ApiClient, Configuration, CoreV1Api, V1Pod
    from kubernetes_asyncio.stream import WsApiClient

    from .answer import Answer

__all__ = ["PodManager"]

PAGE = 100
"""How many pods are asked for at once. To decode that many takes some ten milliseconds."""

_ABSENT = 404
_CONFLICT = 409
_MERGE = "application/merge-patch+json"


class PodManager:
    """A pod manager allows multiple tasks to share a connection to a kubernetes cluster.

    Make it as a resource of the session::

        @session.resource
        async def podman():
            podman = PodManager("my-app", "my-namespace")
            yield podman
            await podman.close()

    It connects when it is first used. While a pipeline drives tasks by it, it lists the pods of
    its app once and then watches them, and answers from what it knows. Every request has a
    time-out, is made again a few times if the server is overloaded or cannot be reached, and with
    a configuration loaded anew if the credentials have expired.

    :param app: the app name string with which to label all created pods.
    :param namespace: the namespace in which to create and query pods.
    :param config: a callable returning a kubernetes configuration object, or an awaitable of one.
        By default the configuration of kubectl is used (``KUBECONFIG``, ``~/.kube/config``), and
        within a pod that has none that of the pod's service account.
    :raises TaskConfigurationError: if the app cannot be a label.
    """

    def __init__(
        self,
        app: str,
        namespace: str,
        config: Callable[[], Configuration | Awaitable[Configuration]] | None = None,
    ) -> None:
        self.app = check_label("the app of a PodManager", app)
        if not isinstance(namespace, str) or not namespace:
            raise TaskConfigurationError(
                f"the namespace of a PodManager has to be a string, not {namespace!r}"
            )
        if config is not None and not callable(config):
            raise TaskConfigurationError(
                f"config has to be a callable that gives a Configuration, not {type(config)!r}"
            )
        self.namespace = namespace
        self.client = Client(config, namespace)
        self.watch = PodWatch(self)
        self.tasks: set[str] = set()
        """The tasks that were opened to be looked at; those that are driven listen to the watch."""

    # -- the connection --------------------------------------------------------------------------

    @property
    def where(self) -> str:
        """The namespace and server, for messages."""
        return self.client.where

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
        """Load the configuration and make the clients, unless that has been done.

        :raises PodManagerError: if there is no configuration that can be used.
        """
        await self.client.connect()

    async def close(self) -> None:
        """Close the network connections associated with this podman."""
        await self.watch.close()
        await self.client.close()

    # -- as documented ---------------------------------------------------------------------------

    async def launch(self, job: str, task: str, manifest: dict[str, Any]) -> None:
        """Create a pod with the given manifest, named and labeled for the given job and task.

        :param job: the job.
        :param task: the task.
        :param manifest: the pod, as in a YAML or JSON file.
        :raises PodManagerError: if it could not be created, or is there already.
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
        return [self.typed(self.watch.whole(pod)) for pod in pods]

    async def delete(self, pod: V1Pod) -> None:
        """Destroy the given pod; succeed if it is gone already.

        :raises PodManagerError: if that failed.
        """
        await self.remove(pod.metadata.name, pod.metadata.uid)

    async def logs(self, pod: V1Pod, timeout: float = 10) -> str:
        """Retrieve the logs for the given pod, those of all its containers one after the other.

        :param pod: the pod.
        :param timeout: how many seconds that may take.
        :raises TimeoutError: if it takes longer.
        :raises PodManagerError: if they could not be had.
        """
        containers = [c.name for c in (*(pod.spec.init_containers or ()), *pod.spec.containers)]
        texts = []
        async with asyncio.timeout(timeout):
            for container in containers:
                async with self.log(pod.metadata.name, container) as answer:
                    texts.append((await answer.read()).decode(errors="replace"))
        return "".join(texts)

    # -- as JSON, which is what our own tasks work with -------------------------------------------

    def typed(self, pod: dict[str, Any]) -> V1Pod:
        """Make the client library's object of a pod."""
        from types import SimpleNamespace

        # All that it looks at is the text of an answer.
        answer: Any = SimpleNamespace(data=json.dumps(pod))
        typed: V1Pod = self.api.deserialize(answer, "V1Pod")
        return typed

    async def find(self, task: str | None = None, job: str | None = None) -> list[dict[str, Any]]:
        """Give pods: from what is known if they are watched, else from a listing.

        :param task: the task that they are labelled with; any by default.
        :param job: the job that they are labelled with; any by default.
        """
        if self.watch.synced:
            return self.watch.pods(task, job)
        found: list[dict[str, Any]] = []
        async with aclosing(self._pages(selector(self.app, task, job))) as pages:
            async for pods, _ in pages:
                found += pods
        return found

    async def create(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Create a pod.

        :raises PodManagerError: if that failed; it may exist all the same, unless this says why
            the server refused it.
        """
        pod: dict[str, Any] = await self.client.request(
            f"create pod {name_of(manifest)!r}", "create_namespaced_pod", self.namespace, manifest
        )
        return pod

    async def get(self, name: str) -> dict[str, Any] | None:
        """Give a pod by its name, or None if there is none."""
        try:
            pod: dict[str, Any] = await self.client.request(
                f"read pod {name!r}", "read_namespaced_pod", name, self.namespace
            )
        except PodManagerError as e:
            if e.status == _ABSENT:
                return None
            raise
        return pod

    async def patch(self, pod: dict[str, Any], change: dict[str, Any]) -> None:
        """Change a pod, unless it is gone.

        :param pod: the pod.
        :param change: what is to be different.
        """
        change = {**change, "metadata": {**change.get("metadata", {}), "uid": uid_of(pod)}}
        try:
            await self.client.request(
                f"change pod {name_of(pod)!r}",
                "patch_namespaced_pod",
                *(name_of(pod), self.namespace, change),
                _content_type=_MERGE,
            )
        except PodManagerError as e:
            if e.status not in (_ABSENT, _CONFLICT):
                raise

    async def remove(self, name: str, uid: str, grace: int | None = None) -> None:
        """Delete a pod, and no other that has got its name since; succeed if it is gone.

        :param name: its name.
        :param uid: its uid.
        :param grace: how many seconds it gets to end; what it says itself by default.
        """
        body: dict[str, Any] = {"preconditions": {"uid": uid}}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        try:
            await self.client.request(
                f"delete pod {name!r}", "delete_namespaced_pod", name, self.namespace, body=body
            )
        except PodManagerError as e:
            if e.status not in (_ABSENT, _CONFLICT):
                raise

    @asynccontextmanager
    async def log(
        self, name: str, container: str, *, follow: bool = False
    ) -> AsyncGenerator[Answer, None]:
        """Read what a container has written until now.

        :param name: the name of the pod.
        :param container: the name of the container.
        :param follow: whether to go on until it has ended, however long it says nothing.
        :raises PodManagerError: if it cannot be had.
        """
        options: dict[str, Any] = {"follow": True, "silence": 0} if follow else {}
        async with self.client.answer(
            f"read the log of container {container!r} of pod {name!r}",
            "read_namespaced_pod_log",
            *(name, self.namespace),
            container=container,
            **options,
        ) as answer:
            yield answer

    # -- what the watch asks for -----------------------------------------------------------------

    def pages(self) -> AsyncGenerator[tuple[list[dict[str, Any]], str], None]:
        """List all pods of the app in pages."""
        return self._pages(selector(self.app))

    async def _pages(
        self, label_selector: str
    ) -> AsyncGenerator[tuple[list[dict[str, Any]], str], None]:
        more: dict[str, str] = {}
        while True:
            page = await self.client.request(
                "list pods",
                "list_namespaced_pod",
                self.namespace,
                label_selector=label_selector,
                limit=PAGE,
                **more,
            )
            about = page.get("metadata") or {}
            yield page.get("items") or [], str(about.get("resourceVersion") or "")
            if not about.get("continue"):
                return
            more = {"_continue": about["continue"]}

    async def events(
        self, version: str, seconds: int, silence: float
    ) -> AsyncGenerator[bytes, None]:
        """Watch all pods of the app from a version on."""
        options = {
            "label_selector": selector(self.app),
            "watch": True,
            "allow_watch_bookmarks": True,
            "resource_version": version,
            "timeout_seconds": seconds,
        }
        async with (
            self.client.answer(
                "watch pods", "list_namespaced_pod", self.namespace, silence=silence, **options
            ) as answer,
            aclosing(answer.lines()) as lines,
        ):
            async for line in lines:
                yield line

    def __repr__(self) -> str:
        return f"PodManager({self.app!r}, {self.namespace!r})"
