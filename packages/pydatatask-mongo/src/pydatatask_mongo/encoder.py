"""Encoding of metadata values as documents.

A dict that BSON can store exactly becomes a document of its keys and ``_id``, so that queries can
find it. Any other value becomes a document with a mark at the top.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from bson import (
    Binary,
    Code,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from bson.datetime_ms import DatetimeMS

from pydatatask_core.repository.data_model import sorted_members

from .keys import TAG, escape_key, needs_escape

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["NATIVE", "nesting_depth", "to_document"]

NATIVE: frozenset[type] = frozenset(
    {Binary, Code, DBRef, DatetimeMS, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp}
)
"""BSON types outside the data model, which documents of other programs contain; kept unchanged."""

_INT64 = range(-(2**63), 2**63)


def to_document(job: str, value: Any, *, ferretdb_compatible: bool = False) -> dict[str, Any]:
    """Return the document of a value.

    :param job: the job, which becomes ``_id``.
    :param value: a value of the metadata data model.
    :param ferretdb_compatible: whether to avoid values that FerretDB 1 does not support: lists in
        lists, non-finite floats, negative zeros and some keys.
    """
    encoder = _Encoder(ferretdb_compatible)
    if type(value) is not dict or not _has_texts_for_keys(value):
        return {"_id": job, TAG: "value", "value": encoder.encode(value)}
    if encoder.is_plain_dict(value, at_top=True):
        return {"_id": job, **value}
    return {"_id": job, TAG: "document", **encoder.encode_dict(value, at_top=True)}


def nesting_depth(value: Any) -> int:
    """Return the maximum nesting depth of documents and lists in a value."""
    if type(value) is dict:
        return 1 + max(map(nesting_depth, value.values()), default=0)
    if type(value) is list:
        return 1 + max(map(nesting_depth, value), default=0)
    return 0


class _Encoder:
    """An encoder of values for MongoDB or, if ``careful``, for FerretDB 1."""

    def __init__(self, ferretdb_compatible: bool) -> None:
        self._ferretdb_compatible = ferretdb_compatible

    def is_plain_dict(self, value: dict[str, Any], *, at_top: bool = False) -> bool:
        return all(
            not needs_escape(key, at_top=at_top, ferretdb_compatible=self._ferretdb_compatible)
            and self._is_plain(item)
            for key, item in value.items()
        )

    def encode_dict(self, value: dict[str, Any], *, at_top: bool = False) -> dict[str, Any]:
        return {
            escape_key(
                key, at_top=at_top, ferretdb_compatible=self._ferretdb_compatible
            ): self.encode(item)
            for key, item in value.items()
        }

    def encode(self, value: Any) -> Any:
        kind = type(value)
        if kind is dict:
            return self.encode_dict(value) if _has_texts_for_keys(value) else self._entries(value)
        if kind is list and value and type(value[0]) is tuple:
            return self._tagged_pairs("pairs", value)
        if kind is list:
            return self._items(value)
        if kind is set:
            return {TAG: "set", "items": self._items(sorted_members(value))}
        return value if self._is_plain(value) else _tagged(value)

    def _items(self, values: Iterable[Any]) -> list[Any]:
        items = [self.encode(item) for item in values]
        return [self._in_list(item) for item in items] if self._ferretdb_compatible else items

    def _entries(self, value: dict[Any, Any]) -> dict[str, Any]:
        return self._tagged_pairs("dict", value.items())

    def _tagged_pairs(self, kind: str, pairs: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
        keys, values = zip(*pairs, strict=True)
        return {TAG: kind, "keys": self._items(keys), "values": self._items(values)}

    def _in_list(self, encoded: Any) -> Any:
        return _tagged(encoded) if type(encoded) is list else encoded

    def _is_plain(self, value: Any) -> bool:
        kind = type(value)
        if kind is int:
            return value in _INT64
        if kind is float:
            return not self._ferretdb_compatible or (
                math.isfinite(value) and not _is_negative_zero(value)
            )
        if kind is datetime:
            return not value.microsecond % 1000 and value.utcoffset() == timedelta()
        if kind is dict:
            return _has_texts_for_keys(value) and self.is_plain_dict(value)
        if kind is list:
            kinds = set(map(type, value))
            nested = tuple in kinds or (self._ferretdb_compatible and list in kinds)
            return not nested and all(map(self._is_plain, value))
        return kind is not set and kind is not date


def _has_texts_for_keys(value: dict[Any, Any]) -> bool:
    return all(type(key) is str for key in value)


def _is_negative_zero(value: float) -> bool:
    return value == 0 and math.copysign(1, value) < 0


def _tagged(value: int | float | date | datetime | list[Any]) -> dict[str, Any]:
    """Return a marked document from which a value can be restored exactly.

    :param value: a value that BSON or the server would change; items of a list must be encoded.
    """
    if isinstance(value, int):
        return {TAG: "int", "text": hex(value)}  # Python limits the length of decimal text
    if isinstance(value, float):
        return {TAG: "float", "text": repr(value)}
    if isinstance(value, list):
        return {TAG: "list", "items": value}
    if not isinstance(value, datetime):
        midnight = datetime.combine(value, time(), UTC)
        return {TAG: "date", "text": value.isoformat(), "date": midnight}  # "date" is for queries
    document: dict[str, Any] = {TAG: "datetime", "text": value.isoformat()}
    try:
        # For queries; a datetime without a time zone is taken as UTC.
        naive = value.utcoffset() is None
        document["date"] = value.replace(tzinfo=UTC) if naive else value.astimezone(UTC)
    except OverflowError:
        pass  # within a day of datetime.min or datetime.max
    return document
