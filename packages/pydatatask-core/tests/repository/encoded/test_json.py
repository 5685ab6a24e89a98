"""JSON: dumped values come back, and JSON of other programs has its standard meaning."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydatatask_core.errors import MalformedValueError, UnsupportedValueError
from pydatatask_core.repository import JsonMetadataFileRepository
from pydatatask_core.repository.data_model import MAX_DEPTH
from pydatatask_core.repository.encoded.codecs import json_codec as codec
from pydatatask_core.repository.encoded.codecs.decode_error import DecodeError
from pydatatask_core.testing import metadata_values, same_metadata

if TYPE_CHECKING:
    from pathlib import Path

TAGS = (
    *("$bytes", "$datetime", "$float", "$int"),
    *(f"$pydatatask.{kind}" for kind in ("date", "dict", "pairs", "set")),
)


def assert_comes_back(value: Any) -> None:
    text = codec.encode(value)
    found = codec.decode(text)
    assert same_metadata(found, value), f"{value!r} was written as {text!r} and read as {found!r}"


@given(metadata_values())
def test_any_value_comes_back(value: Any) -> None:
    assert_comes_back(value)


@given(
    st.recursive(
        metadata_values(),
        lambda inner: st.dictionaries(
            st.sampled_from([*TAGS, *(f"${tag}" for tag in TAGS), "$", "$$", "$ref"]),
            inner,
            max_size=2,
        ),
    )
)
def test_values_that_resemble_the_notation_come_back(value: Any) -> None:
    assert_comes_back(value)


@pytest.mark.parametrize("digits", [600, 605, 5000])
@pytest.mark.parametrize("sign", [1, -1])
def test_an_integer_of_any_length_comes_back(digits: int, sign: int) -> None:
    assert_comes_back(sign * 10**digits)


@pytest.mark.parametrize(
    "value",
    [None, True, "text", 2**64, -0.5, [], {}, {"$ref": "a", "b": [1, None]}, {"a": {"b": ["c"]}}],
)
def test_json_values_are_written_as_plain_json(value: Any) -> None:
    assert json.loads(codec.encode(value)) == value


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (datetime(2024, 2, 29, 12, tzinfo=UTC), {"$datetime": "2024-02-29T12:00:00+00:00"}),
        (b"\0\xff", {"$bytes": "AP8="}),
        (float("-inf"), {"$float": "-inf"}),
        ({"$int": 1}, {"$$int": 1}),
        (date(2024, 5, 1), {"$pydatatask.date": "2024-05-01"}),
        (
            {2: "a", "b": {None: 1}},
            {"$pydatatask.dict": [[2, "a"], ["b", {"$pydatatask.dict": [[None, 1]]}]]},
        ),
        ({"b", 2, None}, {"$pydatatask.set": [None, 2, "b"]}),
        ([("a", 1), (2, [3])], {"$pydatatask.pairs": [["a", 1], [2, [3]]]}),
        ({"$pydatatask.set": [1]}, {"$$pydatatask.set": [1]}),
        (2**4000, {"$int": hex(2**4000)}),
    ],
)
def test_other_values_are_written_in_the_documented_notation(value: Any, written: Any) -> None:
    assert json.loads(codec.encode([value])) == [written]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('\ufeff{"a": 1}', {"a": 1}),
        ('{"$ref": "#/a"}', {"$ref": "#/a"}),
        ('{"$int": "0x10", "b": 1}', {"$int": "0x10", "b": 1}),
        ('{"a": "\\u00e9"}', {"a": "\N{LATIN SMALL LETTER E WITH ACUTE}"}),
        ("[Infinity]", [float("inf")]),
        ('{"$date": "2024-01-01"}', {"$date": "2024-01-01"}),
        ('{"$set": {"a": 1}}', {"$set": {"a": 1}}),
        ('{"a": "\\ud800", "\\udfff": "\\ud83d\\ude00"}', {"a": "\ud800", "\udfff": "\U0001f600"}),
        (
            '{"a": {"a": {"a": ":"}}, "b": ["a", {"a": "\\":"}]}',
            {
                "a": {"a": {"a": ":"}},
                "b": ["a", {"a": '":'}],
            },
        ),
    ],
)
def test_json_of_other_programs_has_its_standard_meaning(text: str, value: Any) -> None:
    found = codec.decode(text.encode())
    assert found == value
    assert_comes_back(found)


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        (b"", (1, 1), "Expecting value"),
        (b'{"a": 1,\n "b": }', (2, 7), "Expecting value"),
        (b'{"a": 1}\n{"b": 2}', (2, 1), "Extra data"),
        (b'{"a":\n "caf\xe9"}', (2, 6), "the byte 0xe9 is not UTF-8"),
        (b'{"$bytes": 5}', (None, None), "5 is not a valid $bytes"),
        (b'{"$datetime": "soon"}', (None, None), "'soon' is not a valid $datetime"),
        (b'{"$int": "ten"}', (None, None), "'ten' is not a valid $int"),
        (b"[" * 100_000, (None, None), "nested too deeply"),
        (b"[" * 501 + b"]" * 501, (None, None), "nested too deeply"),
        (b'{"a": [' * 251 + b"]}" * 251, (None, None), "nested too deeply"),
        (b'{"a": 1,\n "b": 2,\n "a": 3}', (3, 2), "the key 'a' occurs twice, first in line 1"),
        (b'{"a": 1, "\\u0061": 3}', (1, 10), "the key 'a' occurs twice, first in line 1"),
        (
            b'[{"a": {"a": 1}}, ":", {"b": "\\":",\n"c": [{"d": 1\n,"d"\n: 1}]}]',
            (3, 2),
            "'d' occurs",
        ),
        (b'{"$int": "0x1",\n "$int": "0x2"}', (2, 2), "the key '$int' occurs twice"),
        (b'{"$pydatatask.dict": [[1, 2], [1, 3]]}', (None, None), "a key occurs twice"),
        (b'{"$pydatatask.dict": [[[], 2]]}', (None, None), "unhashable"),
        (b'{"$pydatatask.dict": [1]}', (None, None), "is not a valid $pydatatask.dict"),
        (b'{"$pydatatask.dict": {"ab": 1}}', (None, None), "expected a list of lists of two"),
        (b'{"$pydatatask.pairs": ["ab"]}', (None, None), "expected a list of lists of two"),
        (b'{"$pydatatask.pairs": [[1]]}', (None, None), "is not a valid $pydatatask.pairs"),
        (b'{"$pydatatask.set": [1, 1]}', (None, None), "a member occurs twice"),
        (b'{"$pydatatask.set": {"a": 1}}', (None, None), "expected a list"),
        (b'{"$pydatatask.set": "ab"}', (None, None), "expected a list"),
        (b'{"$pydatatask.date": "soon"}', (None, None), "'soon' is not a valid $pydatatask.date"),
        (b"9" * 5000, (None, None), "digits"),
    ],
    ids=lambda value: value[:20] if isinstance(value, bytes) else None,
)
def test_a_decode_error_has_the_position_of_the_fault(
    text: bytes, place: tuple[int | None, int | None], problem: str
) -> None:
    with pytest.raises(DecodeError) as raised:
        codec.decode(text)
    assert (raised.value.line, raised.value.column) == place
    assert problem in raised.value.problem


async def test_the_error_for_a_malformed_file_has_line_and_column(tmp_path: Path) -> None:
    repo = JsonMetadataFileRepository(tmp_path)
    (tmp_path / "bad.json").write_text('{"a": 1,\n}')
    with pytest.raises(MalformedValueError, match=r"/bad\.json', line 2, column 1: "):
        await repo.info("bad")


def test_written_json_is_readable() -> None:
    value = {"name": "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "b": [1], "a": {}}
    assert codec.encode(value).decode() == (
        '{\n  "name": "caf\N{LATIN SMALL LETTER E WITH ACUTE}",\n'
        '  "b": [\n    1\n  ],\n  "a": {}\n}\n'
    )


@pytest.mark.parametrize("made", [lambda inner: [inner], lambda inner: {"a": inner}])
async def test_the_maximum_depth_is_written_and_read(tmp_path: Path, made: Any) -> None:
    repo = JsonMetadataFileRepository(tmp_path)
    value: Any = {}
    for _ in range(MAX_DEPTH - 1):
        value = made(value)
    await repo.dump("a", value)
    assert await repo.info("a") == value
    with pytest.raises(UnsupportedValueError, match="nested too deeply"):
        await repo.dump("b", made(value))


def test_two_separate_surrogates_are_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        codec.encode({"a": "\ud83d\ude00"})


def test_many_nested_siblings_do_not_count_as_depth() -> None:
    assert_comes_back([[[]] for _ in range(MAX_DEPTH)])
