"""Encoding of values, tested without a server but with real BSON."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import bson
import pytest
from bson import (
    Binary,
    Code,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from bson.datetime_ms import DatetimeMS
from hypothesis import given
from hypothesis import strategies as st

from pydatatask_core.testing import metadata_values, same_metadata
from pydatatask_mongo.client import CODEC_OPTIONS
from pydatatask_mongo.decoder import from_document
from pydatatask_mongo.encoder import nesting_depth, to_document
from pydatatask_mongo.keys import escape_key, unescape_key

TAG = "_pydatatask"
NEPAL = timezone(timedelta(hours=5, minutes=45))


def stored(value: Any, *, ferretdb_compatible: bool = False) -> dict[str, Any]:
    """Return the document of a value as read from a server."""
    data = bson.encode(
        to_document("job", value, ferretdb_compatible=ferretdb_compatible),
        codec_options=CODEC_OPTIONS,
    )
    return bson.decode(data, codec_options=CODEC_OPTIONS)


@pytest.mark.parametrize(
    "document",
    [
        {TAG: "of the future", "value": 1},
        {TAG: "value"},
        {TAG: None},
        {TAG: 7, "value": 1},
        {TAG: {}, "value": 1},
        {TAG: "document", "when": {TAG: "datetime", "text": "yesterday"}},
        {TAG: "document", "when": {TAG: "datetime"}},
        {TAG: "document", "when": {TAG: "datetime", "text": 5}},
        {TAG: "document", "many": {TAG: "int", "text": "12_"}},
        {TAG: "document", "list": {TAG: "list"}},
        {TAG: "document", "x": {TAG: ["list"]}},
        {TAG: "document", "x": {TAG: "document"}},
        {TAG: "document", "day": {TAG: "date", "text": "tomorrow"}},
        {TAG: "document", "x": {TAG: "dict", "keys": [1], "values": []}},
        {TAG: "document", "x": {TAG: "dict", "keys": [[1]], "values": [1]}},
        {TAG: "document", "x": {TAG: "set", "items": [[]]}},
        {TAG: "document", "x": {TAG: "pairs", "keys": [1]}},
    ],
)
def test_a_marked_document_in_an_unknown_format_is_rejected(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="pydatatask"):
        from_document({"_id": "job", **document})


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"status": "done", "code": 0, "host": None, "ok": True, "log": b"\0\xff"},
        {"": 1, "100%": 2, "a$b": 3, "%2e": 4, "\n": 5},
        {"nested": {"_id": 1, TAG: 2, "list": [1, 2.5, {"a": [b"x"]}, [[]]]}},
        {"large": 2**63 - 1, "small": -(2**63), "huge": 1e300, "nan": float("nan"), "zero": -0.0},
        {"when": datetime(2024, 2, 29, 23, 59, 59, 123000, tzinfo=UTC)},
        {"when": datetime(2024, 2, 29, tzinfo=timezone(timedelta(0), "elsewhere"))},
        {"when": datetime.max.replace(microsecond=999000, tzinfo=UTC)},
    ],
)
def test_a_dict_that_bson_can_store_exactly_is_stored_unchanged(value: dict[str, Any]) -> None:
    assert to_document("job", value) == {"_id": "job", **value}
    assert same_metadata(from_document(stored(value)), value)


@pytest.mark.parametrize("value", [None, True, 5, 1.5, "text", b"bytes", [], [1, [2]]])
def test_a_value_that_is_not_a_dict_is_stored_below_a_key(value: Any) -> None:
    assert to_document("job", value) == {"_id": "job", TAG: "value", "value": value}


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**5000], ids=int.bit_length)
def test_an_integer_beyond_64_bits_is_stored_as_text(number: int) -> None:
    field = {TAG: "int", "text": hex(number)}
    assert to_document("job", {"n": number}) == {"_id": "job", TAG: "document", "n": field}
    assert from_document(stored({"n": number})) == {"n": number}


@pytest.mark.parametrize(
    ("when", "text", "date"),
    [
        (
            datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=UTC),
            "2024-02-29T12:00:00.123456+00:00",
            datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=UTC),
        ),
        (
            datetime(2024, 2, 29, 12, tzinfo=NEPAL),
            "2024-02-29T12:00:00+05:45",
            datetime(2024, 2, 29, 6, 15, tzinfo=UTC),
        ),
        (
            datetime(2024, 2, 29, 12),
            "2024-02-29T12:00:00",
            datetime(2024, 2, 29, 12, tzinfo=UTC),
        ),
    ],
)
def test_a_datetime_that_bson_cannot_store_is_text_with_a_date_for_queries(
    when: datetime, text: str, date: datetime
) -> None:
    field = {TAG: "datetime", "text": text, "date": date}
    assert to_document("job", {"at": when}) == {"_id": "job", TAG: "document", "at": field}
    assert same_metadata(from_document(stored({"at": when})), {"at": when})


@pytest.mark.parametrize(
    ("key", "at_top", "nested"),
    [
        ("a.b", "a%2Eb", "a%2Eb"),
        ("$set", "%24set", "%24set"),
        ("a\0b", "a%00b", "a%00b"),
        ("_id", "%5Fid", "_id"),
        (TAG, "%5Fpydatatask", "%5Fpydatatask"),
        ("%2E", "%252E", "%252E"),
        ("100%", "100%", "100%"),
        ("a$b", "a$b", "a$b"),
        ('"\\\n', '"\\\n', '"\\\n'),
    ],
)
def test_only_keys_that_servers_do_not_support_are_escaped(
    key: str, at_top: str, nested: str
) -> None:
    document = to_document("job", {"a.b": 0, key: {key: 1, "a.b": 0}})
    assert document == {
        "_id": "job",
        TAG: "document",
        "a%2Eb": 0,
        at_top: {nested: 1, "a%2Eb": 0},
    }


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ([[1], 2], [{TAG: "list", "items": [1]}, 2]),
        (float("inf"), {TAG: "float", "text": "inf"}),
        (-0.0, {TAG: "float", "text": "-0.0"}),
        ({'"': 1, "\\": 2, "\x1f": 3}, {"%22": 1, "%5C": 2, "%1F": 3}),
    ],
)
def test_values_that_ferretdb_does_not_support_are_encoded(value: Any, field: Any) -> None:
    document = to_document("job", {"x": value}, ferretdb_compatible=True)
    assert document == {"_id": "job", TAG: "document", "x": field}
    assert same_metadata(
        from_document(stored({"x": value}, ferretdb_compatible=True)), {"x": value}
    )


@pytest.mark.parametrize(
    "value",
    [
        ObjectId(),
        Decimal128("1.50"),
        Binary.from_uuid(UUID(int=1)),
        Binary(b"\0", 128),
        Regex("^a.*", "i"),
        Timestamp(1, 2),
        Code("f()"),
        DBRef("jobs", ObjectId()),
        MinKey(),
        MaxKey(),
        DatetimeMS(2**60),
    ],
    ids=lambda value: type(value).__name__,
)
def test_bson_types_outside_the_data_model_are_kept(value: Any) -> None:
    document = bson.encode({"_id": "job", "a": value, "b": [{"c": value}]})
    read = from_document(bson.decode(document, codec_options=CODEC_OPTIONS))
    assert type(read["a"]) is type(value)
    assert to_document("job", read) == {"_id": "job", "a": value, "b": [{"c": value}]}
    beside_a_date = {**read, "day": date(2024, 5, 1)}
    assert from_document(stored(beside_a_date)) == beside_a_date


@pytest.mark.parametrize("ferretdb_compatible", [False, True])
@pytest.mark.parametrize(
    ("value", "field"),
    [
        (
            date(2024, 5, 1),
            {TAG: "date", "text": "2024-05-01", "date": datetime(2024, 5, 1, tzinfo=UTC)},
        ),
        (
            {1: "a", None: 2**63},
            {
                TAG: "dict",
                "keys": [1, None],
                "values": ["a", {TAG: "int", "text": hex(2**63)}],
            },
        ),
        ({"b", 1}, {TAG: "set", "items": [1, "b"]}),
        ([("a", 1), ("a.b", [2])], {TAG: "pairs", "keys": ["a", "a.b"], "values": [1, [2]]}),
    ],
)
def test_values_without_a_bson_type_are_stored_as_documented(
    value: Any, field: dict[str, Any], ferretdb_compatible: bool
) -> None:
    document = to_document("job", {"x": value}, ferretdb_compatible=ferretdb_compatible)
    if ferretdb_compatible and type(value) is list:
        field = {**field, "values": [1, {TAG: "list", "items": [2]}]}
    assert document == {"_id": "job", TAG: "document", "x": field}
    assert same_metadata(
        from_document(stored({"x": value}, ferretdb_compatible=ferretdb_compatible)), {"x": value}
    )
    alone = {TAG: "value", "value": field}
    assert to_document("job", value, ferretdb_compatible=ferretdb_compatible) == {
        "_id": "job",
        **alone,
    }


def test_a_document_of_another_program_is_read_unchanged() -> None:
    oid = ObjectId()
    document = {
        "_id": "job",
        "oid": oid,
        "long": Int64(7),
        "list": [Int64(8), {"when": datetime(2024, 1, 1)}],
        "a%2Eb": {TAG: "int", "text": "0x1"},
    }
    value = from_document(document)
    assert value == {
        "oid": oid,
        "long": 7,
        "list": [8, {"when": datetime(2024, 1, 1, tzinfo=UTC)}],
        "a%2Eb": {TAG: "int", "text": "0x1"},
    }
    assert (type(value["long"]), type(value["list"][0])) == (int, int)


@given(value=metadata_values(), ferretdb_compatible=st.booleans())
def test_any_value_can_be_read_from_its_document(value: Any, ferretdb_compatible: bool) -> None:
    assert same_metadata(
        from_document(stored(value, ferretdb_compatible=ferretdb_compatible)), value
    )


@given(
    keys=st.lists(st.text(st.sampled_from('a%.$_"\\\0\n0125EFid')), min_size=2, unique=True),
    ferretdb_compatible=st.booleans(),
)
def test_different_keys_are_escaped_differently(keys: list[str], ferretdb_compatible: bool) -> None:
    escaped = [
        escape_key(key, at_top=True, ferretdb_compatible=ferretdb_compatible) for key in keys
    ]
    assert len(set(escaped)) == len(keys)
    assert [unescape_key(key) for key in escaped] == keys
    assert not any("." in key or "\0" in key or key.startswith("$") for key in escaped)


def test_levels_include_the_document_itself() -> None:
    assert [nesting_depth(value) for value in (1, {}, {"a": 1}, {"a": [{}, {"b": [1]}]})] == [
        0,
        1,
        1,
        4,
    ]
