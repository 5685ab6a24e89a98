"""Values of the data model of metadata, unsupported values, and a strict comparison."""

from __future__ import annotations

import asyncio
import math
import struct
from collections import Counter, OrderedDict, UserDict, defaultdict, deque
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = [
    "AWKWARD_KEYS",
    "AWKWARD_KEYS_OF_OTHER_TYPES",
    "AWKWARD_VALUES",
    "CONVERSIONS",
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
"""Texts that resemble other types, or that formats have to escape."""

AWKWARD_KEYS = (
    *AWKWARD_TEXTS,
    *("a.b", ".", "..", ".a", "a.", "$set", "$", "a$b", "_id", "__class__", "%2e"),
    *("$date", "$binary", "$numberDecimal", "__datetime__", "__type__", "$type", "!bytes"),
)
"""Keys that stores interpret as paths, operators or their own markers."""

AWKWARD_KEYS_OF_OTHER_TYPES = (
    *(None, True, 0, -5, 2**70, 1.5, float("inf"), b"", b"\0key", b"x" * 200),
    *(date(2024, 5, 1), _WHEN, _WHEN.replace(tzinfo=UTC), _WHEN.replace(tzinfo=_ODD_ZONE)),
)
"""Keys of types other than text; no two of them are equal."""

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
    *(date(2024, 5, 1), date.min, date.max, {"day": date(2024, 2, 29)}),
    *({1: "a"}, {None: "a"}, {False: "a"}, {b"a": "a"}, {date(2024, 5, 1): [date(2024, 5, 1)]}),
    {1: "int", "1": "text", 1.5: "float", "1.5": "text", None: 0, "None": 1, "null": 2, "~": 3},
    {"2024-05-01": "text", date(2024, 5, 1): "date", datetime(2024, 5, 1): "datetime"},
    {"a": {1: {2: {"b": {3: []}}}}},
    *(set(), {1, 2, 3}, {"1", 1.5, None, b"1", False, _WHEN, date(2024, 5, 1)}, {"a": {"b"}}),
    *([("a", 1), ("a", 2)], [(1, [2]), ([3], {4: 5})], [("a", [("b", {"c"})])], [[("a", None)]]),
    list(AWKWARD_TEXTS),
    set(AWKWARD_TEXTS),
    [_SHARED, _SHARED, {"again": _SHARED}],
    {"$date": "2001-01-01"},
    {"$binary": {"base64": "AA==", "subType": "00"}},
    {"__datetime__": "2001-01-01T00:00:00"},
    {"$pydatatask.date": "2001-01-01"},
    {"$pydatatask.set": [{"$pydatatask.dict": [[1, 2]]}]},
    {"$$pydatatask.pairs": [[1, 2]]},
    {"_pydatatask": "set", "items": [1]},
    [{"_pydatatask": "date", "text": "2001-01-01"}, {"keys": [1], "values": [2]}, {1: 2}],
    [[[[[[[[[[[[[[[[[[[[[[[[[[[[[["deep"]]]]]]]]]]]]]]]]]]]]]]]]]]]]]],
    {"mixed": [{"deep": [[[[{"a.b": {"$c": b"\0", "": -0.0}}]]]]}]},
)
"""Values that some stores have changed or lost."""


class _Level(IntEnum):
    LOW = 1


class _Text(str):
    __slots__ = ()


class _Colour(StrEnum):
    RED = "red"


class _Shape(Enum):
    ROUND = date(2024, 1, 1)


class _Point(NamedTuple):
    x: int
    y: int


@dataclass
class _Size:
    width: int


REFUSED_VALUES: tuple[Any, ...] = (
    *((1, 2), frozenset({1}), object(), object, 1j, Decimal(1), Fraction(1, 2), bytearray(b"a")),
    *(time(1), timedelta(1), PurePosixPath("a"), UUID(int=1), _Level.LOW, _Colour.RED),
    *(_Shape.ROUND, _Point(1, 2), _Size(1), OrderedDict(a=1), defaultdict(int, a=1)),
    *(Counter("a"), UserDict(a=1), deque([1]), _Text("x"), range(3), iter([]), len),
    *([(1, 2), 3], [(1, 2), (3,)], [_Point(1, 2)], {(1, 2)}, {frozenset({1})}),
    *({("a",): "a"}, {_Text("a"): "a"}, {_Level.LOW: 1}, {"a": [1, {"b": (1, 2)}]}),
)
"""Unsupported values: reading would return another value or fail."""

CONVERSIONS: tuple[tuple[Any, str, str], ...] = (
    ((1, 2), "", "list(...)"),
    ({"a": [0, 1, 2, PurePosixPath("x")]}, "['a'][3]", "str(...)"),
    ({"a": {1: _Level.LOW}}, "['a'][1]", ".value"),
    ([_Colour.RED], "[0]", ".value"),
    ([("a", Decimal("1.5"))], "[0][1]", "str(...)"),
    ([[UUID(int=1)]], "[0][0]", "str(...)"),
    ({"a": _Size(1)}, "['a']", "dataclasses.asdict(...)"),
    ({"a": _Point(1, 2)}, "['a']", "._asdict()"),
    ({"a": OrderedDict(b=1)}, "['a']", "dict(...)"),
    ({"a": frozenset({1})}, "['a']", "set(...)"),
    ({"a": time(1)}, "['a']", ".isoformat()"),
    ({"a": timedelta(1)}, "['a']", ".total_seconds()"),
    ({"a": bytearray(b"a")}, "['a']", "bytes(...)"),
    ({"a": range(3)}, "['a']", "list(...)"),
    ({"a": {(1, 2): 3}}, "['a'] has the key (1, 2)", "list(...)"),
    ({"a": {1, (1, 2)}}, "['a'] has the member (1, 2)", "list(...)"),
)
"""Unsupported values, the path to the unsupported part, and the conversion to use."""


def list_in_itself() -> list[Any]:
    """Return a list that contains itself at a deeper level."""
    outer: list[Any] = []
    outer.append({"up": outer})
    return outer


def dict_in_itself() -> dict[str, Any]:
    """Return a dict that contains itself at a deeper level."""
    outer: dict[str, Any] = {}
    outer["down"] = [outer]
    return outer


def bottomless() -> list[Any]:
    """Return a list nested more deeply than the recursion limit."""
    outer: list[Any] = []
    for _ in range(10_000):
        outer = [outer]
    return outer


def metadata_values() -> st.SearchStrategy[Any]:
    """Return a strategy for nested values of the data model, with awkward ones among them."""
    texts = st.text() | st.sampled_from(AWKWARD_TEXTS)
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
        st.dates(),
        st.datetimes(timezones=st.none() | zones),
    )
    text_keys = st.text(max_size=8) | st.sampled_from(AWKWARD_KEYS)
    other_keys = st.integers() | st.sampled_from(AWKWARD_KEYS_OF_OTHER_TYPES)
    keys = text_keys | other_keys
    return st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(text_keys, inner, max_size=4),
            st.dictionaries(keys, inner, max_size=4),
            st.lists(st.tuples(inner, inner), max_size=3),
            st.sets(keys, max_size=3),
        ),
        max_leaves=12,
    )


def same_metadata(one: Any, other: Any) -> bool:
    """Check whether two values are equal, more strictly than ``==`` does.

    Types are equal at all levels; floats are equal bit by bit, so that ``nan`` equals itself and
    ``-0.0`` differs from ``0.0``; datetimes have the same local time and the same offset.
    """
    kind = type(one)
    if type(other) is not kind:
        return False
    compare = _COMPARISONS.get(kind)
    return bool(one == other) if compare is None else compare(one, other)


def _same_dicts(one: Any, other: Any) -> bool:
    entries, others = ({(type(k), k): value[k] for k in value} for value in (one, other))
    same_keys = entries.keys() == others.keys()
    return same_keys and all(same_metadata(entries[k], others[k]) for k in entries)


def _same_sets(one: Any, other: Any) -> bool:
    members, others = ({(type(each), each) for each in value} for value in (one, other))
    return members == others


def _same_sequences(one: Any, other: Any) -> bool:
    return len(one) == len(other) and all(map(same_metadata, one, other))


def _same_floats(one: float, other: float) -> bool:
    both_nan = math.isnan(one) and math.isnan(other)
    return both_nan or struct.pack("d", one) == struct.pack("d", other)


def _same_datetimes(one: datetime, other: datetime) -> bool:
    clocks = one.replace(tzinfo=None), other.replace(tzinfo=None)
    return clocks[0] == clocks[1] and one.utcoffset() == other.utcoffset()


_COMPARISONS: dict[type, Callable[[Any, Any], bool]] = {
    dict: _same_dicts,
    set: _same_sets,
    list: _same_sequences,
    tuple: _same_sequences,
    float: _same_floats,
    datetime: _same_datetimes,
}


async def for_all(
    strategy: st.SearchStrategy[Any], check: Callable[[Any], Awaitable[None]]
) -> None:
    """Check a statement for generated values, in the running loop.

    The number of values is set by the current hypothesis profile; choose a profile with fewer
    values for a slow server. A test that calls this function is an ordinary test: it can use
    fixtures, be overridden, and be called through ``super()``, unlike a test that is decorated
    with ``given``.

    :param strategy: The values to generate.
    :param check: A function that raises if the statement is false for a value.
    """
    loop = asyncio.get_running_loop()

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(strategy)
    def statement(value: Any) -> None:
        asyncio.run_coroutine_threadsafe(_await(check(value)), loop).result()

    await asyncio.to_thread(statement)


async def _await(awaitable: Awaitable[None]) -> None:
    await awaitable
