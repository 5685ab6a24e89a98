"""R1 and R2: the jobs of a repository, and their deletion."""

from __future__ import annotations

import asyncio
from collections.abc import Set as AbstractSet
from typing import Any

import pytest

from pydatatask_core.errors import ReadOnlyRepositoryError
from pydatatask_core.testing.jobs import ABSENT, JOB, LONGEST, MANY, NEIGHBOURS, OTHER

from .hooks import RepositoryHooks
from .queries import assert_absent, failure_of, jobs_of, repository_warnings, ways

__all__ = ["DeletionLaws", "ListingLaws", "MembershipLaws"]


class MembershipLaws(RepositoryHooks):
    """R1 at one moment: every query gives the same answer."""

    async def test_an_empty_repository_has_no_jobs(self, repo: Any) -> None:
        """R1: every query agrees."""
        await assert_absent(repo, JOB)
        assert await ways(repo) == {"iteration": [], "keys()": [], "info_all()": []}

    async def test_every_way_of_listing_returns_the_same_jobs(self, repo: Any) -> None:
        """R1: iteration, keys() and info_all() agree."""
        jobs = sorted((JOB, OTHER, *NEIGHBOURS[:3], *MANY))
        for job in jobs:
            await self.populate(repo, job)
        assert await ways(repo) == {"iteration": jobs, "keys()": jobs, "info_all()": jobs}

    async def test_a_present_job_is_contained(self, repo: Any) -> None:
        """R1: contains() agrees with the listings."""
        await self.populate(repo, JOB)
        assert await repo.contains(JOB)

    async def test_similar_names_are_not_contained(self, repo: Any) -> None:
        """R1: contains() compares whole names."""
        await self.populate(repo, JOB)
        present = {job for job in self.neighbours() if await repo.contains(job)}
        assert present == set()

    async def test_each_job_is_listed_once(self, repo: Any) -> None:
        """R1: even if it was stored several times."""
        for job in (JOB, OTHER, JOB, JOB):
            await self.populate(repo, job)
        jobs = sorted((JOB, OTHER))
        assert await ways(repo) == {"iteration": jobs, "keys()": jobs, "info_all()": jobs}

    async def test_info_in_bulk_equals_info(self, repo: Any) -> None:
        """R1: info_all() returns all jobs, info_many() the requested ones, with their info."""
        for job in (JOB, OTHER, *NEIGHBOURS[:3]):
            await self.populate(repo, job)
        single = {job: await repo.info(job) for job in (JOB, OTHER, *NEIGHBOURS[:3])}
        some = (OTHER, NEIGHBOURS[0])
        assert await repo.info_all() == single
        assert await repo.info_many(some) == {job: single[job] for job in some}
        assert await repo.info_many([]) == {}

    async def test_info_of_an_absent_job_is_not_an_error(self, repo: Any) -> None:
        """R1: templates read the info of jobs that do not exist yet."""
        assert await repo.info_many([ABSENT]) == {ABSENT: await repo.info(ABSENT)}
        await assert_absent(repo, ABSENT)

    async def test_the_longest_job_id_can_be_used(self, repo: Any) -> None:
        """R1: the store holds every name that is_valid_job_id() accepts, unchanged."""
        job = LONGEST[: repo.MAX_JOB_ID_LENGTH]
        await self.populate(repo, job)
        assert await repo.contains(job)
        assert await jobs_of(repo) == {job}

    async def test_invalid_job_ids_are_skipped_with_one_warning(self, repo: Any) -> None:
        """R1: no listing includes them, and a single warning reports them."""
        self.need_foreign_names()
        await self.populate(repo, JOB)
        for name in self.foreign_names:
            await self.litter(repo, name)
        with repository_warnings() as warnings:
            listings = [await ways(repo), await ways(repo)]
        assert listings == [{"iteration": [JOB], "keys()": [JOB], "info_all()": [JOB]}] * 2
        assert len(warnings) == 1, warnings
        assert any(repr(name) in warnings[0] for name in self.foreign_names)
        assert str(len(self.foreign_names)) in warnings[0]

    def neighbours(self) -> tuple[str, ...]:
        """Return the names that resemble JOB and are different jobs in this repository."""
        taken = set() if self.case_sensitive else {JOB}
        return tuple(job for job in NEIGHBOURS if job.lower() not in taken)

    def need_foreign_names(self) -> None:
        """Skip a test if the store cannot hold invalid job ids."""
        if not self.foreign_names:
            pytest.skip(f"{type(self).__name__}.foreign_names is empty")


class ListingLaws(MembershipLaws):
    """R1 over time: a listing is a snapshot; the same object is returned only if unchanged."""

    async def test_keys_do_not_change(self, repo: Any) -> None:
        """R1: keys() returns a snapshot."""
        await self.populate(repo, JOB)
        keys = await repo.keys()
        assert isinstance(keys, AbstractSet)
        await self.populate(repo, OTHER)
        assert set(keys) == {JOB}

    async def test_a_changed_listing_is_another_object(self, repo: Any) -> None:
        """R1: returning the previous object guarantees that nothing has changed."""
        empty = await repo.keys()
        await self.populate(repo, JOB)
        one = await repo.keys()
        await self.populate(repo, OTHER)
        two = await repo.keys()
        assert one is not empty
        assert two is not one
        if self.deletes:
            await repo.delete(OTHER)
            assert await repo.keys() is not two

    async def test_replacing_one_job_by_another_is_a_change(self, repo: Any) -> None:
        """R1: an equal number of jobs does not mean that nothing changed."""
        self.need_deletes()
        await self.populate(repo, JOB)
        before = await repo.keys()
        await repo.delete(JOB)
        await self.populate(repo, OTHER)
        assert (await repo.keys(), set(before)) == ({OTHER}, {JOB})

    async def test_deleting_and_adding_the_same_job_is_a_change(self, repo: Any) -> None:
        """R1: its value may differ, so conclusions from the old value are invalid."""
        self.need_deletes()
        await self.populate(repo, JOB)
        before = await repo.keys()
        await repo.delete(JOB)
        await self.populate(repo, JOB)
        after = await repo.keys()
        assert after == {JOB}
        assert after is not before

    async def test_changes_by_another_instance_are_listed_at_once(self, repo: Any) -> None:
        """R1: however soon after a listing they happen."""
        other = await self.reopen(repo)
        for number, job in enumerate(MANY):
            await self.populate(other, job)
            assert await repo.keys() == set(MANY[: number + 1])
        if self.deletes:
            for number, job in enumerate(MANY):
                await other.delete(job)
                assert await repo.keys() == set(MANY[number + 1 :])

    async def test_another_instance_has_the_same_jobs(self, repo: Any) -> None:
        """R1: the store is the only state, and all instances identify it alike."""
        await self.populate(repo, JOB)
        other = await self.reopen(repo)
        assert await jobs_of(other) == {JOB}
        assert other.identity == repo.identity
        assert (repo.identity is not None) is self.stores
        if self.stores:
            assert await asyncio.to_thread(lambda: other.location == repo.location)

    async def test_jobs_can_be_added_during_iteration(self, repo: Any) -> None:
        """R1: jobs that were present throughout are returned exactly once."""
        for job in MANY[:5]:
            await self.populate(repo, job)
        seen = []
        async for job in repo:
            seen.append(job)
            if len(seen) == 1:
                for more in MANY[5:10]:
                    await self.populate(repo, more)
        assert set(MANY[:5]) <= set(seen) <= set(MANY[:10])
        assert len(seen) == len(set(seen))

    async def test_jobs_can_be_deleted_during_iteration(self, repo: Any) -> None:
        """R1: this is how users empty a repository."""
        self.need_deletes()
        for job in MANY:
            await self.populate(repo, job)
        seen = []
        async for job in repo:
            seen.append(job)
            await repo.delete(job)
        assert sorted(seen) == sorted(MANY)
        assert await jobs_of(repo) == set()

    def need_deletes(self) -> None:
        """Skip a test that does not apply if jobs cannot be deleted."""
        if not self.deletes:
            pytest.skip(f"{type(self).__name__}.deletes is False")


class DeletionLaws(ListingLaws):
    """R2: deleting an absent job succeeds, and deleting affects no other job."""

    async def test_deleting_an_absent_job_succeeds(self, repo: Any) -> None:
        """R2: in an empty repository, beside another job, and twice."""
        self.need_deletes()
        await repo.delete(ABSENT)
        await self.populate(repo, JOB)
        await repo.delete(ABSENT)
        await repo.delete(JOB)
        await repo.delete(JOB)
        assert await jobs_of(repo) == set()

    async def test_deleting_removes_that_job_only(self, repo: Any) -> None:
        """R2: names that share a beginning or an end with it, or differ in case, stay."""
        self.need_deletes()
        for job in (JOB, *self.neighbours()):
            await self.populate(repo, job)
        await repo.delete(JOB)
        assert await jobs_of(repo) == set(self.neighbours())

    async def test_a_deleted_job_is_absent_and_can_be_added_again(self, repo: Any) -> None:
        """R2: no query returns it, and no remains prevent adding it."""
        self.need_deletes()
        await self.populate(repo, JOB)
        await self.populate(repo, OTHER)
        await repo.delete(JOB)
        await assert_absent(repo, JOB)
        await self.populate(repo, JOB)
        assert await jobs_of(repo) == {JOB, OTHER}

    async def test_a_repository_that_does_not_delete_changes_nothing(self, repo: Any) -> None:
        """R2: it refuses or does nothing, as documented."""
        if self.deletes:
            pytest.skip(f"{type(self).__name__}.deletes is True")
        await self.populate(repo, JOB)
        refusal = await failure_of(repo.delete(JOB))
        assert refusal is None or isinstance(refusal, ReadOnlyRepositoryError)
        assert await jobs_of(repo) == {JOB}
