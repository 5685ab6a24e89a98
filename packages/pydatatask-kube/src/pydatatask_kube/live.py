"""The repository of the jobs that have a pod."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, NoReturn

from pydatatask_core.errors import (
    StoreConnectionError,
    StoreError,
    StorePermissionError,
)
from pydatatask_core.repository.base import Repository

from .errors import PodManagerError
from .pod_names import MAX_LABEL, job_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable
    from typing import TypeVar

    from kubernetes_asyncio.client import V1Pod

    from .task import KubeTask

    T = TypeVar("T")

__all__ = ["LiveKubeRepository"]

_REFUSED = (401, 403)


class LiveKubeRepository(Repository):
    """A repository where keys translate to job labels on running kube pods.

    This repository is constructed automatically by a :class:`KubeTask` or subclass and is linked
    as the ``live`` repository. Do not construct this class manually.

    It contains a job from the creation of its pod until the pod has been deleted, and so also while
    the outcome is being recorded. Queries need no request while a pipeline drives the task;
    otherwise each query is one request.

    :param task: the task.
    """

    # The rules for values of labels.
    CHARSET = string.ascii_letters + string.digits + "-_."
    CHARSET_START_END = string.ascii_letters + string.digits
    MAX_JOB_ID_LENGTH = MAX_LABEL

    def __init__(self, task: KubeTask) -> None:
        self.task = task
        self._last: tuple[frozenset[str], frozenset[str], frozenset[str]] | None = None

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        for job in await self.keys():
            yield job

    async def keys(self) -> frozenset[str]:
        if not self.task.drives:
            pods_of_task = await self._translate_errors(
                "list pods", self.task.podman.find(self.task.name)
            )
            jobs = [job for pod in pods_of_task if (job := job_of(pod)) is not None]
            return frozenset(self.valid_names(jobs))
        informer = self.task.podman.informer
        await self._translate_errors("list pods", self.task.load_pods())
        pods, running = informer.jobs(self.task.name), frozenset(self.task.running)
        if self._last is None or self._last[0] is not pods or self._last[1] != running:
            self._last = pods, running, frozenset(self.valid_names(pods)) | running
        return self._last[2]

    async def contains(self, item: str) -> bool:
        if not self.is_valid_job_id(item):
            return False
        action = f"look for the pod of job {item!r}"
        if self.task.drives:
            await self._translate_errors(action, self.task.load_pods())
            return item in await self.keys()
        return bool(await self._translate_errors(action, self.task.find(item)))

    async def info(self, job: str) -> None:
        """Return None, because there is no templating info for live pods."""
        self.check_job_id(job)

    async def pods(self) -> list[V1Pod]:
        """Return a list of live pod objects corresponding to this repository."""
        return await self._translate_errors(
            "list pods", self.task.podman.query(task=self.task.name)
        )

    async def delete(self, job: str) -> None:
        """Delete the pod of a job, without marking the job as complete.

        :raises StoreError: if that failed.
        """
        self.check_job_id(job)
        action = f"delete the pod of job {job!r}"
        for pod in await self._translate_errors(action, self.task.find(job)):
            await self._translate_errors(action, self.task.discard(pod))
        await self.task.forget_retry(job)

    async def _translate_errors(self, action: str, result: Awaitable[T]) -> T:
        try:
            return await result
        except PodManagerError as e:
            kind: type[StoreError] = StoreError
            if e.status is None:
                kind = StoreConnectionError
            elif e.status in _REFUSED:
                kind = StorePermissionError
            raise kind(action, self, e.cause) from e

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} shows the pods of a cluster and cannot be serialized")

    def __repr__(self) -> str:
        return f"LiveKubeRepository({self.task!r})"
