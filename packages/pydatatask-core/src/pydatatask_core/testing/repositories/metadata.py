"""Conformance tests for repositories of metadata."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from pydatatask_core.errors import MalformedValueError, StoreError, UnsupportedValueError
from pydatatask_core.testing.jobs import ABSENT, JOB, MANY, OTHER

from .base import RepositoryContract
from .queries import assert_absent, failure_of, jobs_of
from .values import (
    AWKWARD_KEYS,
    AWKWARD_KEYS_OF_OTHER_TYPES,
    AWKWARD_VALUES,
    CONVERSIONS,
    REFUSED_VALUES,
    bottomless,
    dict_in_itself,
    for_all,
    list_in_itself,
    metadata_values,
    same_metadata,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MetadataRepositoryContract"]


def _shown(value: Any) -> str:
    # The order of a set differs between the test processes.
    text = ", ".join(sorted(map(ascii, value))) if isinstance(value, set) else ascii(value)
    return f"{type(value).__name__} {text}"[:40]


class MetadataRepositoryContract(RepositoryContract):
    """Laws of repositories of metadata, in addition to those of any repository.

    Provide the fixture ``repo``; the suite adds jobs by dumping values.
    """

    absent_info: ClassVar[Any] = {}
    """The result of ``info`` for an absent job; None for a repository in memory."""

    accepts_any_object: ClassVar[bool] = False
    """True if values need not be metadata, because they are not serialized."""

    parses: ClassVar[bool] = True
    """True if a stored value can be malformed; requires :meth:`corrupt`."""

    async def populate(self, repo: Any, job: str) -> None:
        """Dump a small value."""
        await repo.dump(job, {"the value of": job})

    async def corrupt(self, repo: Any, job: str) -> None:
        """Store a value that cannot be parsed, bypassing the repository (R6).

        :param repo: The value of the fixture ``repo``.
        :param job: The job whose value to store.
        """
        self._demand("the method `corrupt(repo, job)`, which stores a malformed value", "parses")

    def entries(self, repo: Any) -> dict[str, Callable[[Any], Any]]:
        """Return the inherited entries, and dumping."""
        return {**super().entries(repo), "dump": lambda job: repo.dump(job, {})}

    @pytest.mark.parametrize("value", AWKWARD_VALUES, ids=_shown)
    async def test_an_awkward_value_comes_back_as_it_was(self, repo: Any, value: Any) -> None:
        """R4: alone or nested, even if a format treats it specially."""
        await repo.dump(JOB, value)
        await repo.dump(OTHER, {"a": [value]})
        assert same_metadata(await repo.info(JOB), value), await repo.info(JOB)
        assert same_metadata(await repo.info(OTHER), {"a": [value]}), await repo.info(OTHER)
        assert await jobs_of(repo) == {JOB, OTHER}

    async def test_any_text_can_be_a_key_of_a_value(self, repo: Any) -> None:
        """R4: all awkward keys at once, also nested."""
        value = {key: {key: number} for number, key in enumerate(AWKWARD_KEYS)}
        await repo.dump(JOB, value)
        assert same_metadata(await repo.info(JOB), value)

    async def test_a_key_can_be_of_any_scalar_type(self, repo: Any) -> None:
        """R4: numbers, dates, None and bytes, beside texts that look like them."""
        value: dict[Any, Any] = {str(key): 0 for key in AWKWARD_KEYS_OF_OTHER_TYPES}
        value |= {key: {key: number} for number, key in enumerate(AWKWARD_KEYS_OF_OTHER_TYPES)}
        await repo.dump(JOB, value)
        assert same_metadata(await repo.info(JOB), value), await repo.info(JOB)

    async def test_a_value_that_was_read_can_be_dumped_again(self, repo: Any) -> None:
        """R4: dump(k, info(k)) succeeds and changes nothing."""
        value = list(AWKWARD_VALUES)
        await repo.dump(JOB, value)
        await repo.dump(OTHER, await repo.info(JOB))
        assert same_metadata(await repo.info(OTHER), value)
        await repo.delete(JOB)
        await repo.dump(JOB, (await repo.info_all())[OTHER])
        assert same_metadata(await repo.info(JOB), value)

    async def test_numpy_scalars_are_stored_as_python_scalars(self, repo: Any) -> None:
        """R4: anywhere, also as keys; numbers, booleans, texts and arrays of one element."""
        numpy: Any = pytest.importorskip("numpy")
        given: dict[Any, Any] = {
            "numbers": [numpy.int64(-5), numpy.uint8(200), numpy.float64(0.1), numpy.float32(0.5)],
            "others": [numpy.bool_(True), numpy.str_("text"), numpy.bytes_(b"bytes")],
            "arrays": [numpy.array(7), numpy.array(7.5)],
            numpy.int64(3): [(numpy.int8(1), numpy.float64("nan"))],
            "set": {numpy.int64(1), numpy.float64(1.5)},
        }
        expected = {
            "numbers": [-5, 200, 0.1, 0.5],
            "others": [True, "text", b"bytes"],
            "arrays": [7, 7.5],
            3: [(1, float("nan"))],
            "set": {1, 1.5},
        }
        await repo.dump(JOB, given)
        await repo.dump(OTHER, numpy.float64(2.5))
        if self.accepts_any_object:
            assert (await repo.info(JOB))["numbers"] == given["numbers"]
        else:
            assert same_metadata(await repo.info(JOB), expected), await repo.info(JOB)
            assert same_metadata(await repo.info(OTHER), 2.5)
        assert type(given["numbers"][0]) is numpy.int64, "the dumped value was modified"

    @pytest.mark.parametrize("case", CONVERSIONS, ids=lambda case: _shown(case[0]))
    async def test_a_refusal_names_the_part_and_the_conversion(self, repo: Any, case: Any) -> None:
        """R4: the user learns how to fix the value."""
        value, path, conversion = case
        failure = await failure_of(repo.dump(JOB, value))
        if not self.accepts_any_object:
            assert isinstance(failure, UnsupportedValueError), failure
            assert f"value{path}" in str(failure)
            assert str(failure).endswith(f"; convert it with {conversion}")

    async def test_any_value_comes_back_as_it_was(self, repo: Any) -> None:
        """R4: info(k) == x after dump(k, x), for the whole data model."""

        async def check(value: Any) -> None:
            await repo.dump(JOB, value)
            found = await repo.info(JOB)
            assert same_metadata(found, value), f"{value!r} was read as {found!r}"
            assert same_metadata((await repo.info_all())[JOB], found)

        await for_all(metadata_values(), check)

    async def test_values_survive(self, repo: Any) -> None:
        """R4: another instance reads the same values."""
        for job, value in zip(MANY, AWKWARD_VALUES, strict=False):
            await repo.dump(job, value)
        other = await self.reopen(repo)
        for job, value in zip(MANY, AWKWARD_VALUES, strict=False):
            assert same_metadata(await other.info(job), value)

    @pytest.mark.parametrize("value", REFUSED_VALUES, ids=lambda value: type(value).__name__)
    async def test_unsupported_values_are_refused_before_writing(
        self, repo: Any, value: Any
    ) -> None:
        """R4: alone or nested; a repository that accepts any object returns it unchanged."""
        await repo.dump(OTHER, "the old value")
        for job, refused in ((JOB, value), (OTHER, value), (OTHER, {"a": [0, value]})):
            failure = await failure_of(repo.dump(job, refused))
            if self.accepts_any_object:
                assert await repo.info(job) == refused
            else:
                assert isinstance(failure, UnsupportedValueError), failure
                assert repr(self.known_as(repo, job)) in str(failure)
                await assert_absent(repo, JOB)
                assert await repo.info(OTHER) == "the old value"

    @pytest.mark.parametrize("make", [list_in_itself, dict_in_itself, bottomless])
    async def test_recursive_and_too_deep_values_are_refused(self, repo: Any, make: Any) -> None:
        """R4: a value that contains itself, or is nested too deeply to serialize."""
        await repo.dump(OTHER, "the old value")
        for job in (JOB, OTHER):
            failure = await failure_of(repo.dump(job, make()))
            assert isinstance(failure, UnsupportedValueError), type(failure)
            assert repr(self.known_as(repo, job)) in str(failure)
        await assert_absent(repo, JOB)
        assert await repo.info(OTHER) == "the old value"

    async def test_text_with_lone_surrogates_comes_back_or_is_refused(self, repo: Any) -> None:
        """R4: a lone surrogate cannot be encoded as UTF-8."""
        for value in ("\ud800", ["\udfff"], {"\udc80": 1}):
            failure = await failure_of(repo.dump(JOB, value))
            if failure is None:
                assert same_metadata(await repo.info(JOB), value)
            else:
                assert isinstance(failure, UnsupportedValueError), failure
                await assert_absent(repo, JOB)

    async def test_an_absent_job_has_the_documented_info(self, repo: Any) -> None:
        """R1: the same before anything is stored, and after a caller modified a result."""
        found = await repo.info(ABSENT)
        assert same_metadata(found, self.absent_info)
        if isinstance(found, dict):
            found["changed"] = True
        assert same_metadata(await repo.info(ABSENT), self.absent_info)
        await assert_absent(repo, ABSENT)

    async def test_stored_values_do_not_alias_objects_of_the_caller(self, repo: Any) -> None:
        """R4: modifying a dumped or returned object does not change the stored value."""
        value: Any = {"list": [1], "dict": {"a": 1}, "set": {1}, "pairs": [("a", [1])]}
        expected = copy.deepcopy(value)
        await repo.dump(JOB, value)
        for mine in (
            value,
            await repo.info(JOB),
            (await repo.info_all())[JOB],
            (await repo.info_many([JOB]))[JOB],
        ):
            mine["list"].append(2)
            mine["dict"]["b"] = 2
            mine["set"].add(2)
            mine["pairs"][0][1].append(2)
            mine["new"] = True
            assert await repo.info(JOB) == expected

    async def test_a_new_value_replaces_the_whole_old_one(self, repo: Any) -> None:
        """R3: values are not merged."""
        await repo.dump(JOB, {"a": 1, "b": {"c": 2}, "d": "long " * 500})
        await repo.dump(JOB, {"b": {"e": 3}})
        assert await repo.info(JOB) == {"b": {"e": 3}}

    async def test_readers_see_whole_values_only(self, repo: Any) -> None:
        """R3: a key that is rewritten repeatedly is never absent, empty or mixed."""
        await repo.dump(JOB, _large(0))
        done, found = asyncio.Event(), []

        async def read() -> None:
            while not done.is_set():
                found.append(await repo.info(JOB))
                assert await repo.contains(JOB)
                await asyncio.sleep(0)

        async def write() -> None:
            try:
                for number in range(1, 30):
                    await repo.dump(JOB, _large(number))
                    await asyncio.sleep(0)
            finally:
                done.set()

        await asyncio.gather(write(), read(), read(), read())
        assert [value for value in found if not _is_whole(value)] == []

    async def test_concurrent_writers_of_a_key_leave_one_whole_value(self, repo: Any) -> None:
        """R9: in any order of their steps."""
        await asyncio.gather(*(repo.dump(JOB, _large(number)) for number in range(16)))
        assert _is_whole(await repo.info(JOB))
        assert await jobs_of(repo) == {JOB}

    async def test_different_keys_can_be_written_concurrently(self, repo: Any) -> None:
        """R9: no value is lost."""
        await asyncio.gather(*(repo.dump(job, [job]) for job in MANY))
        assert await repo.info_all() == {job: [job] for job in MANY}

    async def test_a_cancelled_writer_writes_nothing_later(self, repo: Any) -> None:
        """R9: after a cancelled write has ended, the value of the next write stays."""
        for turn in range(24):
            writing = asyncio.create_task(repo.dump(JOB, [turn, "cancelled"]))
            for _ in range(turn % 8):
                await asyncio.sleep(0)
            writing.cancel()
            await asyncio.wait({writing})
            await repo.dump(JOB, [turn, "completed"])
            assert await repo.info(JOB) == [turn, "completed"]

    async def test_info_from_a_store_that_fails_raises(self, broken: Any) -> None:
        """R6: it does not return the info of an absent job."""
        failure = await failure_of(broken.info(JOB))
        assert isinstance(failure, StoreError), failure
        assert repr(self.known_as(broken, JOB)) in str(failure)

    async def test_a_failed_dump_raises(self, broken: Any) -> None:
        """R6: the error names the job."""
        failure = await failure_of(broken.dump(JOB, {"a": 1}))
        assert isinstance(failure, StoreError), failure
        assert repr(self.known_as(broken, JOB)) in str(failure)

    async def test_a_malformed_value_is_an_error(self, repo: Any) -> None:
        """R6: the job is neither absent nor empty, and other jobs are not affected."""
        await repo.dump(OTHER, 1)
        await self.corrupt(repo, JOB)
        assert await repo.contains(JOB)
        assert await jobs_of(repo) == {JOB, OTHER}
        for failure in (await failure_of(repo.info(JOB)), await failure_of(repo.info_all())):
            assert isinstance(failure, MalformedValueError), failure
            assert repr(self.known_as(repo, JOB)) in str(failure)
        assert await repo.info(OTHER) == 1
        assert await repo.info_many([OTHER]) == {OTHER: 1}
        await repo.dump(JOB, 2)
        assert await repo.info_all() == {JOB: 2, OTHER: 1}


def _large(number: int) -> dict[str, Any]:
    return {"number": number, "again": [number] * 300, "text": str(number) * 300}


def _is_whole(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and value == _large(value["number"])
