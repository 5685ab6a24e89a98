"""Reading what jobs write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from .base import Task

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from pydatatask_core.repository.base import Repository
    from pydatatask_core.repository.blob import BlobRepository
    from pydatatask_core.utils import AReadStream

__all__ = ["WritingTask"]


class WritingTask(Task, ABC):
    """A task whose jobs write what somebody may want to read, as processes and containers do."""

    @property
    @abstractmethod
    def written(self) -> Sequence[BlobRepository]:
        """Where what a job wrote is put when it has ended, in the order in which to read it."""

    @property
    def recording_repositories(self) -> Mapping[str, Repository]:
        written = {id(repo) for repo in self.written}
        return self.status | {
            name: link.repo
            for name, link in self.links.items()
            if link.is_output and id(link.repo) in written
        }

    @abstractmethod
    def read_live(self, job: str, *, follow: bool = False) -> AsyncGenerator[bytes, None]:
        """Read what a live job has written until now.

        Of a job that is just beginning, or has just ended, there may be nothing.

        :param job: the job.
        :param follow: whether to go on, with what it writes meanwhile, until it has ended.
        """

    async def ended_streams(self, job: str) -> AsyncGenerator[tuple[str, AReadStream], None]:
        """Open what a job wrote that has ended, each stream with a name for it.

        By default these are the values of :attr:`written`. The caller closes the streams.

        :param job: the job.
        """
        names = {id(link.repo): name for name, link in self.links.items()}
        for repo in self.written:
            if await repo.contains(job):
                yield names.get(id(repo), repr(repo)), await repo.open(job, "rb")
