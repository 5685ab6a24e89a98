"""JSON, with a notation for what it has no words for.

Where JSON has no word for a value, an object of one member stands for it, whose name begins with
a dollar sign: ``{"$datetime": "2024-02-29T12:00:00+01:00"}``, ``{"$bytes": "<base64>"}``,
``{"$float": "nan"}`` and ``{"$int": "0x..."}`` for integers of thousands of digits. A dict that
looks like one of these gets one more dollar sign, so nothing is ever taken for something else.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

from .problem import DecodeError, decode_utf8

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["decode", "encode"]

_READERS: dict[str, Callable[[Any], Any]] = {
    "$bytes": lambda text: b64decode(text, validate=True),
    "$datetime": datetime.fromisoformat,
    "$float": float,
    "$int": lambda text: int(text, 16),
}


def encode(data: Any) -> bytes:
    """Write a value of the data model as indented JSON.

    :param data: the value.
    :raises UnicodeEncodeError: if a string in it is no Unicode text.
    :raises RecursionError: if it is nested too deeply.
    """
    return (json.dumps(_to_json(data), indent=2, ensure_ascii=False) + "\n").encode()


def decode(data: bytes) -> Any:
    """Read a JSON document.

    :param data: its bytes.
    :raises DecodeError: if it does not parse.
    """
    try:
        return json.loads(decode_utf8(data), object_hook=_from_json)
    except json.JSONDecodeError as e:
        raise DecodeError(e.msg, e.lineno, e.colno) from e
    except ValueError as e:  # a number of more digits than Python reads
        raise DecodeError(str(e)) from e
    except RecursionError as e:
        raise DecodeError("it is nested too deeply") from e


def _to_json(data: Any) -> Any:
    writer = _WRITERS.get(type(data))
    return data if writer is None else writer(data)


def _write_dict(data: dict[str, Any]) -> dict[str, Any]:
    written = {key: _to_json(value) for key, value in data.items()}
    if len(written) == 1 and (key := next(iter(written))).startswith("$"):
        return {"$" + key: written[key]}
    return written


def _write_float(data: float) -> Any:
    return data if isfinite(data) else {"$float": repr(data)}


def _write_int(data: int) -> Any:
    return data if data.bit_length() <= _LONG_INT else {"$int": hex(data)}


_LONG_INT = 2000
"""The bits from which an integer is written in hexadecimal, since Python limits the length of
decimals, to as few as 640 digits where a user says so."""

_WRITERS: dict[type, Callable[[Any], Any]] = {
    dict: _write_dict,
    list: lambda data: [_to_json(value) for value in data],
    datetime: lambda data: {"$datetime": data.isoformat()},
    bytes: lambda data: {"$bytes": b64encode(data).decode()},
    float: _write_float,
    int: _write_int,
}


def _from_json(found: dict[str, Any]) -> Any:
    if len(found) != 1:
        return found
    ((key, value),) = found.items()
    if key.startswith("$$"):
        return {key[1:]: value}
    reader = _READERS.get(key)
    if reader is None:
        return found
    try:
        return reader(value)
    except (ValueError, TypeError) as e:
        raise DecodeError(f"{value!r} is no valid {key}: {e}") from e
