"""Repositories of metadata that change, lose or mix values (R3, R4, R6, R7, R9)."""

from __future__ import annotations

import asyncio
import json
import pickle
from datetime import UTC, date, datetime
from typing import Any

from pydatatask_core.errors import MalformedValueError, StoreError, UnsupportedValueError
from pydatatask_core.repository.data_model import to_data_model

from .harness import Mutants
from .reference import ReferenceMetadata

MUTANTS = Mutants()
breaks = MUTANTS.breaks

COMES_BACK = "an_awkward_value_comes_back_as_it_was"
REFUSED = "unsupported_values_are_refused_before_writing"


class Changing(ReferenceMetadata):
    """A repository that stores another value than the dumped one."""

    def encode(self, data: Any) -> bytes:
        return super().encode(self.changed(data))

    def changed(self, data: Any) -> Any:
        if isinstance(data, list | tuple | set):
            return type(data)([self.changed(item) for item in data])
        if isinstance(data, dict):
            return {self.key(key): self.changed(value) for key, value in data.items()}
        return self.scalar(data)

    def key(self, key: Any) -> Any:
        return key

    def scalar(self, value: Any) -> Any:
        return value


@breaks("R4", COMES_BACK, "any_value_comes_back_as_it_was")
class HasNoNull(Changing):
    def scalar(self, value: Any) -> Any:
        return "" if value is None else value


@breaks("R4", COMES_BACK)
class HasDoublesOnly(Changing):
    def scalar(self, value: Any) -> Any:
        return float(value) if isinstance(value, int) and 2**53 < abs(value) < 2**99 else value


@breaks("R4", COMES_BACK)
class Has64Bits(Changing):
    def scalar(self, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            return (value + 2**63) % 2**64 - 2**63
        return value


@breaks("R4", COMES_BACK)
class HasNoBooleans(Changing):
    def scalar(self, value: Any) -> Any:
        return int(value) if isinstance(value, bool) else value


@breaks("R4", COMES_BACK)
class HasNoInfinity(Changing):
    def scalar(self, value: Any) -> Any:
        return None if value in (float("inf"), float("-inf")) else value


@breaks("R4", COMES_BACK)
class HasNoSignOfZero(Changing):
    def scalar(self, value: Any) -> Any:
        return 0.0 if isinstance(value, float) and value == 0 else value


@breaks("R4", COMES_BACK)
class HasNoTimeZones(Changing):
    def scalar(self, value: Any) -> Any:
        return value.replace(tzinfo=None) if isinstance(value, datetime) else value


@breaks("R4", COMES_BACK)
class HasUniversalTimeOnly(Changing):
    def scalar(self, value: Any) -> Any:
        if isinstance(value, datetime) and value.tzinfo and 1 < value.year < 9999:
            return value.astimezone(UTC)
        return value


@breaks("R4", COMES_BACK)
class TakesNaiveTimesForUniversal(Changing):
    def scalar(self, value: Any) -> Any:
        if isinstance(value, datetime) and value.tzinfo is None:
            return value.replace(tzinfo=UTC)
        return value


@breaks("R4", COMES_BACK)
class HasMillisecondsOnly(Changing):
    def scalar(self, value: Any) -> Any:
        if isinstance(value, datetime):
            return value.replace(microsecond=value.microsecond // 1000 * 1000)
        return value


@breaks("R4", COMES_BACK)
class ParsesNumbersInTexts(Changing):
    def scalar(self, value: Any) -> Any:
        return (
            int(value) if isinstance(value, str) and value.isdigit() and len(value) < 9 else value
        )


@breaks("R4", COMES_BACK)
class ParsesWordsInTexts(Changing):
    def scalar(self, value: Any) -> Any:
        return {"yes": True, "null": None, "~": None, "true": True}.get(str(value), value)


@breaks("R4", COMES_BACK)
class StripsTexts(Changing):
    def scalar(self, value: Any) -> Any:
        return value.strip(" ") if isinstance(value, str) else value


@breaks("R4", COMES_BACK)
class TranslatesNewlines(Changing):
    def scalar(self, value: Any) -> Any:
        return value.replace("\r\n", "\n") if isinstance(value, str) else value


@breaks("R4", COMES_BACK)
class TakesBytesForTexts(Changing):
    def scalar(self, value: Any) -> Any:
        return value.decode() if isinstance(value, bytes) and value.isascii() else value


@breaks("R4", "any_text_can_be_a_key_of_a_value")
class SplitsKeysAtDots(Changing):
    def key(self, key: Any) -> Any:
        return key.replace(".", "_") if isinstance(key, str) else key


@breaks("R4", "any_text_can_be_a_key_of_a_value")
class DropsOperators(Changing):
    def changed(self, data: Any) -> Any:
        data = super().changed(data)
        if isinstance(data, dict):
            return {key: data[key] for key in data if not str(key).startswith("$")}
        return data


@breaks("R4", COMES_BACK)
class ReadsItsOwnMarks(Changing):
    def changed(self, data: Any) -> Any:
        data = super().changed(data)
        return data["$date"] if isinstance(data, dict) and data.keys() == {"$date"} else data


@breaks("R4", "values_survive")
class KeepsValuesInItsObject(ReferenceMetadata):
    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.mine: set[str] = set()

    async def dump(self, job: str, data: Any) -> None:
        await super().dump(job, data)
        self.mine.add(job)

    def decode(self, job: str, stored: bytes) -> Any:
        value = super().decode(job, stored)
        return value if job in self.mine else {}


class Lenient(ReferenceMetadata):
    """A repository that omits the check for some values."""

    async def dump(self, job: str, data: Any) -> None:
        self.check_job_id(job)
        try:
            data = to_data_model(job, self, data)
        except UnsupportedValueError as e:
            await self.refused(job, data, e)
            return
        await self.put(job, self.encode(data))

    async def refused(self, job: str, data: Any, error: UnsupportedValueError) -> None:
        raise NotImplementedError


@breaks("R4", REFUSED)
class MakesTuplesLists(Lenient):
    async def refused(self, job: str, data: Any, error: UnsupportedValueError) -> None:
        if not isinstance(data, tuple):
            raise error
        await self.put(job, self.encode(list(data)))


@breaks("R4", COMES_BACK, "a_key_can_be_of_any_scalar_type")
class MakesKeysTexts(Changing):
    def key(self, key: Any) -> Any:
        return str(key)


@breaks("R4", COMES_BACK)
class MakesDatesTimes(Changing):
    def scalar(self, value: Any) -> Any:
        return datetime(value.year, value.month, value.day) if type(value) is date else value


@breaks("R4", COMES_BACK)
class MakesPairsLists(Changing):
    def changed(self, data: Any) -> Any:
        return super().changed(list(data) if isinstance(data, tuple) else data)


@breaks("R4", COMES_BACK)
class MakesSetsLists(Changing):
    def changed(self, data: Any) -> Any:
        return super().changed(sorted(data, key=repr) if isinstance(data, set) else data)


@breaks("R4", "a_value_that_was_read_can_be_dumped_again")
class ReadsWhatItRefuses(ReferenceMetadata):
    """A repository that returns an equal value of a different class."""

    class Items(list[Any]):
        pass

    def decode(self, job: str, stored: bytes) -> Any:
        value = super().decode(job, stored)
        return self.Items(value) if isinstance(value, list) and len(value) > 60 else value


@breaks("R4", "numpy_scalars_are_stored_as_python_scalars")
class RefusesNumPy(ReferenceMetadata):
    async def dump(self, job: str, data: Any) -> None:
        self.check_job_id(job)
        if to_data_model(job, self, data) is not data:
            raise UnsupportedValueError(job, self, "value is of NumPy")
        await super().dump(job, data)


@breaks("R4", "a_refusal_names_the_part_and_the_conversion")
class RefusesWithoutAPath(Lenient):
    async def refused(self, job: str, data: Any, error: UnsupportedValueError) -> None:
        raise UnsupportedValueError(job, self, "value has a part which metadata cannot hold")


@breaks("R4", REFUSED)
class RefusesWithTheWrongError(Lenient):
    async def refused(self, job: str, data: Any, error: UnsupportedValueError) -> None:
        if isinstance(data, frozenset):
            json.dumps(data)
        raise error


@breaks("R4", REFUSED)
class WritesBeforeItRefuses(Lenient):
    async def refused(self, job: str, data: Any, error: UnsupportedValueError) -> None:
        if isinstance(data, frozenset):
            await self.put(job, self.encode({}))
        raise error


@breaks("R4", REFUSED, accepts_any_object=True)
class AcceptsNoObject(ReferenceMetadata):
    pass


@breaks("R4", "recursive_and_too_deep_values_are_refused")
class OverflowsTheStack(Lenient):
    async def refused(self, job: str, data: Any, error: UnsupportedValueError) -> None:
        if isinstance(data, list) and "deeply" in str(error):
            raise RecursionError
        raise error


@breaks("R4", "text_with_lone_surrogates_comes_back_or_is_refused")
class ReplacesWhatCannotBeEncoded(Changing):
    def scalar(self, value: Any) -> Any:
        return value.encode(errors="replace").decode() if isinstance(value, str) else value


@breaks("R1", "an_absent_job_has_the_documented_info")
class AbsentIsNone(ReferenceMetadata):
    async def info(self, job: str) -> Any:
        return await super().info(job) if await self.get(job) is not None else None


@breaks("R1", "an_absent_job_has_the_documented_info")
class AbsentIsOneDict(ReferenceMetadata):
    absent: Any = None

    async def info(self, job: str) -> Any:
        if await self.get(job) is not None:
            return await super().info(job)
        self.absent = {} if self.absent is None else self.absent
        return self.absent


@breaks("R4", "stored_values_do_not_alias_objects_of_the_caller")
class StoresWhatItIsGiven(ReferenceMetadata):
    def encode(self, data: Any) -> Any:
        return (data,)

    def decode(self, job: str, stored: Any) -> Any:
        if isinstance(stored, bytes):
            return super().decode(job, stored)
        return pickle.loads(pickle.dumps(stored[0]))


@breaks("R4", "stored_values_do_not_alias_objects_of_the_caller")
class GivesWhatItStores(ReferenceMetadata):
    def encode(self, data: Any) -> Any:
        return (pickle.loads(pickle.dumps(data)),)

    def decode(self, job: str, stored: Any) -> Any:
        return super().decode(job, stored) if isinstance(stored, bytes) else stored[0]


@breaks("R3", "a_new_value_replaces_the_whole_old_one")
class MergesValues(ReferenceMetadata):
    async def dump(self, job: str, data: Any) -> None:
        self.check_job_id(job)
        if isinstance(data, dict) and "b" in data and await self.contains(job):
            data = {**await self.info(job), **data}
        await super().dump(job, data)


@breaks("R3", "readers_see_whole_values_only")
class DeletesBeforeItWrites(ReferenceMetadata):
    async def put(self, job: str, value: Any = "present") -> None:
        if b"number" in self.store._values.get(job, b"") and b"number" in value:
            await self.delete(job)
            await asyncio.sleep(0)
        await super().put(job, value)


@breaks("R3", "readers_see_whole_values_only")
class WritesInSteps(ReferenceMetadata):
    async def put(self, job: str, value: Any = "present") -> None:
        if b"number" in self.store._values.get(job, b""):
            await super().put(job, self.encode({"number": -1}))
        await super().put(job, value)


@breaks("R9", "concurrent_writers_of_a_key_leave_one_whole_value")
class MixesWriters(ReferenceMetadata):
    async def dump(self, job: str, data: Any) -> None:
        self.check_job_id(job)
        writing = self.__dict__.setdefault("writing", [])
        writing.append(data)
        try:
            await self.contains(job)
            if len(writing) > 1 and isinstance(data, dict) and "number" in data:
                data = {**data, "number": writing[0]["number"]}
            await super().dump(job, data)
        finally:
            writing.pop()


@breaks("R9", "different_keys_can_be_written_concurrently")
class WritesTheWholeTable(ReferenceMetadata):
    async def put(self, job: str, value: Any = "present") -> None:
        table = dict(self.store._values)
        await super().put(job, value)
        self.store._values = {**table, job: value}


@breaks("R9", "a_cancelled_writer_writes_nothing_later")
class GoesOnWhenCancelled(ReferenceMetadata):
    async def put(self, job: str, value: Any = "present") -> None:
        late = self.__dict__.pop("late", None)
        try:
            await super().put(job, value)
        except asyncio.CancelledError:
            self.__dict__["late"] = value
            raise
        if late is not None:
            await super().put(job, late)


@breaks("R6", "info_from_a_store_that_fails_raises")
class GivesNothingOnErrors(ReferenceMetadata):
    async def info(self, job: str) -> Any:
        try:
            return await super().info(job)
        except StoreError:
            return {}


@breaks("R6", "a_failed_dump_raises")
class HopesThatItWasWritten(ReferenceMetadata):
    async def dump(self, job: str, data: Any) -> None:
        try:
            await super().dump(job, data)
        except StoreError:
            return


@breaks("R6", "a_malformed_value_is_an_error")
class TakesTheMalformedForEmpty(ReferenceMetadata):
    def decode(self, job: str, stored: bytes) -> Any:
        try:
            return super().decode(job, stored)
        except MalformedValueError:
            return {}


@breaks("R6", "a_malformed_value_is_an_error")
class LeavesTheMalformedOut(ReferenceMetadata):
    async def info_all(self) -> Any:
        found = {}
        for job in await self.keys():
            try:
                found[job] = await self.info(job)
            except MalformedValueError:
                continue
        return found


@breaks("R7", "every_entry_refuses_invalid_job_ids")
class DumpTakesAnyName(ReferenceMetadata):
    async def dump(self, job: str, data: Any) -> None:
        if self.is_valid_job_id(job):
            await super().dump(job, data)
