"""Documents as values of metadata: what :mod:`~pydatatask_mongo.encoding` has written, and others.

Whole collections go through this, so it does nothing to what needs nothing.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from bson.int64 import Int64

from .keys import TAG, unescape_key

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["from_document"]

_DONE = frozenset({type(None), bool, int, float, str, bytes})
_START = datetime(1970, 1, 1)
_START_UTC = datetime(1970, 1, 1, tzinfo=UTC)


def from_document(document: dict[str, Any]) -> Any:
    """Give the value of a document, which may be changed and become part of it.

    What others have written, and BSON types that are no metadata, is left as it is.

    :param document: as read, with dates without a zone; its ``_id`` is no part of the value.
    :raises ValueError: if it has a mark of ours and is nothing that we write.
    """
    document.pop("_id", None)
    if TAG not in document:
        if not _DONE.issuperset(map(type, document.values())):
            _mend_dict(document)
        return document
    kind = document.pop(TAG)
    if kind == "document":
        return _untagged(document)
    if kind == "value" and "value" in document:
        return _untagged(document["value"])
    raise ValueError(f"the document is marked {TAG}: {kind!r}, which this version does not know")


def _mend_dict(container: dict[str, Any]) -> None:
    for key, value in container.items():
        if type(value) not in _DONE:
            container[key] = _mended(value)


def _mend_list(container: list[Any]) -> None:
    if not _DONE.issuperset(map(type, container)):
        container[:] = [value if type(value) in _DONE else _mended(value) for value in container]


def _mended(value: Any) -> Any:
    """Make of a value what was written: dates have a zone, and there is one type of int."""
    kind = type(value)
    if kind is datetime:
        return _START_UTC + (value - _START)  # ten times as fast as replace(tzinfo=UTC)
    if kind is dict:
        _mend_dict(value)
    elif kind is list:
        _mend_list(value)
    elif kind is Int64:
        return int(value)
    return value


def _untagged(value: Any) -> Any:
    """Give back the value that was encoded, all the way down."""
    kind = type(value)
    if kind is dict:
        if TAG in value:
            return _read(value)
        return {
            unescape_key(key): item if type(item) in _DONE else _untagged(item)
            for key, item in value.items()
        }
    if kind is list:
        return [item if type(item) in _DONE else _untagged(item) for item in value]
    return value if kind in _DONE else _mended(value)


def _read(document: dict[str, Any]) -> Any:
    kind = document[TAG]
    if not isinstance(kind, str) or kind not in _READERS:
        raise ValueError(f"{document!r} is marked as {kind!r}, which this version does not know")
    try:
        return _READERS[kind](document)
    except (KeyError, TypeError, ValueError) as e:
        raise ValueError(f"{document!r} is no {kind} as pydatatask writes it") from e


def _pairs(document: dict[str, Any]) -> list[tuple[Any, Any]]:
    return list(zip(_untagged(document["keys"]), _untagged(document["values"]), strict=True))


_READERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "date": lambda document: date.fromisoformat(document["text"]),
    "datetime": lambda document: datetime.fromisoformat(document["text"]),
    "dict": lambda document: dict(_pairs(document)),
    "float": lambda document: float(document["text"]),
    "int": lambda document: int(document["text"], 16),
    "list": lambda document: _untagged(document["items"]),
    "pairs": _pairs,
    "set": lambda document: set(_untagged(document["items"])),
}
