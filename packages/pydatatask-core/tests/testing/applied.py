"""The contracts, applied to a given class of reference repository."""

from __future__ import annotations

from typing import Any

from pydatatask_core.testing import (
    BlobRepositoryContract,
    MetadataRepositoryContract,
    RepositoryContract,
)

from .harness import Applied
from .reference import PAGE, Blob, Store

MEBIBYTE = 1 << 20


class OverStore(Applied, RepositoryContract):
    """Hooks that all contracts share: the facilities of the store in memory."""

    counts_requests = True
    page_size = PAGE

    async def make_repo(self) -> Any:
        return self.kind(Store())

    async def make_broken(self) -> Any:
        if not self.breakable:
            self._demand("nothing", "breakable")
        return self.kind(Store(fails=True))

    async def make_missing(self) -> Any:
        return self.kind(Store(exists=False))

    async def reopen(self, repo: Any) -> Any:
        return self.kind(repo.store)

    async def requests(self, repo: Any) -> int:
        count: int = repo.store.requests
        return count

    async def litter(self, repo: Any, name: str) -> None:
        await repo.store.put(name, self.stored())

    def stored(self) -> Any:
        return "present"


class OverNames(OverStore):
    """The contract of every repository."""

    async def populate(self, repo: Any, job: str) -> None:
        await repo.put(job)

    def entries(self, repo: Any) -> Any:
        return {**super().entries(repo), "put": repo.put}


class OverBlobs(BlobRepositoryContract, OverStore):
    """The contract of repositories of blobs."""

    large = 4 * MEBIBYTE
    memory_bound = 2 * MEBIBYTE

    def stored(self) -> Any:
        return Blob()


class OverMetadata(MetadataRepositoryContract, OverStore):
    """The contract of repositories of metadata."""

    def stored(self) -> Any:
        return b"broken"

    async def corrupt(self, repo: Any, job: str) -> None:
        await repo.store.put(job, self.stored())
