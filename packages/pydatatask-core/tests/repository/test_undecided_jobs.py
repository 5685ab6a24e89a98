"""A job with a malformed value is undecided: it is neither launched nor passed on."""

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
    """A repository in which some values cannot be parsed."""

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


async def test_a_job_with_a_malformed_record_has_not_succeeded(done: Torn) -> None:
    assert await SucceededRepository(done).keys() == {"good"}


async def test_a_job_is_held_back_if_its_blocker_is_undecided(
    done: Torn,
) -> None:
    source = InProcessMetadataRepository({"torn": 1, "bad": 1, "other": 1})

    assert await (source - SucceededRepository(done)).keys() == {"bad", "other"}


async def test_an_undecided_job_is_omitted_under_two_negations(done: Torn) -> None:
    source = InProcessMetadataRepository({"good": 1, "torn": 1, "bad": 1})

    assert await (source - (source - SucceededRepository(done))).keys() == {"good"}


async def test_a_repaired_value_counts_from_then_on(done: Torn) -> None:
    view = SucceededRepository(done)
    assert await view.keys() == {"good"}
    assert view.volatile
    done.torn.clear()

    assert await view.keys() == {"good", "torn"}
    assert not view.volatile


async def test_a_malformed_value_is_logged_once(
    done: Torn, caplog: pytest.LogCaptureFixture
) -> None:
    view = SucceededRepository(done)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await view.keys()

    (record,) = caplog.records
    assert "job 'torn'" in record.getMessage()
    assert "line 3" in record.getMessage()


async def test_a_query_for_a_job_with_a_malformed_value_raises(done: Torn) -> None:
    with pytest.raises(MalformedValueError):
        await SucceededRepository(done).contains("torn")


async def test_an_invalid_translation_omits_its_job_and_holds_it_back() -> None:
    translator = InProcessMetadataRepository({"a": "x", "b": "../x", "c": ["x"], "d": None})
    view = RelatedItemRepository(InProcessMetadataRepository({"x": 1}), translator)

    assert await view.keys() == {"a"}
    assert await (translator - view).keys() == {"d"}
    with pytest.raises(MalformedValueError, match=r"'b'.*expected a job id"):
        await view.translate("b")


async def test_a_malformed_translation_does_not_prevent_the_others_from_being_read() -> None:
    translator = Torn({"a": "x", "torn": "x"}, {"torn"})
    view = RelatedItemRepository(InProcessMetadataRepository({"x": 1}), translator)

    assert await view.keys() == {"a"}
    translator.torn.clear()
    assert await view.keys() == {"a", "torn"}


async def test_a_store_that_fails_raises_instead_of_leaving_jobs_undecided(done: Torn) -> None:
    class Down(Torn):
        async def info(self, job: str) -> Any:
            raise StoreConnectionError("read", self, "no route to host")

    view = SucceededRepository(Down({"a": {}}, set()))
    with pytest.raises(StoreConnectionError):
        await view.keys()


async def test_a_job_that_vanished_stops_being_undecided(done: Torn) -> None:
    view = SucceededRepository(done)
    await view.keys()
    del done.data["torn"]

    listing = Snapshot()
    await listing.candidates(view)

    assert not view.volatile
