"""The pods of an application as JSON, as used by ``KubeTask``."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

from pydatatask_kube.errors import PodManagerError
from pydatatask_kube.pod_names import name_of, selector, uid_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from .client import Client
    from .response import ApiResponse

__all__ = ["PAGE_SIZE", "PodApi"]

PAGE_SIZE = 100
"""The number of pods per page of a listing; decoding a page takes about ten milliseconds."""

_ABSENT = 404
_CONFLICT = 409
_MERGE = "application/merge-patch+json"


class PodApi:
    """Operations on the pods of an application.

    :param app: the application, which is a label of its pods.
    :param namespace: their namespace.
    :param client: the API client.
    """

    def __init__(self, app: str, namespace: str, client: Client) -> None:
        self.app = app
        self.namespace = namespace
        self.client = client

    @property
    def where(self) -> str:
        """The namespace and server, for messages."""
        return self.client.where

    async def create(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Create a pod.

        :raises PodManagerError: if that failed. The pod may still exist, unless the error has the
            server's reason for the refusal.
        """
        pod: dict[str, Any] = await self.client.request(
            f"create pod {name_of(manifest)!r}", "create_namespaced_pod", self.namespace, manifest
        )
        return pod

    async def get(self, name: str) -> dict[str, Any] | None:
        """Return the pod with the given name, or None if there is none."""
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
        """Change a pod, unless it has been deleted.

        :param pod: the pod.
        :param change: the fields to change.
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
        """Delete a pod, but no later pod of the same name; do nothing if it has been deleted.

        :param name: its name.
        :param uid: its uid.
        :param grace: the grace period in seconds; by default that of the pod.
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
    ) -> AsyncGenerator[ApiResponse, None]:
        """Open the log of a container.

        :param name: the name of the pod.
        :param container: the name of the container.
        :param follow: whether to wait for new output until it has ended, without a read timeout.
        :raises PodManagerError: if it cannot be read.
        """
        options: dict[str, Any] = {"follow": True, "read_timeout": 0} if follow else {}
        async with self.client.open_response(
            f"read the log of container {container!r} of pod {name!r}",
            "read_namespaced_pod_log",
            *(name, self.namespace),
            container=container,
            **options,
        ) as response:
            yield response

    async def pages(
        self, label_selector: str | None = None
    ) -> AsyncGenerator[tuple[list[dict[str, Any]], str], None]:
        """List pods in pages, each with the version of the whole listing.

        :param label_selector: their selector; all pods of the app by default.
        """
        continuation: dict[str, str] = {}
        while True:
            page = await self.client.request(
                "list pods",
                "list_namespaced_pod",
                self.namespace,
                label_selector=label_selector or selector(self.app),
                limit=PAGE_SIZE,
                **continuation,
            )
            metadata = page.get("metadata") or {}
            yield page.get("items") or [], str(metadata.get("resourceVersion") or "")
            if not metadata.get("continue"):
                return
            continuation = {"_continue": metadata["continue"]}

    async def events(
        self, version: str, seconds: int, read_timeout: float
    ) -> AsyncGenerator[bytes, None]:
        """Watch all pods of the app, starting after a version."""
        options = {
            "label_selector": selector(self.app),
            "watch": True,
            "allow_watch_bookmarks": True,
            "resource_version": version,
            "timeout_seconds": seconds,
        }
        async with (
            self.client.open_response(
                "watch pods",
                "list_namespaced_pod",
                self.namespace,
                read_timeout=read_timeout,
                **options,
            ) as response,
            aclosing(response.lines()) as lines,
        ):
            async for line in lines:
                yield line
