"""Flat mappings are encoded as PyYAML encodes them, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatatask_core.repository.encoded.codecs import yaml_codec
from pydatatask_core.repository.encoded.codecs.flat_yaml import encode_flat

WORDS = ["yes", "Off", "null", "NULL", "~", "y", "1e5", "0x1", "1_0", "2020-01-01", "12:30", "1/2"]
TEXTS = st.one_of(
    st.text("azAZ09_./- :#'\"=<[{&*!|>%@", max_size=12), st.sampled_from(WORDS), st.text(max_size=5)
)
VALUES = st.one_of(
    TEXTS,
    st.booleans(),
    st.none(),
    st.integers(),
    st.floats(allow_nan=False),
    st.datetimes(timezones=st.sampled_from([None, UTC])),
    st.lists(st.integers(), max_size=2),
)


@settings(deadline=None, max_examples=500)
@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_a_flat_mapping_is_encoded_as_by_pyyaml_or_not_at_all(data: dict[str, Any]) -> None:
    try:
        expected = yaml_codec.encode(data)
    except UnicodeEncodeError:
        expected = None
    assert encode_flat(data) in (None, expected)


RECORD = {
    "success": True,
    "return_code": 0,
    "start_time": datetime(2026, 1, 2, 3, 4, 5, 600, UTC),
    "duration": 0.012345,
    "handle": "1234.5678-99-0f1e-2d/machine/4026531836",
    "reason": "exit status 1",
    "signal": None,
    "directory": "/tmp/" + "long/" * 100,
}


def test_a_record_is_flat() -> None:
    assert encode_flat(RECORD) == yaml_codec.encode(RECORD)


@pytest.mark.parametrize("data", [{}, [], 1, "a", {1: 2}, {"a": {}}, {"a": "b: c"}, {"a": ""}])
def test_other_values_are_not_flat(data: Any) -> None:
    assert encode_flat(data) is None
