"""Values of the data model of metadata, values that are none, and what it means to be the same."""

from __future__ import annotations

import asyncio
import math
import struct
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = [
    "AWKWARD_KEYS",
    "AWKWARD_VALUES",
    "REFUSED_VALUES",
    "bottomless",
    "dict_in_itself",
    "for_all",
    "list_in_itself",
    "metadata_values",
    "same_metadata",
]

_ODD_ZONE = timezone(timedelta(hours=5, minutes=45))
_ODDER_ZONE = timezone(-timedelta(minutes=25, seconds=21))
_WHEN = datetime(2024, 2, 29, 23, 59, 59, 123456)

AWKWARD_TEXTS = (
    *("", " ", " x ", "\n", "\r\n", "\r", "\t", "a\nb\n", "\n a", "a: b", "a #b", "- a", "? a"),
    *("null", "~", "yes", "No", "on", "true", "False", "=", "<<", "1", "-0", "1e3", "1_000", "0x1"),
    *("0o17", "017", ".inf", "nan", "12:30:45", "2001-01-01", "2001-01-01T00:00:00Z", "&a", "*a"),
    *("!!python/object:x", "%YAML", "---", "...", "@", "`", "{{ x }}", "{", "[", "'", '"', "\\n"),
    *("\0", "\x1b", "\x7f", "\x85", "\N{NO-BREAK SPACE}", "\N{LINE SEPARATOR}", "\ufeff", "\ufffe"),
    *("\N{GRINNING FACE}", "e\N{COMBINING ACUTE ACCENT}", "x" * 5000, "two words " * 50),
)
"""Texts that look like something else, or that a format has to escape."""

AWKWARD_KEYS = (
    *AWKWARD_TEXTS,
    *("a.b", ".", "..", ".a", "a.", "$set", "$", "a$b", "_id", "__class__", "%2e"),
    *("$date", "$binary", "$numberDecimal", "__datetime__", "__type__", "$type", "!bytes"),
)
"""Keys that a store takes for paths, operators or marks of its own."""

_SHARED: list[Any] = ["shared"]

AWKWARD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, {}, [], b"", [[]], [{}], {"a": {}}, {"a": []}, {"a": None}),
    *(2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**40, -(2**4096)),
    *(0.0, -0.0, 1.0, 0.1, 1e16, 1e22, 1e-7, 5e-324, 1.7976931348623157e308),
    *(float("inf"), float("-inf"), float("nan"), [1, 1.0, True, "1", b"1"]),
    bytes(range(256)),
    b"text",
    _WHEN,
    _WHEN.replace(microsecond=0),
    _WHEN.replace(microsecond=120000),
    _WHEN.replace(tzinfo=UTC),
    _WHEN.replace(microsecond=123000, tzinfo=UTC),
    _WHEN.replace(tzinfo=_ODD_ZONE),
    _WHEN.replace(tzinfo=_ODDER_ZONE),
    datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
    datetime.max.replace(tzinfo=timezone(-timedelta(hours=12))),
    datetime.min,
    datetime.max,
    list(AWKWARD_TEXTS),
    [_SHARED, _SHARED, {"again": _SHARED}],
    {"$date": "2001-01-01"},
    {"$binary": {"base64": "AA==", "subType": "00"}},
    {"__datetime__": "2001-01-01T00:00:00"},
    [[[[[[[[[[[[[[[[[[[[[[[[[[[[[["deep"]]]]]]]]]]]]]]]]]]]]]]]]]]]]]],
    {"mixed": [{"deep": [[[[{"a.b": {"$c": b"\0", "": -0.0}}]]]]}]},
)
"""What stores have been seen to change or to lose."""


class _Level(IntEnum):
    LOW = 1


class _Text(str):
    __slots__ = ()


REFUSED_VALUES: tuple[Any, ...] = (
    *((1, 2), {1, 2}, frozenset(), object(), object, 1j, Decimal(1), Fraction(1, 2), bytearray()),
    *(date(2024, 1, 1), time(1), timedelta(1), PurePosixPath("a"), UUID(int=1), _Level.LOW),
    *(_Text("x"), range(3), iter([]), memoryview(b""), len),
    *({1: "a"}, {None: "a"}, {b"a": "a"}, {("a",): "a"}, {_Text("a"): "a"}),
)
"""What is no metadata: it would come back as something else, or not at all."""


def list_in_itself() -> list[Any]:
    """Make a list that contains itself, further down."""
    outer: list[Any] = []
    outer.append({"up": outer})
    return outer


def dict_in_itself() -> dict[str, Any]:
    """Make a dict that contains itself, further down."""
    outer: dict[str, Any] = {}
    outer["down"] = [outer]
    return outer


def bottomless() -> list[Any]:
    """Make a list that is nested so deeply that no recursion gets to its end."""
    outer: list[Any] = []
    for _ in range(10_000):
        outer = [outer]
    return outer


def metadata_values() -> st.SearchStrategy[Any]:
    """Generate values of the data model, nested, with what is awkward among them."""
    texts = st.text() | st.sampled_from(AWKWARD_TEXTS)
    keys = st.text(max_size=8) | st.sampled_from(AWKWARD_KEYS)
    minutes = st.integers(-24 * 60 + 1, 24 * 60 - 1)
    zones = minutes.map(lambda offset: timezone(timedelta(minutes=offset)))
    scalars = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(-(2**200), 2**200),
        st.floats(),
        texts,
        st.binary(),
        st.datetimes(timezones=st.none() | zones),
    )
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=12,
    )


def same_metadata(one: Any, other: Any) -> bool:
    """Tell whether two values are the same, more strictly than ``==`` does.

    Of the same types all the way down; floats bit by bit, so that ``nan`` is itself and ``-0.0``
    not ``0.0``; datetimes on the same clock with the same offset.
    """
    kind = type(one)
    if type(other) is not kind:
        return False
    if kind is dict:
        return one.keys() == other.keys() and all(same_metadata(one[k], other[k]) for k in one)
    if kind is list:
        return len(one) == len(other) and all(map(same_metadata, one, other))
    if kind is float:
        both_nan = math.isnan(one) and math.isnan(other)
        return both_nan or struct.pack("d", one) == struct.pack("d", other)
    if kind is datetime:
        clocks = one.replace(tzinfo=None), other.replace(tzinfo=None)
        return bool(clocks[0] == clocks[1] and one.utcoffset() == other.utcoffset())
    return bool(one == other)


async def for_all(
    strategy: st.SearchStrategy[Any], check: Callable[[Any], Awaitable[None]]
) -> None:
    """Hold a statement to generated values, in the running loop.

    As many as the current profile of hypothesis says; a profile with fewer suits a slow server.
    A test that calls this is an ordinary one: it may use fixtures, be overridden, and be called
    by ``super()``, which a test that hypothesis has decorated may not.

    :param strategy: what to generate.
    :param check: raises if the statement does not hold for a value.
    """
    loop = asyncio.get_running_loop()

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(strategy)
    def statement(value: Any) -> None:
        asyncio.run_coroutine_threadsafe(_await(check(value)), loop).result()

    await asyncio.to_thread(statement)


async def _await(awaitable: Awaitable[None]) -> None:
    await awaitable
