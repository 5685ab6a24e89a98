"""The repository that shows which jobs an executor task has running."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from pydatatask_core.repository.base import Repository

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator

    from .task import ExecutorTask

__all__ = ["ExecutorLiveRepo"]


class ExecutorLiveRepo(Repository):
    """A repository where keys translate to running jobs in an ``ExecutorTask``.

    It is constructed automatically and is linked as the ``live`` repository. Do not construct
    this class manually.

    :param task: the task.
    """

    def __init__(self, task: ExecutorTask) -> None:
        self.task = task
        self._last: frozenset[str] = frozenset()

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        for job in list(self.task.running):
            yield job

    async def keys(self) -> frozenset[str]:
        running = frozenset(self.task.running)
        if running != self._last:
            self._last = running
        return self._last

    def check_job_id(self, job: str) -> None:
        """Refuse what the task could not record."""
        self.task.links["done"].repo.check_job_id(job)

    async def filter_jobs(self, iterator: AsyncIterable[str]) -> AsyncIterator[str]:
        """Let everything pass; what runs was checked when it was launched."""
        async for job in iterator:
            yield job

    async def contains(self, item: str) -> bool:
        return item in self.task.running

    async def info(self, job: str) -> None:
        """There is no templating info for an ExecutorLiveRepo."""
        self.check_job_id(job)

    async def delete(self, job: str) -> None:
        """Cancel the corresponding job.

        :raises TaskError: if it runs where nothing can stop it.
        """
        self.check_job_id(job)
        await self.task.cancel(job)

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} shows what runs in this process and cannot travel to another")

    def __repr__(self) -> str:
        return f"ExecutorLiveRepo({self.task!r})"
