"""YAML: what was dumped comes back, and what others wrote reads as YAML says."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pydatatask_core.errors import MalformedValueError
from pydatatask_core.repository import YamlMetadataFileRepository
from pydatatask_core.repository._codecs import yaml as codec
from pydatatask_core.repository._codecs.problem import DecodeError
from pydatatask_core.testing import metadata_values, same_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINES = st.lists(
    st.text(st.sampled_from("ab -:#'\"\t.,%&*!|>[]{}?@`\\\x85\u2028\xa0é"), max_size=6)
    | st.sampled_from(["---", "...", "- a", "# a", "a: b", "%YAML 1.1", "  indented", "x" * 200]),
    max_size=6,
).map("\n".join)
"""Text of several lines, as far from plain as it gets."""


@pytest.fixture(params=["libyaml", "pure Python"])
def _implementation(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Read and write with libyaml, or as where PyYAML was built without it."""
    if request.param == "libyaml":
        assert hasattr(yaml, "CSafeLoader"), "this PyYAML has no libyaml"
        yield
        return
    monkeypatch.delattr(yaml, "CSafeLoader")
    monkeypatch.delattr(yaml, "CSafeDumper")
    codec._loader.cache_clear()
    codec._dumper.cache_clear()
    yield
    codec._loader.cache_clear()
    codec._dumper.cache_clear()


def assert_comes_back(value: Any) -> None:
    text = codec.encode(value)
    found = codec.decode(text)
    assert same_metadata(found, value), f"{value!r} was written as {text!r} and read as {found!r}"


@pytest.mark.usefixtures("_implementation")
def test_any_value_comes_back() -> None:
    given(metadata_values())(assert_comes_back)()


@pytest.mark.usefixtures("_implementation")
def test_any_lines_come_back_wherever_they_stand() -> None:
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
def test_a_value_that_yaml_has_no_plain_form_for_comes_back(value: Any) -> None:
    assert_comes_back(value)


@pytest.mark.usefixtures("_implementation")
def test_half_a_character_is_refused() -> None:
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
        ("a: on\nb: 0x1f\nc: 1_000\nd: 010", {"a": True, "b": 31, "c": 1000, "d": 8}),
    ],
)
def test_what_somebody_wrote_reads_as_yaml_says(text: str, value: Any) -> None:
    assert codec.decode(text.encode()) == value


@pytest.mark.usefixtures("_implementation")
@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        (b"a: 1\nb: [1,\n", 3, ""),
        (b"a: 1\n b: 2", 2, "mapping values are not allowed"),
        (b"a: 1\nb: 2020-13-45", 2, "'2020-13-45' is no valid timestamp: month must be in 1..12"),
        (b"a: 1\nb: !!bool maybe", 2, "'maybe' is no valid bool"),
        (b"a: 1\nb: !!int ''", 2, "'' is no valid int"),
        (b"a: 1\nb: !!timestamp x", 2, "'x' is no valid timestamp"),
        (b"a: 1\nb: !!binary \xc3\xa4", 2, "base64"),
        (b"a: 1\nb: !!python/object/apply:os.system [ls]", 2, "python/object/apply:os.system"),
        (b"a: 1\nb: !mine x", 2, "'!mine'"),
        (b"a: 1\nb: *nobody", 2, "alias"),
        (b"a: 1\n? [b]\n: 2", 2, "unhashable"),
        (b"a: 1\n---\nb: 2", 2, "single document"),
        (b"a: 1\nb: caf\xe9", 2, "the byte 0xe9 is no UTF-8"),
        (b"a: 1\nb: \x01", 2, ""),
        (b"a: 1\nb: " + b"[" * 100_000, 2, "nested too deeply"),
        (b"a: 1\nb: " + b"[" * 501 + b"]" * 501, 2, "nested too deeply"),
        (b"# a\n" + b"- " * 100_000 + b"a", 2, "nested too deeply"),
        (b"# a\n" + b"? " * 100_000 + b"a", 2, "nested too deeply"),
    ],
    ids=lambda value: value[:20] if isinstance(value, bytes) else None,
)
def test_what_is_malformed_is_told_with_its_line(text: bytes, line: int, problem: str) -> None:
    with pytest.raises(DecodeError) as raised:
        codec.decode(text)
    assert raised.value.line == line
    assert raised.value.column
    assert problem in raised.value.problem


async def test_a_malformed_file_is_named_with_line_and_column(tmp_path: Path) -> None:
    repo = YamlMetadataFileRepository(tmp_path)
    (tmp_path / "good.yaml").write_text("a: 1")
    (tmp_path / "bad.yaml").write_text("a: 1\nb: c: d\n")
    for asking in (lambda: repo.info("bad"), repo.info_all, lambda: repo.info_many(["bad"])):
        with pytest.raises(MalformedValueError) as raised:
            await asking()
        assert f"'{tmp_path}/bad.yaml', line 2, column 5: " in str(raised.value)
        assert "job 'bad' in YamlMetadataFileRepository(" in str(raised.value)


def test_what_is_written_can_be_read_by_people() -> None:
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
