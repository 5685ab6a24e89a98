"""Tasks and repositories that the tests of the pipeline control step by step."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydatatask_core import (
    InProcessMetadataRepository,
    InProcessSyncTask,
    ResourceManager,
    Resources,
    Task,
)
from pydatatask_core.errors import LaunchRefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from collections.abc import Set as AbstractSet


def jobs(*names: str) -> InProcessMetadataRepository:
    """Return a repository with the given jobs."""
    return InProcessMetadataRepository(dict.fromkeys(names))


def function_task(
    name: str,
    body: Callable[..., Awaitable[Any]],
    source: InProcessMetadataRepository | None = None,
    **arguments: Any,
) -> InProcessSyncTask:
    """Return an in-process task, with an input if one is passed."""
    task = InProcessSyncTask(name, InProcessMetadataRepository(), func=body, **arguments)
    if source is not None:
        task.link("source", source, is_input=True)
    return task


class Detached(Task):
    """A task whose jobs run until the test ends them, like jobs on a cluster.

    It implements only the documented contract, so the pipeline has to poll it.
    """

    def __init__(
        self,
        name: str,
        source: InProcessMetadataRepository,
        quota: ResourceManager | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(name, **arguments)
        self.live = InProcessMetadataRepository()
        self.done = InProcessMetadataRepository()
        self.quota = quota
        self.launches: list[str] = []
        self.attempts = 0
        self.link("source", source, is_input=True)
        self.link("live", self.live, is_status=True, inhibits_start=True, inhibits_output=True)
        self.link("done", self.done, is_status=True, inhibits_start=True, required_for_output=True)

    @property
    def quotas(self) -> tuple[ResourceManager, ...]:
        return () if self.quota is None else (self.quota,)

    async def update(self) -> bool:
        return bool(await self.live.keys())

    async def launch(self, job: str) -> None:
        self.attempts += 1
        if self.quota is not None:
            refused = await self.quota.reserve(Resources.parse(1, 0))
            if refused is not None:
                raise LaunchRefusedError(self.name, job, refused)
        self.launches.append(job)
        await self.live.dump(job, {})

    async def end(self, job: str) -> None:
        """End a job."""
        await self.done.dump(job, {"success": True})
        await self.live.delete(job)
        if self.quota is not None:
            await self.quota.relinquish(Resources.parse(1, 0))


class Gated(InProcessMetadataRepository):
    """A repository whose listing waits for the test."""

    def __init__(self, data: dict[str, Any] | None = None) -> None:
        super().__init__(data)
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def keys(self) -> frozenset[str]:
        self.asked.set()
        found = await super().keys()
        await self.gate.wait()
        return found


class Counting(InProcessMetadataRepository):
    """A repository that counts listings and reads."""

    def __init__(self, data: dict[str, Any] | None = None) -> None:
        super().__init__(data)
        self.listings = 0
        self.reads: list[str] = []

    async def keys(self) -> frozenset[str]:
        self.listings += 1
        return await super().keys()

    async def info(self, job: str) -> Any:
        self.reads.append(job)
        return await super().info(job)


class Broken(InProcessMetadataRepository):
    """A repository that cannot be listed while it is unavailable."""

    out_of_order = True

    async def keys(self) -> frozenset[str]:
        if self.out_of_order:
            raise ConnectionError("the store is out of order")
        return await super().keys()


async def quiet(job: str) -> None:
    """Do nothing."""


async def present(repo: InProcessMetadataRepository) -> AbstractSet[str]:
    """List a repository."""
    return await repo.keys()
