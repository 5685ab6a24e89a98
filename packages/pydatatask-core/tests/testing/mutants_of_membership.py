"""Repositories that list, look up or delete incorrectly (R1, R2)."""

from __future__ import annotations

import logging
from typing import Any

from pydatatask_core.repository.location import Location

from .harness import Mutants
from .reference import PAGE, ReferenceRepository

MUTANTS = Mutants()
breaks = MUTANTS.breaks


@breaks("R1", "an_empty_repository_has_no_jobs")
class ShowsAMarkerWhenEmpty(ReferenceRepository):
    async def info_all(self) -> Any:
        return await super().info_all() or ({"marker": ""} if self.store.exists else {})


@breaks("R1", "each_job_is_listed_once", "every_way_of_listing_returns_the_same_jobs")
class ListsTwice(ReferenceRepository):
    async def _iterate(self) -> Any:
        async for job in self.filter_jobs(self.unfiltered_iter()):
            yield job
            yield job


@breaks("R1", "a_present_job_is_contained")
class ContainsNothing(ReferenceRepository):
    async def contains(self, item: str) -> bool:
        return await super().contains(item) and False


@breaks("R1", "similar_names_are_not_contained")
class ContainsPrefixes(ReferenceRepository):
    async def contains(self, item: str) -> bool:
        await super().contains(item)
        return self.is_valid_job_id(item) and any([j.startswith(item) async for j in self])


@breaks("R1", "similar_names_are_not_contained")
class ContainsInAnyCase(ReferenceRepository):
    async def contains(self, item: str) -> bool:
        await super().contains(item)
        return self.is_valid_job_id(item) and item.lower() in [j.lower() async for j in self]


@breaks("R1", "every_way_of_listing_returns_the_same_jobs")
class KeysAreOnePage(ReferenceRepository):
    async def keys(self) -> Any:
        return frozenset(await self.page(""))


@breaks("R1", "every_way_of_listing_returns_the_same_jobs")
class InfoAllIsOnePage(ReferenceRepository):
    async def info_all(self) -> Any:
        return await self.info_many(await self.page(""))


@breaks("R1", "info_in_bulk_equals_info")
class InfoAllWithoutValues(ReferenceRepository):
    async def info_all(self) -> Any:
        return dict.fromkeys(await self.keys())


@breaks("R1", "info_in_bulk_equals_info")
class InfoManyOfAll(ReferenceRepository):
    async def info_many(self, jobs: Any) -> Any:
        for job in jobs:
            self.check_job_id(job)
        return await super().info_many(await self.keys())


@breaks("R1", "info_of_an_absent_job_is_not_an_error")
class InfoAddsTheJob(ReferenceRepository):
    async def info(self, job: str) -> Any:
        if await super().info(job) is None and self.store.exists:
            await self.put(job)
        return await super().info(job)


@breaks("R1", "the_longest_job_id_can_be_used")
class CutsLongNames(ReferenceRepository):
    async def put(self, job: str, value: Any = "present") -> None:
        self.check_job_id(job)
        await super().put(job[:100], value)


@breaks("R1", "invalid_job_ids_are_skipped_with_one_warning")
class ListsEverything(ReferenceRepository):
    async def filter_jobs(self, iterator: Any) -> Any:
        async for job in iterator:
            yield job


@breaks("R1", "invalid_job_ids_are_skipped_with_one_warning")
class WarnsOfEachName(ReferenceRepository):
    async def filter_jobs(self, iterator: Any) -> Any:
        async for job in iterator:
            if self.is_valid_job_id(job):
                yield job
            else:
                logging.getLogger("pydatatask.repository").warning("skipped 2: %r", job)


@breaks("R1", "invalid_job_ids_are_skipped_with_one_warning")
class SkipsSilently(ReferenceRepository):
    async def filter_jobs(self, iterator: Any) -> Any:
        async for job in iterator:
            if self.is_valid_job_id(job):
                yield job


@breaks("R1", "keys_do_not_change")
class KeysAreLive(ReferenceRepository):
    async def keys(self) -> Any:
        await super().keys()
        return self.store._values.keys()


@breaks("R1", "keys_do_not_change")
class KeysAreAList(ReferenceRepository):
    async def keys(self) -> Any:
        return list(await super().keys())


@breaks("R1", "a_changed_listing_is_another_object")
class KeysAreOneSet(ReferenceRepository):
    async def keys(self) -> Any:
        found = await super().keys()
        self.__dict__.setdefault("kept", set()).clear()
        self.__dict__["kept"].update(found)
        return self.__dict__["kept"]


class Remembers(ReferenceRepository):
    last: Any = frozenset()

    async def keys(self) -> Any:
        keys = await super().keys()
        if not self.unchanged(keys):
            self.last = keys
        return self.last

    def unchanged(self, keys: Any) -> bool:
        raise NotImplementedError


@breaks("R1", "replacing_one_job_by_another_is_a_change")
class ComparesLengths(Remembers):
    def unchanged(self, keys: Any) -> bool:
        return len(keys) == len(self.last)


@breaks("R1", "deleting_and_adding_the_same_job_is_a_change")
class ComparesNames(Remembers):
    def unchanged(self, keys: Any) -> bool:
        return bool(keys == self.last)


@breaks("R1", "changes_by_another_instance_are_listed_at_once")
class KnowsItsOwnChangesOnly(Remembers):
    changed = True

    async def put(self, job: str, value: Any = "present") -> None:
        self.changed = True
        await super().put(job, value)

    async def delete(self, job: str) -> None:
        self.changed = True
        await super().delete(job)

    def unchanged(self, keys: Any) -> bool:
        changed, self.changed = self.changed, False
        return not changed


@breaks("R1", "another_instance_has_the_same_jobs")
class LivesInItsObject(ReferenceRepository):
    @property
    def identity(self) -> str:
        return f"memory:{id(self)}"


@breaks("R1", "another_instance_has_the_same_jobs")
class IsLocatedByItsObject(ReferenceRepository):
    @property
    def location(self) -> Location:
        return Location(("object", id(self)))


@breaks(
    "R1",
    "jobs_can_be_added_during_iteration",
    "jobs_can_be_deleted_during_iteration",
)
class IteratesItsTable(ReferenceRepository):
    async def unfiltered_iter(self) -> Any:
        await self.page("")
        for name in self.store._values:
            yield name


@breaks("R1", "jobs_can_be_deleted_during_iteration")
class PagesByNumber(ReferenceRepository):
    async def unfiltered_iter(self) -> Any:
        number = 0
        while True:
            await self.page("")
            names = sorted(self.store._values)[number * PAGE : (number + 1) * PAGE]
            for name in names:
                yield name
            if len(names) < PAGE:
                return
            number += 1


@breaks("R2", "deleting_an_absent_job_succeeds")
class MissesTheAbsent(ReferenceRepository):
    known = frozenset[str]()

    async def put(self, job: str, value: Any = "present") -> None:
        await super().put(job, value)
        self.known |= {job}

    async def delete(self, job: str) -> None:
        await super().delete(job)
        if self.store.exists and job not in self.known:
            raise KeyError(job)


@breaks("R2", "deleting_removes_that_job_only")
class DeletesPrefixes(ReferenceRepository):
    async def delete(self, job: str) -> None:
        await super().delete(job)
        for name in [name for name in self.store._values if name.startswith(job)]:
            del self.store._values[name]


@breaks("R2", "deleting_removes_that_job_only")
class DeletesInAnyCase(ReferenceRepository):
    async def delete(self, job: str) -> None:
        await super().delete(job)
        for name in [name for name in self.store._values if name.lower() == job.lower()]:
            del self.store._values[name]


@breaks("R2", "a_deleted_job_is_absent_and_can_be_added_again")
class RemembersTheDeleted(ReferenceRepository):
    known = frozenset[str]()

    async def put(self, job: str, value: Any = "present") -> None:
        await super().put(job, value)
        self.known |= {job}

    async def contains(self, item: str) -> bool:
        return await super().contains(item) or (self.is_valid_job_id(item) and item in self.known)


@breaks("R2", "a_repository_that_does_not_delete_changes_nothing", deletes=False)
class DeletesAllTheSame(ReferenceRepository):
    pass


@breaks("R2", "a_repository_that_does_not_delete_changes_nothing", deletes=False)
class RefusesWithoutSayingWhy(ReferenceRepository):
    async def delete(self, job: str) -> None:
        self.check_job_id(job)
        raise RuntimeError("no")
