"""Logs of the containers of an existing pod."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from pydatatask_core.utils import cancel_and_wait
from pydatatask_kube.cluster.pod_state import containers_of, is_terminated
from pydatatask_kube.errors import PodManagerError
from pydatatask_kube.pod_names import name_of, uid_of

from .logs import CHUNK_BYTES, heading

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

    from pydatatask_kube.manager import PodManager
    from pydatatask_kube.task import KubeTask

    Chunks = AsyncGenerator[tuple[str, bytes], None]
    """The name of a container, and a part of its log."""

__all__ = ["read_logs"]

POLL_INTERVAL_SECONDS = 1.0
"""Poll interval for a pod whose logs are followed, in seconds."""

LOG_TIMEOUT_SECONDS = 30.0
"""Seconds without new output after which reading the rest of the logs of an ended pod is
aborted."""

_MISSING_STATUSES = (400, 404)
"""HTTP statuses of the API server for a container that has not started, or is deleted."""


async def read_logs(task: KubeTask, job: str, follow: bool) -> AsyncGenerator[bytes, None]:
    """Read the logs of a job's pod, each under a heading if it has several containers.

    :param task: the task.
    :param job: the job.
    :param follow: whether to continue until the pod has ended.
    :raises PodManagerError: if they cannot be read.
    """
    task.live.check_job_id(job)
    for pod in await task.find(job):
        several = len(containers_of(pod)) > 1
        source = _LogFollower(task.podman, pod).read() if follow else _read(task.podman, pod)
        last, ends = "", b"\n"
        async with aclosing(source) as item:
            async for container, chunk in item:
                if several and container != last:
                    yield (b"" if ends.endswith(b"\n") else b"\n") + heading(container)
                yield chunk
                last, ends = container, chunk[-1:]


async def _read(podman: PodManager, pod: dict[str, Any]) -> Chunks:
    for container in containers_of(pod):
        if container.has_started:
            async with aclosing(_read_container(podman, pod, container.name)) as chunks:
                async for chunk in chunks:
                    yield container.name, chunk


async def _read_container(
    podman: PodManager, pod: dict[str, Any], container: str, *, follow: bool = False
) -> AsyncGenerator[bytes, None]:
    try:
        async with (
            podman.log(name_of(pod), container, follow=follow) as response,
            aclosing(response.chunks(CHUNK_BYTES)) as chunks,
        ):
            async for chunk in chunks:
                yield chunk
    except PodManagerError as e:
        if e.status not in _MISSING_STATUSES:
            raise


class _LogFollower:
    """A reader that follows the logs of all containers of a pod until it has ended.

    :param podman: the pod manager.
    :param pod: the pod.
    """

    def __init__(self, podman: PodManager, pod: dict[str, Any]) -> None:
        self._podman = podman
        self._pod: dict[str, Any] | None = pod
        self._name = name_of(pod)
        self._uid = uid_of(pod)
        self._chunks_queue: asyncio.Queue[tuple[str, bytes] | None] = asyncio.Queue(16)
        self._chunk_count = 0
        self._failure: Exception | None = None

    async def read(self) -> Chunks:
        """Yield the parts of the logs with the names of their containers."""
        following = asyncio.create_task(self._follow(), name=f"pydatatask logs of {self._name}")
        try:
            while (item := await self._chunks_queue.get()) is not None:
                yield item
            if self._failure is not None:
                raise self._failure
        finally:
            following.cancel()
            await asyncio.wait([following])

    async def _follow(self) -> None:
        reading: dict[tuple[str, int], asyncio.Task[None]] = {}
        try:
            await self._follow_containers(reading)
        except Exception as e:  # noqa: BLE001 - the reader of the queue raises it
            self._failure = e
        finally:
            await cancel_and_wait(reading.values())
        await self._chunks_queue.put(None)

    async def _follow_containers(self, reading: dict[tuple[str, int], asyncio.Task[None]]) -> None:
        """Start to read each container that starts or restarts, until the pod has ended."""
        while self._pod is not None:
            pod = self._pod
            for container in containers_of(pod):
                container_run = container.name, container.restarts
                if container.has_started and container_run not in reading:
                    copying = self._copy(pod, container.name)
                    reading[container_run] = asyncio.create_task(
                        copying, name=f"pydatatask logs of {container_run}"
                    )
            if is_terminated(pod):
                break
            await asyncio.sleep(POLL_INTERVAL_SECONDS)
            _raise_failure(reading.values())
            current = await self._podman.get(self._name)
            self._pod = current if current is not None and uid_of(current) == self._uid else None
        await self._drain(reading.values())

    async def _copy(self, pod: dict[str, Any], container: str) -> None:
        async with aclosing(_read_container(self._podman, pod, container, follow=True)) as chunks:
            async for chunk in chunks:
                self._chunk_count += 1
                await self._chunks_queue.put((container, chunk))

    async def _drain(self, reading: Collection[asyncio.Task[None]]) -> None:
        """Wait for the rest of the logs, as long as new output arrives."""
        while unfinished := [task for task in reading if not task.done()]:
            chunk_count = self._chunk_count
            await asyncio.wait(
                unfinished, timeout=LOG_TIMEOUT_SECONDS, return_when=asyncio.FIRST_EXCEPTION
            )
            _raise_failure(unfinished)
            if (
                self._chunk_count == chunk_count
                and self._chunks_queue.empty()
                and not all(t.done() for t in unfinished)
            ):
                action = f"read the rest of the logs of pod {self._name!r}"
                raise PodManagerError(action, self._podman.where, "no answer in time")


def _raise_failure(reading: Collection[asyncio.Task[None]]) -> None:
    """Raise the error of the first task that has failed."""
    for task in reading:
        if task.done():
            task.result()
