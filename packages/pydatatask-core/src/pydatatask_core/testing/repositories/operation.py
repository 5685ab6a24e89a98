"""R8, R9 and R10: cost of listing, concurrent use, and validate()."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pydatatask_core.testing.jobs import ABSENT, JOB, MANY, OTHER

from .hooks import RepositoryHooks
from .queries import assert_absent, jobs_of, ways

__all__ = ["CreationLaws", "SharingLaws"]


class SharingLaws(RepositoryHooks):
    """R8 and R9: many jobs, and concurrent use."""

    async def test_listing_costs_one_request_per_page(self, repo: Any) -> None:
        """R8: never one request per job."""
        if not self.counts_requests:
            pytest.skip(f"{type(self).__name__}.counts_requests is False")
        for job in MANY:
            await self.populate(repo, job)
        pages = -(-len(MANY) // self.page_size)
        before = await self.requests(repo)
        await repo.keys()
        listed = await self.requests(repo)
        assert listed - before <= pages + 1
        if self.bulk_info:
            await repo.info_all()
            assert await self.requests(repo) - listed <= pages + 1

    async def test_operations_on_different_jobs_do_not_disturb_each_other(self, repo: Any) -> None:
        """R9: concurrent additions and deletions all take effect."""
        half = len(MANY) // 2
        for job in MANY[:half]:
            await self.populate(repo, job)
        deletions = [repo.delete(job) for job in MANY[:half]] if self.deletes else []
        additions = [self.populate(repo, job) for job in MANY[half:]]
        await asyncio.gather(*additions, *deletions, repo.keys())
        assert await jobs_of(repo) == set(MANY[half:] if self.deletes else MANY)

    async def test_a_job_can_be_added_and_deleted_concurrently(self, repo: Any) -> None:
        """R9: later operations do not fail because an earlier one has done the same."""
        await asyncio.gather(*(self.populate(repo, JOB) for _ in range(8)))
        assert await jobs_of(repo) == {JOB}
        if self.deletes:
            await asyncio.gather(*(repo.delete(JOB) for _ in range(8)))
            assert await jobs_of(repo) == set()


class CreationLaws(RepositoryHooks):
    """R10: validate() creates the store if permitted; no other method does."""

    async def test_validating_again_changes_nothing(self, repo: Any) -> None:
        """R10: each pipeline that writes to the repository calls validate()."""
        await self.populate(repo, JOB)
        await repo.validate()
        await repo.validate()
        assert await jobs_of(repo) == {JOB}

    async def test_a_store_that_was_not_created_yet_is_empty(self, missing: Any) -> None:
        """R10: a pipeline that only reads does not create the store, and waits for its creation."""
        assert await ways(missing) == {"iteration": [], "keys()": [], "info_all()": []}
        await missing.info(ABSENT)
        if self.deletes:
            await missing.delete(ABSENT)
        await assert_absent(missing, JOB)

    async def test_validating_creates_a_missing_store(self, missing: Any) -> None:
        """R10: jobs can be added afterwards."""
        await missing.validate()
        await self.populate(missing, OTHER)
        assert await jobs_of(missing) == {OTHER}

    async def test_the_repr_names_the_class_in_one_line(self, repo: Any) -> None:
        """R10: messages name a repository by its repr."""
        assert type(repo).__name__ in repr(repo)
        assert "\n" not in repr(repo)
