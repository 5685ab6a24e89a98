"""A value that cannot be made sense of is no answer: its job is neither launched nor let pass."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from pydatatask_core.errors import MalformedValueError, StoreConnectionError
from pydatatask_core.repository import (
    InProcessMetadataRepository,
    RelatedItemRepository,
    Snapshot,
    SucceededRepository,
)


class Torn(InProcessMetadataRepository):
    """A repository some of whose values do not parse."""

    def __init__(self, data: dict[str, Any], torn: set[str]) -> None:
        super().__init__(data)
        self.torn = torn

    async def info(self, job: str) -> Any:
        if job in self.torn:
            raise MalformedValueError(job, self, "line 3, column 1")
        return await super().info(job)

    def __repr__(self) -> str:
        return "Torn()"


@pytest.fixture
def done() -> Torn:
    return Torn({"good": {}, "torn": {}, "bad": {"success": False}}, {"torn"})


async def test_a_job_whose_record_does_not_parse_is_left_out_of_what_succeeded(done: Torn) -> None:
    assert await SucceededRepository(done).keys() == {"good"}


async def test_a_job_is_held_back_if_it_is_not_known_whether_something_holds_it_back(
    done: Torn,
) -> None:
    source = InProcessMetadataRepository({"torn": 1, "bad": 1, "other": 1})

    assert await (source - SucceededRepository(done)).keys() == {"bad", "other"}


async def test_under_two_negations_a_doubtful_job_is_left_out_again(done: Torn) -> None:
    source = InProcessMetadataRepository({"good": 1, "torn": 1, "bad": 1})

    assert await (source - (source - SucceededRepository(done))).keys() == {"good"}


async def test_a_value_that_was_repaired_in_its_place_counts_from_then_on(done: Torn) -> None:
    view = SucceededRepository(done)
    assert await view.keys() == {"good"}
    assert view.volatile
    done.torn.clear()

    assert await view.keys() == {"good", "torn"}
    assert not view.volatile


async def test_a_malformed_value_is_told_of_once(
    done: Torn, caplog: pytest.LogCaptureFixture
) -> None:
    view = SucceededRepository(done)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await view.keys()

    (record,) = caplog.records
    assert "job 'torn'" in record.getMessage()
    assert "line 3" in record.getMessage()


async def test_asking_for_one_job_whose_value_does_not_parse_raises(done: Torn) -> None:
    with pytest.raises(MalformedValueError):
        await SucceededRepository(done).contains("torn")


async def test_a_translation_that_is_no_job_id_leaves_its_job_out_and_holds_it_back() -> None:
    translator = InProcessMetadataRepository({"a": "x", "b": "../x", "c": ["x"], "d": None})
    view = RelatedItemRepository(InProcessMetadataRepository({"x": 1}), translator)

    assert await view.keys() == {"a"}
    assert await (translator - view).keys() == {"d"}
    with pytest.raises(MalformedValueError, match=r"'b'.*expected a job id"):
        await view.translate("b")


async def test_one_translation_that_does_not_parse_does_not_keep_the_others_from_being_read() -> (
    None
):
    translator = Torn({"a": "x", "torn": "x"}, {"torn"})
    view = RelatedItemRepository(InProcessMetadataRepository({"x": 1}), translator)

    assert await view.keys() == {"a"}
    translator.torn.clear()
    assert await view.keys() == {"a", "torn"}


async def test_a_store_that_fails_is_no_doubt_but_an_error(done: Torn) -> None:
    class Down(Torn):
        async def info(self, job: str) -> Any:
            raise StoreConnectionError("read", self, "no route to host")

    view = SucceededRepository(Down({"a": {}}, set()))
    with pytest.raises(StoreConnectionError):
        await view.keys()


async def test_what_vanished_is_no_longer_doubtful(done: Torn) -> None:
    view = SucceededRepository(done)
    await view.keys()
    del done.data["torn"]

    listing = Snapshot()
    await listing.candidates(view)

    assert not view.volatile
