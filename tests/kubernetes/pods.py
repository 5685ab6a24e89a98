"""Tasks whose jobs are manifests, on a real cluster."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

import pydatatask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from services.kubernetes.fixture import Kubernetes

__all__ = ["Created", "Work", "pod", "until"]

TIMEOUT_SECONDS = 120.0


def pod(script: str, image: str, **spec: Any) -> dict[str, Any]:
    """Return the manifest of a pod that runs a script.

    :param script: the script, for a shell.
    :param image: the image.
    :param spec: further fields of the spec; ``resources`` are those of the container.
    """
    usual = {"requests": {"cpu": "50m", "memory": "4Mi"}, "limits": {"memory": "32Mi"}}
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", script],
        "resources": spec.pop("resources", usual),
    }
    containers = [container, *spec.pop("beside", ())]
    return {"spec": {"terminationGracePeriodSeconds": 1, "containers": containers, **spec}}


async def until(condition: Callable[[], object], patience: float = TIMEOUT_SECONDS) -> None:
    """Wait until a condition is true.

    :param condition: the condition.
    :param patience: seconds after which to fail.
    """
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        await asyncio.sleep(0.02)


class Created:
    """A counter of the pods created for each job, by the events of the API server.

    :param kubernetes: the cluster.
    :param app: the app of the pods.
    """

    def __init__(self, kubernetes: Kubernetes, app: str) -> None:
        self.uids: dict[str, set[str]] = {}
        self.podman = pydatatask.PodManager(app, kubernetes.namespace, kubernetes.configuration)

    async def __aenter__(self) -> Self:
        self.podman.informer.subscribe("task", self)
        await self.podman.informer.wait_synced()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.podman.close()

    def on_pod(self, pod: dict[str, Any], gone: bool) -> None:
        """Count a pod."""
        metadata = pod["metadata"]
        self.uids.setdefault(metadata["labels"]["job"], set()).add(metadata["uid"])

    def on_listed(self, began: float) -> None:
        """Ignore the end of a listing."""


class Work:
    """A task whose jobs are manifests, in a pipeline with its own app.

    :param kubernetes: the cluster.
    :param jobs: the manifest of each job.
    :param options: further arguments of the task, and ``configuration`` to replace that of the
        cluster in the pod manager.
    """

    def __init__(self, kubernetes: Kubernetes, jobs: dict[str, Any], **options: Any) -> None:
        self.kubernetes = kubernetes
        self.app = f"test-{secrets.token_hex(4)}"
        self.configuration = options.pop("configuration", kubernetes.configuration)
        self.session = pydatatask.Session()
        self.podman = self.session.resource(self._podman)
        self.manifests = pydatatask.InProcessMetadataRepository(dict(jobs))
        self.logs = pydatatask.InProcessBlobRepository()
        self.done = pydatatask.InProcessMetadataRepository()
        quota = pydatatask.ResourceManager(
            options.pop("quota", pydatatask.Resources.parse(99, "1Ti"))
        )
        kind = options.pop("kind", pydatatask.KubeTask)
        given = {"template": "{{ manifest | tojson }}", "logs": self.logs, "done": self.done}
        self.task: Any = kind("task", self.podman, quota, **(given | options))
        self.task.link("manifest", self.manifests, is_input=True)
        self.pipeline = pydatatask.Pipeline([self.task], self.session)

    async def _podman(self) -> AsyncIterator[pydatatask.PodManager]:
        podman = pydatatask.PodManager(self.app, self.kubernetes.namespace, self.configuration)
        yield podman
        await podman.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[Any]]:
        """Run the pipeline until it is idle or the block ends, and delete the remaining pods."""
        async with self.pipeline as pipeline:
            run = asyncio.create_task(pipeline.run(poll=0.2))
            try:
                yield run
            finally:
                run.cancel()
                await asyncio.wait([run])
                podman = self.podman()
                for left in await podman.find():
                    await podman.remove(left["metadata"]["name"], left["metadata"]["uid"], 0)

    async def run(self) -> Any:
        """Run the pipeline until it is idle."""
        async with self.running() as run:
            return await asyncio.wait_for(run, TIMEOUT_SECONDS)
