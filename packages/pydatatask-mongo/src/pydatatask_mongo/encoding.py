"""Values of metadata as documents: which is stored as what.

A dict whose parts BSON holds exactly becomes a document with just its keys beside ``_id``, so that
queries find what was dumped. Any other value becomes a document with a mark at the top.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from .keys import TAG, escape_key, needs_escape

__all__ = ["levels", "to_document"]

_INT64 = range(-(2**63), 2**63)


def to_document(job: str, value: Any, *, careful: bool = False) -> dict[str, Any]:
    """Make the document of a value.

    :param job: the key, which becomes ``_id``.
    :param value: a value of the data model of metadata.
    :param careful: whether the server is one that takes less than MongoDB does: no lists in lists,
        no floats that are not finite or a negative zero, fewer keys.
    """
    encoder = _Encoder(careful)
    if type(value) is not dict:
        return {"_id": job, TAG: "value", "value": encoder.encode(value)}
    if encoder.is_plain_dict(value, at_top=True):
        return {"_id": job, **value}
    return {"_id": job, TAG: "document", **encoder.encode_dict(value, at_top=True)}


def levels(value: Any) -> int:
    """Count how many documents and lists are in one another at most."""
    if type(value) is dict:
        return 1 + max(map(levels, value.values()), default=0)
    if type(value) is list:
        return 1 + max(map(levels, value), default=0)
    return 0


class _Encoder:
    """Encodes values for a kind of server."""

    def __init__(self, careful: bool) -> None:
        self._careful = careful

    def is_plain_dict(self, value: dict[str, Any], *, at_top: bool = False) -> bool:
        return all(
            not needs_escape(key, at_top=at_top, careful=self._careful) and self._is_plain(item)
            for key, item in value.items()
        )

    def encode_dict(self, value: dict[str, Any], *, at_top: bool = False) -> dict[str, Any]:
        return {
            escape_key(key, at_top=at_top, careful=self._careful): self.encode(item)
            for key, item in value.items()
        }

    def encode(self, value: Any) -> Any:
        if type(value) is dict:
            return self.encode_dict(value)
        if type(value) is list:
            items = [self.encode(item) for item in value]
            return [self._in_list(item) for item in items] if self._careful else items
        return value if self._is_plain(value) else _tagged(value)

    def _in_list(self, encoded: Any) -> Any:
        return _tagged(encoded) if type(encoded) is list else encoded

    def _is_plain(self, value: Any) -> bool:
        kind = type(value)
        if kind is int:
            return value in _INT64
        if kind is float:
            return not self._careful or (math.isfinite(value) and not _is_negative_zero(value))
        if kind is datetime:
            return not value.microsecond % 1000 and value.utcoffset() == timedelta()
        if kind is dict:
            return self.is_plain_dict(value)
        if kind is list:
            nested = self._careful and list in map(type, value)
            return not nested and all(map(self._is_plain, value))
        return True


def _is_negative_zero(value: float) -> bool:
    return value == 0 and math.copysign(1, value) < 0


def _tagged(value: int | float | datetime | list[Any]) -> dict[str, Any]:
    """Write down a value as a document from which it can be made again exactly.

    :param value: what BSON, or the server, would change; the items of a list are encoded already.
    """
    if isinstance(value, int):
        return {TAG: "int", "text": hex(value)}  # decimal text has a limit in Python
    if isinstance(value, float):
        return {TAG: "float", "text": repr(value)}
    if isinstance(value, list):
        return {TAG: "list", "items": value}
    document: dict[str, Any] = {TAG: "datetime", "text": value.isoformat()}
    try:
        # For queries; as if it were UTC where it does not say.
        naive = value.utcoffset() is None
        document["date"] = value.replace(tzinfo=UTC) if naive else value.astimezone(UTC)
    except OverflowError:
        pass  # within a day of the first or last that there is
    return document
