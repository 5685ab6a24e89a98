"""The data model of metadata, which all stores share.

:func:`to_data_model` checks a value before it is written, and converts NumPy's numbers, which
differ only in type. This module is independent of any format.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Awaitable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import UnsupportedValueError, excerpt

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet


__all__ = ["MAX_DEPTH", "SCALARS", "copy_metadata", "sorted_members", "to_data_model"]

MAX_DEPTH = 500
"""The maximum nesting depth of lists, dicts, sets and pairs.

The same limit applies to writing and reading, so every value that can be written can be read, and
vice versa.
"""

SCALARS: frozenset[type] = frozenset({type(None), bool, int, float, str, bytes, date, datetime})
"""The types of values without parts. Keys of dicts and members of sets have only these types."""


def _is_pairs(data: list[Any]) -> bool:
    """Return True if a list consists of ordered pairs (2-tuples), such as YAML's ``!!omap``."""
    return bool(data) and all(type(item) is tuple and len(item) == 2 for item in data)  # noqa: PLR2004


def to_data_model(
    job: str, repository: object, data: Any, native: AbstractSet[type] = frozenset()
) -> Any:
    """Check a value before it is written; return it with NumPy's numbers converted to Python's.

    :param job: the job of the value, for the message.
    :param repository: the repository that it will be written to.
    :param data: the value, which is not changed.
    :param native: types without parts that the store supports in addition to the data model.
    :raises UnsupportedValueError: if the value would not be read back equal; the message names the
        unsupported part and its conversion.
    """
    try:
        return _Conversion(native).convert(data)
    except _RefusedError as e:
        path = "".join(reversed(e.path))
        raise UnsupportedValueError(job, repository, f"value{path} {e.problem}") from None
    except RecursionError:
        raise UnsupportedValueError(job, repository, "value is nested too deeply") from None


class _RefusedError(Exception):
    """A part of a value is unsupported; the path to it is collected while unwinding."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path: list[str] = []


class _Conversion:
    """Converts one value. Containers are copied only if a part of them is converted."""

    def __init__(self, native: AbstractSet[type]) -> None:
        self._scalars = SCALARS | native if native else SCALARS
        self._above: set[int] = set()

    # One frame per level: Python's own limit of frames is not much higher than MAX_DEPTH.
    def convert(self, data: Any) -> Any:
        kind = type(data)
        if kind in self._scalars:
            return data
        if kind is not dict and kind is not list:
            return self._members(data) if kind is set else _convert_other(data)
        self._enter(data)
        result = self._with_keys(data) if kind is dict else data
        if self._scalars.issuperset(map(type, result.values() if kind is dict else result)):
            self._above.discard(id(data))
            return result
        if kind is list and _is_pairs(data):
            return self._pairs(data)
        for key, value in list(result.items() if kind is dict else enumerate(result)):
            try:
                converted = self.convert(value)
            except _RefusedError as e:
                e.path.append(f"[{excerpt(key)}]")
                raise
            if converted is not value:
                if result is data:
                    result = data.copy()
                result[key] = converted
        self._above.discard(id(data))
        return result

    def _enter(self, data: Any) -> None:
        if id(data) in self._above:
            raise _RefusedError("contains itself")
        if len(self._above) >= MAX_DEPTH:
            raise _RefusedError(f"is nested too deeply: more than {MAX_DEPTH} levels")
        self._above.add(id(data))

    def _pairs(self, data: list[Any]) -> list[Any]:
        result = data
        for index, pair in enumerate(data):
            self._enter(pair)
            try:
                position = 0
                key = self.convert(pair[0])
                position = 1
                value = self.convert(pair[1])
            except _RefusedError as e:
                e.path += (f"[{position}]", f"[{index}]")
                raise
            self._above.discard(id(pair))
            if key is not pair[0] or value is not pair[1]:
                result = data.copy() if result is data else result
                result[index] = (key, value)
        self._above.discard(id(data))
        return result

    def _with_keys(self, data: dict[Any, Any]) -> dict[Any, Any]:
        if SCALARS.issuperset(map(type, data)):
            return data
        return {_hashable(key, "key"): value for key, value in data.items()}

    def _members(self, data: set[Any]) -> set[Any]:
        self._enter(data)
        self._above.discard(id(data))
        if SCALARS.issuperset(map(type, data)):
            return data
        return {_hashable(member, "member") for member in data}


def _hashable(data: Any, role: str) -> Any:
    converted = _from_numpy(data)
    if type(converted) in SCALARS:
        return converted
    raise _RefusedError(f"has the {role} {excerpt(data)}, {_refusal(data)}")


def _convert_other(data: Any) -> Any:
    converted = _from_numpy(data)
    if type(converted) in SCALARS:
        return converted
    raise _RefusedError(f"is {_refusal(data)}")


def _numpy(name: str) -> Any:
    """Return a class of NumPy, or one without instances if NumPy has not been imported."""
    return getattr(sys.modules.get("numpy"), name, _NotImported)


class _NotImported:
    pass


def _from_numpy(data: Any) -> Any:
    """Convert a number, boolean or string of NumPy; return any other object unchanged."""
    # Subclasses of arrays are excluded, because their values may be masked.
    is_numpy = isinstance(data, _numpy("generic")) or type(data) is _numpy("ndarray")
    return data.item() if is_numpy and data.ndim == 0 and data.dtype.kind in "biufSU" else data


def _refusal(data: Any) -> str:
    kind = type(data)
    name = kind.__qualname__ if kind.__module__ == "builtins" else _full_name(kind)
    article = "an" if name[0] in "aeioAEIO" else "a"
    return f"{article} {name}, which metadata cannot hold; {_advice(data)}"


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _advice(data: Any) -> str:
    return (
        "await it first" if isinstance(data, Awaitable) else f"convert it with {_conversion(data)}"
    )


def _conversion(data: Any) -> str:
    if isinstance(data, _numpy("generic")):
        return _NUMPY_CONVERSIONS.get(data.dtype.kind, "str(...)")
    if isinstance(data, Enum):
        return ".value"
    if not isinstance(data, type):
        if hasattr(data, "__dataclass_fields__"):
            return "dataclasses.asdict(...)"
        for method in ("_asdict", "tolist", "to_dict", "model_dump", "to_pydatetime"):
            if hasattr(data, method):
                return f".{method}()"
    return next(
        (conversion for kinds, conversion in _CONVERSIONS if isinstance(data, kinds)), "str(...)"
    )


_NUMPY_CONVERSIONS = {
    "f": "float(...)",  # numpy.longdouble is not a float
    "M": ".astype('datetime64[us]').item()",
    "m": ".astype('timedelta64[us]').item().total_seconds()",
    "V": ".tolist()",
}

_CONVERSIONS: tuple[tuple[Any, str], ...] = (
    (str, "str(...)"),
    (int, "int(...)"),
    (float, "float(...)"),
    (bytes | bytearray | memoryview, "bytes(...)"),
    (frozenset, "set(...)"),
    (Mapping, "dict(...)"),
    (datetime | date | time, ".isoformat()"),
    (timedelta, ".total_seconds()"),
    (Iterable, "list(...)"),
)


def sorted_members(data: set[Any]) -> list[Any]:
    """Return the members of a set in a fixed order, so that equal sets are written equally.

    :param data: a set of the data model.
    """
    return sorted(data, key=_order)


def _order(member: Any) -> tuple[str, Any]:
    # `repr` of an integer of thousands of digits raises, and a set may contain such integers.
    return type(member).__name__, member if type(member) is int else repr(member)


def copy_metadata(data: Any) -> Any:
    """Return a deep copy of dicts, lists, sets and tuples; other objects are shared."""
    kind = type(data)
    if kind is dict or kind is list:
        copied = data.copy()
        # Most values are flat, and are done here, in a third of the time of a comprehension.
        for value in copied.values() if kind is dict else copied:
            if type(value) not in SCALARS:
                return _copy_nested(data)
        return copied
    return data if kind in SCALARS else _copy_other(data)


def _copy_nested(data: Any) -> Any:
    if type(data) is dict:
        return {key: copy_metadata(value) for key, value in data.items()}
    return [copy_metadata(value) for value in data]


def _copy_other(data: Any) -> Any:
    if type(data) is tuple:
        return tuple(copy_metadata(value) for value in data)
    if not isinstance(data, dict | list | set | bytearray | deque):
        return data
    from copy import copy  # rarely needed, and the time of `import pydatatask` is limited

    copied: Any = copy(data)
    if isinstance(data, dict | list | deque):
        for key, value in list(data.items() if isinstance(data, dict) else enumerate(data)):
            if type(value) not in SCALARS:
                copied[key] = copy_metadata(value)
    return copied
