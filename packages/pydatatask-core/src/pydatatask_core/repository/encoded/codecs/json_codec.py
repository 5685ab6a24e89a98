"""JSON, extended by a notation for values that it cannot represent.

Such a value is written as an object with one member, whose name begins with a dollar sign:
``{"$datetime": "2024-02-29T12:00:00+01:00"}``, ``{"$bytes": "<base64>"}``, ``{"$float": "nan"}``
and ``{"$int": "0x..."}`` for integers of thousands of digits. A dict that looks like one of these
is written with one more dollar sign, so the notation is unambiguous.

The other types of the data model have longer names, because MongoDB and others use ``$date`` and
``$set`` with their own meaning: ``{"$pydatatask.date": "2024-02-29"}``,
``{"$pydatatask.set": [1, 2]}``, ``{"$pydatatask.dict": [[1, "one"]]}`` for a dict with keys that
are not text, and ``{"$pydatatask.pairs": [["a", 1]]}`` for ordered pairs.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from datetime import date, datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import excerpt
from pydatatask_core.repository.data_model import MAX_DEPTH, SCALARS, sorted_members

from .decode_error import DecodeError, decode_utf8

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["decode", "encode"]

_CONTAINERS = (dict, list, set, tuple)
_SURROGATE_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}:,]|[^][{}:,"\s]+', re.DOTALL)


def encode(data: Any) -> bytes:
    """Encode a value of the data model as indented JSON.

    :param data: the value.
    :raises UnicodeEncodeError: if a string in it contains a surrogate pair as two characters, which
        every reader decodes as one.
    :raises RecursionError: if it is nested too deeply.
    """
    text = json.dumps(_to_json(data), indent=2, ensure_ascii=False) + "\n"
    try:
        return text.encode()
    except UnicodeEncodeError:
        if _SURROGATE_PAIR.search(text):
            raise
        # A lone surrogate is valid JSON as the escape sequence that this error handler writes.
        return text.encode(errors="backslashreplace")


class _RepeatedKeyError(Exception):
    pass


def decode(data: bytes) -> Any:
    """Decode a JSON document.

    :param data: its bytes.
    :raises DecodeError: if it cannot be parsed, has a duplicate key or is nested too deeply.
    """
    text = decode_utf8(data)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as e:
        raise DecodeError(e.msg, e.lineno, e.colno) from e
    except _RepeatedKeyError:
        raise _repeated_key(text) from None
    except ValueError as e:  # a number with more digits than Python parses
        raise DecodeError(str(e)) from e
    except RecursionError as e:
        raise DecodeError("it is nested too deeply") from e
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(value)
    return value


def _check_depth(value: Any) -> None:
    level = [value] if type(value) in _CONTAINERS else []
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for part in level:
            values = part.values() if type(part) is dict else part
            if not SCALARS.issuperset(map(type, values)):
                inner += [each for each in values if type(each) in _CONTAINERS]
        level = inner
        if not level:
            return
    raise DecodeError("it is nested too deeply")


def _repeated_key(text: str) -> DecodeError:
    """Return the error for the first duplicate key in an object, with its position.

    :param text: a document that parses at least to the end of such an object.
    """
    above: list[dict[str, int]] = []
    last, start = "", 0
    for token in _TOKEN.finditer(text):
        if token[0] in "{[":
            above.append({})
        elif token[0] in "}]":
            above.pop()
        elif token[0] == ":":
            key = json.loads(last)
            if key in above[-1]:
                first = text.count("\n", 0, above[-1][key]) + 1
                problem = f"the key {key!r} occurs twice, first in line {first}"
                return DecodeError.at(problem, text, start)
            above[-1][key] = start
        last, start = token[0], token.start()
    raise AssertionError("no key occurs twice")


# One frame per level: Python's own limit of frames is not much higher than MAX_DEPTH.
def _to_json(data: Any) -> Any:
    kind = type(data)
    if kind is dict:
        members = {}
        for key, value in data.items():
            if type(key) is not str:
                return _write_entries(data)
            members[key] = value if type(value) is str else _to_json(value)
        if len(members) == 1 and key.startswith("$"):
            return {"$" + key: members[key]}
        return members
    if kind is list:
        if data and type(data[0]) is tuple:
            return _write_pairs(data)
        items = []
        for value in data:
            items.append(value if type(value) is str else _to_json(value))  # noqa: PERF401 - one frame
        return items
    writer = _WRITERS.get(kind)
    return data if writer is None else writer(data)


def _write_entries(data: dict[Any, Any]) -> dict[str, Any]:
    return {"$pydatatask.dict": [[_to_json(key), _to_json(data[key])] for key in data]}


def _write_pairs(data: list[tuple[Any, Any]]) -> dict[str, Any]:
    return {"$pydatatask.pairs": [[_to_json(key), _to_json(value)] for key, value in data]}


def _write_set(data: set[Any]) -> dict[str, Any]:
    return {"$pydatatask.set": [_to_json(member) for member in sorted_members(data)]}


def _write_float(data: float) -> Any:
    return data if isfinite(data) else {"$float": repr(data)}


def _write_int(data: int) -> Any:
    return data if data.bit_length() <= _LONG_INT_BITS else {"$int": hex(data)}


_LONG_INT_BITS = 2000
"""Size in bits above which an integer is written in hexadecimal, because Python limits the length
of decimals, to as few as 640 digits if the user configures it so."""

_WRITERS: dict[type, Callable[[Any], Any]] = {
    set: _write_set,
    datetime: lambda data: {"$datetime": data.isoformat()},
    date: lambda data: {"$pydatatask.date": data.isoformat()},
    bytes: lambda data: {"$bytes": b64encode(data).decode()},
    float: _write_float,
    int: _write_int,
}


def _from_json(members: list[tuple[str, Any]]) -> Any:
    decoded = dict(members)
    if len(decoded) != len(members):
        raise _RepeatedKeyError
    if len(decoded) != 1:
        return decoded
    ((key, value),) = members
    if not key.startswith("$"):
        return decoded
    if key.startswith("$$"):
        return {key[1:]: value}
    reader = _READERS.get(key)
    if reader is None:
        return decoded
    try:
        return reader(value)
    except (ValueError, TypeError) as e:
        raise DecodeError(f"{excerpt(value)} is not a valid {key}: {e}") from e


def _read_dict(entries: list[Any]) -> dict[Any, Any]:
    result = dict(_read_pairs(entries))
    if len(result) != len(entries):
        raise ValueError("a key occurs twice")
    return result


def _read_pairs(entries: list[Any]) -> list[tuple[Any, Any]]:
    if not _is_list(entries) or not all(map(_is_list, entries)):
        raise TypeError("expected a list of lists of two")
    return [(key, value) for key, value in entries]


def _read_set(members: list[Any]) -> set[Any]:
    if not _is_list(members):
        raise TypeError("expected a list")
    result = set(members)
    if len(result) != len(members):
        raise ValueError("a member occurs twice")
    return result


def _is_list(data: object) -> bool:
    return type(data) is list


_READERS: dict[str, Callable[[Any], Any]] = {
    "$bytes": lambda text: b64decode(text, validate=True),
    "$datetime": datetime.fromisoformat,
    "$float": float,
    "$int": lambda text: int(text, 16),
    "$pydatatask.date": date.fromisoformat,
    "$pydatatask.dict": _read_dict,
    "$pydatatask.pairs": _read_pairs,
    "$pydatatask.set": _read_set,
}

_DECODER = json.JSONDecoder(object_pairs_hook=_from_json)
