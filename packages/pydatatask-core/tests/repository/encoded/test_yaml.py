"""YAML: dumped values come back, and YAML of other programs has its standard meaning."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pydatatask_core.errors import MalformedValueError, UnsupportedValueError
from pydatatask_core.repository import JsonMetadataFileRepository, YamlMetadataFileRepository
from pydatatask_core.repository.data_model import MAX_DEPTH
from pydatatask_core.repository.encoded.codecs import yaml_codec as codec
from pydatatask_core.repository.encoded.codecs import yaml_loader
from pydatatask_core.repository.encoded.codecs.decode_error import DecodeError
from pydatatask_core.testing import metadata_values, same_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINES = st.lists(
    st.text(st.sampled_from("ab -:#'\"\t.,%&*!|>[]{}?@`\\\x85\u2028\xa0é"), max_size=6)
    | st.sampled_from(["---", "...", "- a", "# a", "a: b", "%YAML 1.1", "  indented", "x" * 200]),
    max_size=6,
).map("\n".join)
"""Multi-line texts with characters that YAML has to quote or escape."""


ALIASES_OF_MANY_VALUES = b"a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + b"\n".join(
    b"a%d: &a%d [%s]" % (n, n, b",".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 8)
)
MERGES_OF_MANY_VALUES = b"a0: &a0 {k: v}\n" + b"\n".join(
    b"a%d: &a%d {<<: [%s]}" % (n, n, b",".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 8)
)
ALIASES_OF_MANY_LEVELS = b"a0: &a0 [x]\n" + b"\n".join(
    b"a%d: &a%d [*a%d]" % (n, n, n - 1) for n in range(1, 1000)
)


@pytest.fixture(params=["libyaml", "pure Python"])
def _implementation(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Run a test with libyaml, and as if PyYAML had been built without it."""
    if request.param == "libyaml":
        assert hasattr(yaml, "CSafeLoader"), "this PyYAML has no libyaml"
        yield
        return
    monkeypatch.delattr(yaml, "CSafeLoader")
    monkeypatch.delattr(yaml, "CSafeDumper")
    yaml_loader._loader.cache_clear()
    codec._dumper.cache_clear()
    yield
    yaml_loader._loader.cache_clear()
    codec._dumper.cache_clear()


def assert_comes_back(value: Any) -> None:
    text = codec.encode(value)
    found = codec.decode(text)
    assert same_metadata(found, value), f"{value!r} was written as {text!r} and read as {found!r}"


@pytest.mark.usefixtures("_implementation")
def test_any_value_comes_back() -> None:
    given(metadata_values())(assert_comes_back)()


@pytest.mark.usefixtures("_implementation")
def test_any_lines_come_back_at_any_position() -> None:
    @given(LINES)
    def check(text: str) -> None:
        assert_comes_back([text, {text: text}, {"a": {"b": [text]}}])
        assert_comes_back(text)

    check()


@pytest.mark.usefixtures("_implementation")
@pytest.mark.parametrize(
    "value",
    [
        datetime(2024, 2, 29, 12, tzinfo=timezone(timedelta(seconds=-1))),
        datetime(2024, 2, 29, 12, tzinfo=timezone(timedelta(hours=1, seconds=1, microseconds=1))),
        datetime(1, 1, 1, 0, 0, 0, 1),
        10**5000,
        -(10**5000),
        "a" * 1_000_000,
        {"k" * 1000: 1},
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_without_a_plain_form_in_yaml_comes_back(value: Any) -> None:
    assert_comes_back(value)


@pytest.mark.usefixtures("_implementation")
def test_a_lone_surrogate_is_refused() -> None:
    for value in ("\ud800", {"a\udfff": 1}):
        with pytest.raises(UnicodeEncodeError):
            codec.encode(value)


@pytest.mark.usefixtures("_implementation")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# only a comment\n", None),
        ("\ufeffa: 1", {"a": 1}),
        ("a: 2001-12-14\n", {"a": date(2001, 12, 14)}),
        (
            "a: 2001-12-14 21:59:43.1 -5",
            {"a": datetime(2001, 12, 14, 21, 59, 43, 100000, timezone(timedelta(hours=-5)))},
        ),
        ("a: 2001-12-14t21:59:43Z", {"a": datetime(2001, 12, 14, 21, 59, 43, tzinfo=UTC)}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("a: &x {b: 1}\nc: {<<: *x, d: 2}", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        ("1: 2\n2001-12-14: 3", {1: 2, date(2001, 12, 14): 3}),
        ("a: =\n=: b", {"a": "=", "=": "b"}),
        ("a: &x {b: 1, c: 2}\nd: {<<: *x, b: 3}", {"a": {"b": 1, "c": 2}, "d": {"b": 3, "c": 2}}),
        (
            "a: &x {b: 1}\nc: &y {<<: *x, b: 2}\nd: {<<: *y, e: 3}",
            {
                "a": {"b": 1},
                "c": {"b": 2},
                "d": {"b": 2, "e": 3},
            },
        ),
        (
            "a: &x {b: 1}\nc: &y {b: 2, d: 4}\ne: {<<: [*x, *y]}",
            {
                "a": {"b": 1},
                "c": {"b": 2, "d": 4},
                "e": {"b": 1, "d": 4},
            },
        ),
        ("a: {<<: {b: 1}, b: 2}", {"a": {"b": 2}}),
        ("'<<': 1\n'=': 2", {"<<": 1, "=": 2}),
        (
            "1: a\n'1': b\n1.5: c\nnull: d\n~x: e",
            {1: "a", "1": "b", 1.5: "c", None: "d", "~x": "e"},
        ),
        ("a: !!set {b, c}\nd: !!set {}", {"a": {"b", "c"}, "d": set()}),
        ("a: !!omap [b: 1, c: [2]]", {"a": [("b", 1), ("c", [2])]}),
        ("a: !!pairs [b: 1, b: 2]", {"a": [("b", 1), ("b", 2)]}),
        ("a: 1:30:00\nb: -1:30\nc: 1:30.5", {"a": 5400, "b": -90, "c": 90.5}),
        ("a: on\nb: 0x1f\nc: 1_000\nd: 010", {"a": True, "b": 31, "c": 1000, "d": 8}),
    ],
)
def test_yaml_of_other_programs_has_its_standard_meaning(text: str, value: Any) -> None:
    found = codec.decode(text.encode())
    assert found == value
    assert_comes_back(found)


@pytest.mark.usefixtures("_implementation")
@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        (b"a: 1\nb: [1,\n", 3, ""),
        (b"a: 1\n b: 2", 2, "mapping values are not allowed"),
        (
            b"a: 1\nb: 2020-13-45",
            2,
            "'2020-13-45' is not a valid timestamp: month must be in 1..12",
        ),
        (b"a: 1\nb: !!bool maybe", 2, "'maybe' is not a valid bool"),
        (b"a: 1\nb: !!int ''", 2, "'' is not a valid int"),
        (b"a: 1\nb: !!timestamp x", 2, "'x' is not a valid timestamp"),
        (b"a: 1\nb: !!binary \xc3\xa4", 2, "base64"),
        (b"a: 1\nb: !!python/object/apply:os.system [ls]", 2, "python/object/apply:os.system"),
        (b"a: 1\nb: !mine x", 2, "'!mine'"),
        (b"a: 1\nb: *nobody", 2, "alias"),
        (b"a: 1\n? [b]\n: 2", 2, "unhashable"),
        (b"a: 1\n---\nb: 2", 2, "single document"),
        (b"a: 1\nb: caf\xe9", 2, "the byte 0xe9 is not UTF-8"),
        (b"a: 1\nb: \x01", 2, ""),
        (b"a: 1\nb: " + b"[" * 100_000, 2, "nested too deeply"),
        (b"a: 1\nb: " + b"[" * 501 + b"]" * 501, 2, "nested too deeply"),
        (b"# a\n" + b"- " * 100_000 + b"a", 2, "nested too deeply"),
        (b"# a\n" + b"? " * 100_000 + b"a", 2, "nested too deeply"),
        (b"a: 1\nb: 2\na: 3", 3, "the key 'a' occurs twice, first in line 1"),
        (b"a: 1\n'a': 2", 2, "the key 'a' occurs twice, first in line 1"),
        (b'a: 1\n"\\x61": 2', 2, "the key 'a' occurs twice"),
        (b"1: 1\n0x1: 2", 2, "the key 1 occurs twice"),
        (b"1: 1\n1.0: 2", 2, "the key 1.0 occurs twice"),
        (b"yes: 1\n1: 2", 2, "the key 1 occurs twice"),
        (b"2024-05-01: 1\n!!timestamp '2024-05-01': 2", 2, "occurs twice"),
        (b"a:\n  b:\n  - {c: 1, d: 2, c: 3}", 3, "the key 'c' occurs twice"),
        (b"a: !!set {b,\n b}", 2, "the key 'b' occurs twice"),
        (b"a: &x {b: 1}\nc: {<<: *x, d: 1, d: 2}", 2, "the key 'd' occurs twice"),
        (b"a: &x {b: 1,\n b: 2}\nc: {<<: *x}", 2, "the key 'b' occurs twice"),
        (b"a: {<<: {b: 1,\n b: 2}}", 2, "the key 'b' occurs twice"),
        (b"a: &x {b: 1}\nc: {<<: *x,\n <<: *x}", 3, "the key '<<' occurs twice"),
        (b"a: 1\nb: {<<: 5}", 2, "to merge"),
        (b"a: 1\nb: {<<: [{a: 1}, 5]}", 2, "to merge"),
        (b"a: {<<: {? [b] : 1}}", 1, "unhashable"),
        (b"a: 1\nb: &x [*x]", 2, "an alias is part of the value that it refers to"),
        (b"a: 1\nb: &x {c: [{d: *x}]}", 2, "an alias is part of the value that it refers to"),
        (b"a: &x {<<: *x, b: 1}", 1, "an alias is part of the value that it refers to"),
        (b"a: 1\nb: " + b":".join([b"1"] * 5000), 2, "more than 1000 sexagesimal digits"),
        (
            b"# a\n" + ALIASES_OF_MANY_VALUES,
            2,
            "with its aliases it has 123,456,797 values, more than",
        ),
        (b"# a\n" + MERGES_OF_MANY_VALUES, 2, "with its aliases it has "),
        (b"# a\n" + ALIASES_OF_MANY_LEVELS, 2, "with its aliases it is nested too deeply"),
    ],
    ids=lambda value: value[:20] if isinstance(value, bytes) else None,
)
def test_a_decode_error_has_the_line_of_the_fault(text: bytes, line: int, problem: str) -> None:
    with pytest.raises(DecodeError) as raised:
        codec.decode(text)
    assert raised.value.line == line
    assert raised.value.column
    assert problem in raised.value.problem


async def test_the_error_for_a_malformed_file_has_line_and_column(tmp_path: Path) -> None:
    repo = YamlMetadataFileRepository(tmp_path)
    (tmp_path / "good.yaml").write_text("a: 1")
    (tmp_path / "bad.yaml").write_text("a: 1\nb: c: d\n")
    for asking in (lambda: repo.info("bad"), repo.info_all, lambda: repo.info_many(["bad"])):
        with pytest.raises(MalformedValueError) as raised:
            await asking()
        assert f"'{tmp_path}/bad.yaml', line 2, column 5: " in str(raised.value)
        assert "job 'bad' in YamlMetadataFileRepository(" in str(raised.value)


def test_written_yaml_is_readable() -> None:
    twice = ["no alias"]
    value = {
        "name": "caf\N{LATIN SMALL LETTER E WITH ACUTE}",
        "when": datetime(2024, 2, 29, 12, 30, tzinfo=timezone(timedelta(hours=1))),
        "exit": 0,
        "first": twice,
        "again": twice,
        "version": "1e5",
        "trace": "Traceback:\n  File a\n\nError: b\n",
        "long": "word " * 30 + "end",
    }
    assert codec.encode(value).decode().splitlines() == [
        "name: caf\N{LATIN SMALL LETTER E WITH ACUTE}",
        "when: 2024-02-29 12:30:00+01:00",
        "exit: 0",
        "first:",
        "- no alias",
        "again:",
        "- no alias",
        "version: '1e5'",
        "trace: |",
        "  Traceback:",
        "    File a",
        "",
        "  Error: b",
        "long: " + "word " * 30 + "end",
    ]


@pytest.mark.usefixtures("_implementation")
def test_aliases_within_the_limit_are_read() -> None:
    text = b"a: &a [" + b"x, " * 1000 + b"]\nb: [" + b"*a, " * 900 + b"]"
    assert codec.decode(text) == {"a": ["x"] * 1000, "b": [["x"] * 1000] * 900}


def test_the_limit_on_aliases_does_not_apply_without_aliases() -> None:
    # The text contains the characters of anchors and aliases, but no anchor or alias.
    text = b"- '& *'\n" * 1001 + b"-\n" * 1000
    assert len(codec.decode(text)) == 2001
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml_loader, "MAX_EXPANDED_NODES", 100)
        assert len(codec.decode(text)) == 2001


@pytest.mark.parametrize("made", [lambda inner: [inner], lambda inner: {"a": inner}])
async def test_the_maximum_depth_is_written_and_read(tmp_path: Path, made: Any) -> None:
    repo = YamlMetadataFileRepository(tmp_path)
    value: Any = {}
    for _ in range(MAX_DEPTH - 1):
        value = made(value)
    await repo.dump("a", value)
    assert await repo.info("a") == value
    with pytest.raises(UnsupportedValueError, match="nested too deeply"):
        await repo.dump("b", made(value))


async def test_a_file_larger_than_max_bytes_is_neither_read_nor_written(
    tmp_path: Path,
) -> None:
    repo = YamlMetadataFileRepository(tmp_path, max_bytes=20)
    (tmp_path / "good.yaml").write_text("a: 12345678901234567")
    (tmp_path / "large.yaml").write_text("a: 123456789012345678")
    assert await repo.info("good") == {"a": 12345678901234567}
    for asking in (lambda: repo.info("large"), repo.info_all, lambda: repo.info_many(["large"])):
        with pytest.raises(MalformedValueError, match=r"large.*more bytes than max_bytes=20"):
            await asking()
    with pytest.raises(UnsupportedValueError, match="takes 22 bytes, more than max_bytes=20"):
        await repo.dump("good", {"a": 123456789012345678})
    assert await repo.info("good") == {"a": 12345678901234567}
    assert await repo.keys() == {"good", "large"}


@pytest.mark.parametrize(("limit", "error"), [(0, ValueError), ("5", TypeError), (True, TypeError)])
def test_an_invalid_size_limit_is_refused(tmp_path: Path, limit: Any, error: Any) -> None:
    for kind in (YamlMetadataFileRepository, JsonMetadataFileRepository):
        with pytest.raises(error, match="max_bytes"):
            kind(tmp_path, max_bytes=limit)


def test_equal_sets_are_written_as_equal_files() -> None:
    one, other = {3, "1", None, "2"}, {"2", None, "1", 3}
    assert (
        codec.encode(one)
        == codec.encode(other)
        == b"!!set\nnull: null\n3: null\n'1': null\n'2': null\n"
    )
