"""Tasks whose jobs write logs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from .base import Task

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from pydatatask_core.repository.base import Repository
    from pydatatask_core.repository.blob import BlobRepository
    from pydatatask_core.utils import AReadStream

__all__ = ["LoggingTask"]


class LoggingTask(Task, ABC):
    """A task whose jobs write output that can be read, as processes and containers do."""

    @property
    @abstractmethod
    def log_repositories(self) -> Sequence[BlobRepository]:
        """The repositories that receive the output of a finished job, in reading order."""

    @property
    def recording_repositories(self) -> Mapping[str, Repository]:
        repo_ids = {id(repo) for repo in self.log_repositories}
        return self.status | {
            name: link.repo
            for name, link in self.links.items()
            if link.is_output and id(link.repo) in repo_ids
        }

    @abstractmethod
    def stream_logs(self, job: str, *, follow: bool = False) -> AsyncGenerator[bytes, None]:
        """Yield the output of a live job so far.

        There may be none if the job is just starting or has just ended.

        :param job: the job.
        :param follow: whether to continue with further output until the job has ended.
        """

    async def open_logs(self, job: str) -> AsyncGenerator[tuple[str, AReadStream], None]:
        """Open the output of a finished job, and yield each stream with its name.

        By default these are the values of :attr:`log_repositories`. The caller closes the streams.

        :param job: the job.
        """
        names = {id(link.repo): name for name, link in self.links.items()}
        for repo in self.log_repositories:
            if await repo.contains(job):
                yield names.get(id(repo), repr(repo)), await repo.open(job, "rb")
