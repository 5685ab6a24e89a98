"""Tasks of pods driven by tests."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pydatatask_core.pipeline import Pipeline
from pydatatask_core.repository import InProcessBlobRepository, InProcessMetadataRepository
from pydatatask_core.resource_manager import ResourceManager, Resources
from pydatatask_kube import KubeTask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from .api_server import ApiServer

__all__ = ["TEMPLATE", "Driven", "until"]

TEMPLATE = """\
apiVersion: v1
kind: Pod
spec:
  containers:
    - name: main
      image: "image"
      args: ["{{ job }}", {{ inp }}]
      resources: {requests: {cpu: 100m, memory: 1Mi}}
"""
TIMEOUT_SECONDS = 30.0


async def until(condition: Callable[[], object], patience: float = TIMEOUT_SECONDS) -> None:
    """Wait until a condition is true.

    :param condition: the condition.
    :param patience: seconds after which to fail.
    """
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        await asyncio.sleep(0.005)


class Driven:
    """A task with in-memory repositories, on a fake API server.

    :param server: the server.
    :param jobs: the jobs that are ready.
    :param options: further arguments of the task.
    """

    def __init__(self, server: ApiServer, *jobs: str, **options: Any) -> None:
        self.server = server
        self.podman = server.manager()
        self.inp = InProcessMetadataRepository(dict.fromkeys(jobs, 1))
        self.logs = InProcessBlobRepository()
        self.done = InProcessMetadataRepository()
        self.quota = ResourceManager(options.pop("quota", Resources.parse(1000, "1Ti")))
        kind = options.pop("kind", KubeTask)
        arguments = {"template": TEMPLATE, "logs": self.logs, "done": self.done, **options}
        self.task: KubeTask = kind("task", lambda: self.podman, self.quota, **arguments)
        self.task.link("inp", self.inp, is_input=True)
        self.pipeline = Pipeline([self.task])

    def record(self, job: str) -> Any:
        """Return the record of a job."""
        return self.done.data.get(job)

    @asynccontextmanager
    async def open(self, **options: Any) -> AsyncIterator[Pipeline]:
        """Open the pipeline."""
        await self.pipeline.open(**options)
        try:
            yield self.pipeline
        finally:
            await self.pipeline.close()
            await self.podman.close()
            self.podman = self.server.manager()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[Any]]:
        """Run the pipeline until it is idle, or the block ends."""
        async with self.open() as pipeline:
            run = asyncio.create_task(pipeline.run(poll=0.05))
            try:
                yield run
            finally:
                run.cancel()
                await asyncio.wait([run])

    async def run(self) -> Any:
        """Run the pipeline until it is idle."""
        async with self.running() as run:
            return await asyncio.wait_for(run, TIMEOUT_SECONDS)
