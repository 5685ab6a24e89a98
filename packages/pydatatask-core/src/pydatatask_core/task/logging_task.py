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

__all__ = ["LoggingTask", "find_log_links", "open_repositories"]


class LoggingTask(Task, ABC):
    """A task whose jobs write output that can be read, as processes and containers do."""

    @property
    @abstractmethod
    def log_repositories(self) -> Sequence[BlobRepository]:
        """The repositories that receive the output of a finished job, in reading order."""

    @property
    def recording_repositories(self) -> Mapping[str, Repository]:
        return find_log_links(self, self.log_repositories)

    @abstractmethod
    def stream_logs(self, job: str, *, follow: bool = False) -> AsyncGenerator[bytes, None]:
        """Yield the output of a live job so far.

        There may be none if the job is just starting or has just ended.

        :param job: the job.
        :param follow: whether to continue with further output until the job has ended.
        """

    def open_logs(self, job: str) -> AsyncGenerator[tuple[str, AReadStream], None]:
        """Open the output of a finished job, and yield each stream with its name.

        By default these are the values of :attr:`log_repositories`. The caller closes the streams.

        :param job: the job.
        """
        return open_repositories(self, self.log_repositories, job)


def find_log_links(task: Task, logs: Sequence[BlobRepository]) -> dict[str, Repository]:
    """Return the status repositories of a task and the outputs that are logs, by link name.

    :param task: the task.
    :param logs: the repositories of its logs.
    """
    repo_ids = {id(repo) for repo in logs}
    return task.status | {
        name: link.repo
        for name, link in task.links.items()
        if link.is_output and id(link.repo) in repo_ids
    }


async def open_repositories(
    task: Task, logs: Sequence[BlobRepository], job: str
) -> AsyncGenerator[tuple[str, AReadStream], None]:
    """Open the values of a job in repositories of logs, and yield each with its link name.

    :param task: the task.
    :param logs: the repositories.
    :param job: the job.
    """
    names = {id(link.repo): name for name, link in task.links.items()}
    for repo in logs:
        if await repo.contains(job):
            yield names.get(id(repo), repr(repo)), await repo.open(job, "rb")
