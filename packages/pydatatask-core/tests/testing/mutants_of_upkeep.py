"""Repositories that hide errors, accept invalid names, or work carelessly (R6 to R10)."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import Any

from pydatatask_core.errors import StoreConnectionError, StoreError

from .harness import Mutants
from .reference import ReferenceRepository

MUTANTS = Mutants()
breaks = MUTANTS.breaks


@breaks("R6", "a_store_that_fails_is_not_an_empty_one")
class IteratesNothingOnErrors(ReferenceRepository):
    async def _iterate(self) -> Any:
        try:
            async for job in super()._iterate():
                yield job
        except StoreError:
            return


@breaks("R6", "a_store_that_fails_is_not_an_empty_one")
class InfoOfNothingOnErrors(ReferenceRepository):
    async def info_all(self) -> Any:
        try:
            return await super().info_all()
        except StoreError:
            return {}


@breaks(
    "R6",
    "a_store_that_fails_is_not_an_empty_one",
    "an_error_names_the_repository_the_job_and_the_cause",
)
class NoKeysOnErrors(ReferenceRepository):
    async def keys(self) -> Any:
        try:
            return await super().keys()
        except StoreError:
            return frozenset()


@breaks("R6", "a_store_that_fails_does_not_report_an_absent_job")
class ContainsNothingOnErrors(ReferenceRepository):
    async def contains(self, item: str) -> bool:
        try:
            return await super().contains(item)
        except StoreError:
            return False


@breaks("R6", "a_failed_deletion_raises")
class DeletesNothingOnErrors(ReferenceRepository):
    async def delete(self, job: str) -> None:
        try:
            await super().delete(job)
        except StoreError:
            return


class Edged(ReferenceRepository):
    def require_translation(self, action: str, error: Exception) -> Exception:
        raise NotImplementedError

    @contextmanager
    def edge(self, action: str) -> Any:
        try:
            yield
        except ConnectionError as e:
            raise self.require_translation(action, e) from e


@breaks(
    "R6",
    "a_store_that_fails_is_not_an_empty_one",
    "a_store_that_fails_does_not_report_an_absent_job",
    "a_failed_deletion_raises",
)
class LetsForeignErrorsThrough(Edged):
    def require_translation(self, action: str, error: Exception) -> Exception:
        return error


@breaks("R6", "an_error_names_the_repository_the_job_and_the_cause")
class NamesNoJob(Edged):
    def require_translation(self, action: str, error: Exception) -> Exception:
        return StoreConnectionError("do it", self, error)


@breaks("R6", "an_error_names_the_repository_the_job_and_the_cause")
class NamesNoRepository(Edged):
    def require_translation(self, action: str, error: Exception) -> Exception:
        return StoreConnectionError(action, "the store", error)


@breaks("R6", "an_error_names_the_repository_the_job_and_the_cause")
class NamesNoCause(ReferenceRepository):
    @contextmanager
    def edge(self, action: str) -> Any:
        try:
            yield
        except ConnectionError as e:
            error = StoreConnectionError(action, self, e)
        else:
            return
        raise error


@breaks("R6", "validating_a_broken_repository_raises")
class ValidatesWithoutLooking(ReferenceRepository):
    async def validate(self) -> None:
        self.store.exists = True


@breaks("R7", "every_entry_refuses_invalid_job_ids")
class AnythingIsAJobId(ReferenceRepository):
    @classmethod
    def is_valid_job_id(cls, job: Any) -> bool:
        return super().is_valid_job_id(job) or job == "../x"


@breaks("R7", "names_are_refused_in_bulk_as_they_are_one_by_one")
class SaysThatItTakesWhatItDoesNot(ReferenceRepository):
    def invalid_names(self, names: Any) -> list[str]:
        return []


@breaks("R7", "every_entry_refuses_invalid_job_ids")
class ANewlineMayFollow(ReferenceRepository):
    @classmethod
    def is_valid_job_id(cls, job: Any) -> bool:
        return isinstance(job, str) and re.match("^[a-zA-Z0-9]{1,128}$", job) is not None


@breaks("R7", "every_entry_refuses_invalid_job_ids")
class LettersOfAnyLanguage(ReferenceRepository):
    @classmethod
    def is_valid_job_id(cls, job: Any) -> bool:
        return isinstance(job, str) and job.isalnum() and len(job) <= 128


@breaks("R7", "every_entry_refuses_invalid_job_ids")
class OfAnyLength(ReferenceRepository):
    @classmethod
    def is_valid_job_id(cls, job: Any) -> bool:
        return isinstance(job, str) and re.fullmatch("[a-zA-Z0-9]+", job) is not None


@breaks("R7", "every_entry_refuses_invalid_job_ids")
class ContainsRaises(ReferenceRepository):
    async def contains(self, item: str) -> bool:
        return await self.get(item) is not None


@breaks("R7", "every_entry_refuses_invalid_job_ids")
class InfoTakesAnyName(ReferenceRepository):
    async def info(self, job: str) -> Any:
        return await super().info(job) if self.is_valid_job_id(job) else None


@breaks("R7", "every_entry_refuses_invalid_job_ids")
class InfoManyTakesAnyName(ReferenceRepository):
    async def info_many(self, jobs: Any) -> Any:
        return await super().info_many([job for job in jobs if self.is_valid_job_id(job)])


@breaks("R7", "every_entry_refuses_invalid_job_ids")
class DeleteTakesAnyName(ReferenceRepository):
    async def delete(self, job: str) -> None:
        if self.is_valid_job_id(job):
            await super().delete(job)


@breaks("R7", "every_entry_refuses_invalid_job_ids")
class APutTakesAnyName(ReferenceRepository):
    async def put(self, job: str, value: Any = "present") -> None:
        if self.is_valid_job_id(job):
            await super().put(job, value)


@breaks("R7", "every_entry_refuses_invalid_job_ids")
class RefusesAfterItIsDone(ReferenceRepository):
    async def put(self, job: str, value: Any = "present") -> None:
        if not self.is_valid_job_id(job):
            await super().put("hostile", value)
        await super().put(job, value)


@breaks("R7", "a_job_id_is_checked_before_the_store_is_accessed")
class AsksTheStoreFirst(ReferenceRepository):
    async def delete(self, job: str) -> None:
        with self.edge(f"look up job {job!r}"):
            await self.store.get("anything")
        await super().delete(job)


@breaks("R7", "an_invalid_job_id_is_refused_even_if_the_store_holds_it")
class TrustsWhatIsStored(ReferenceRepository):
    async def info(self, job: str) -> Any:
        stored = self.store._values
        return stored[job] if str(job) in stored else await super().info(job)


@breaks("R8", "listing_costs_one_request_per_page")
class AsksForEachJob(ReferenceRepository):
    async def keys(self) -> Any:
        return frozenset([job for job in await super().keys() if await self.contains(job)])


@breaks("R8", "listing_costs_one_request_per_page", bulk_info=True)
class AsksForEachValue(ReferenceRepository):
    pass


@breaks("R9", "operations_on_different_jobs_do_not_disturb_each_other")
class WritesTheWholeTable(ReferenceRepository):
    async def put(self, job: str, value: Any = "present") -> None:
        table = dict(self.store._values)
        await super().put(job, value)
        self.store._values = {**table, job: value}


@breaks("R9", "a_job_can_be_added_and_deleted_concurrently")
class LooksBeforeItDeletes(ReferenceRepository):
    async def delete(self, job: str) -> None:
        self.check_job_id(job)
        if await self.contains(job):
            await self.contains(job)
            del self.store._values[job]


@breaks("R10", "validating_again_changes_nothing")
class CreatesAnew(ReferenceRepository):
    async def validate(self) -> None:
        await super().validate()
        self.store._values.clear()


@breaks("R10", "validating_again_changes_nothing")
class CreatesOnce(ReferenceRepository):
    async def validate(self) -> None:
        if self.store.exists and not self.store.fails:
            raise FileExistsError("there is such a table")
        await super().validate()


@breaks("R10", "a_store_that_was_not_created_yet_is_empty")
class ListsOnlyWhatExists(ReferenceRepository):
    async def page(self, after: str) -> list[str]:
        if not self.store.exists:
            raise StoreError("list", self, "no such table")
        return await super().page(after)


@breaks("R10", "validating_creates_a_missing_store")
class CreatesNothing(ReferenceRepository):
    async def validate(self) -> None:
        exists = self.store.exists
        await super().validate()
        self.store.exists = exists


@breaks("R10", "the_repr_names_the_class_in_one_line")
class HasNoName(ReferenceRepository):
    def __repr__(self) -> str:
        return "<a repository>"
