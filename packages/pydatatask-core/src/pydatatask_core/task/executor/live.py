"""The repository of the running jobs of an executor task."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from pydatatask_core.repository.base import Repository

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator

    from .task import ExecutorTask

__all__ = ["ExecutorLiveRepo"]


class ExecutorLiveRepo(Repository):
    """A repository of the running jobs of an ``ExecutorTask``.

    The task creates it and links it as ``live``; do not create one directly.
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
        """Check that the task can record a job with this id."""
        self.task.links["done"].repo.check_job_id(job)

    async def filter_jobs(self, iterator: AsyncIterable[str]) -> AsyncIterator[str]:
        """Yield all jobs; running jobs were checked at their launch."""
        async for job in iterator:
            yield job

    async def contains(self, item: str) -> bool:
        return item in self.task.running

    async def info(self, job: str) -> None:
        """Return None: there is no info about running jobs."""
        self.check_job_id(job)

    async def delete(self, job: str) -> None:
        """Cancel the job.

        :raises TaskError: if it has started and cannot be stopped.
        """
        self.check_job_id(job)
        await self.task.cancel(job)

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} holds the running jobs of this process and cannot be pickled")

    def __repr__(self) -> str:
        return f"ExecutorLiveRepo({self.task!r})"
