"""How what BSON does not hold exactly is written down in what it does hold, and back.

Tags and escapes mean something only in a document that says at its top that it has them, so a
document without that is what it looks like, whoever has written it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TAG", "escape_key", "needs_escape", "tagged", "untagged"]

TAG = "_pydatatask"
"""The key that marks a sub-document as a value of ours; the kind of value is behind it."""

_NEVER_PLAIN = re.compile(r"[.\0]|\A\$")
# The escapes begin with a sign that is common in keys, so it is escaped itself only where it would
# be taken for one of them: "100%" stays as it is.
_ESCAPED = re.compile(rf"[.\0]|\A\$|\A_(?={TAG[1:]}\Z)|%(?=(?:00|24|25|2E|5F))")
_ESCAPED_AT_TOP = re.compile(rf"{_ESCAPED.pattern}|\A_(?=id\Z)")
_ESCAPE = re.compile("%(00|24|25|2E|5F)")


def needs_escape(key: str, *, at_top: bool) -> bool:
    """Tell whether a key cannot stand in a document as it is.

    :param key: the key.
    :param at_top: whether it is one of the document itself, beside ``_id``.
    """
    return _NEVER_PLAIN.search(key) is not None or (at_top and key in ("_id", TAG))


def escape_key(key: str, *, at_top: bool = False) -> str:
    """Write a key without a dot, a NUL or a leading dollar, none of which a server takes.

    :param key: any key.
    :param at_top: whether it is one of the document itself, beside ``_id``.
    """
    pattern = _ESCAPED_AT_TOP if at_top else _ESCAPED
    return pattern.sub(lambda match: f"%{ord(match[0]):02X}", key)


def unescape_key(key: str) -> str:
    """Give back the key that :func:`escape_key` was given."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), key)


def tagged(value: int | float | datetime | list[Any]) -> dict[str, Any]:
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


def untagged(value: Any) -> Any:
    """Give back the value that was encoded, all the way down.

    :param value: a value of a document that says that it has tags.
    :raises ValueError: if it is nothing that we write.
    """
    if isinstance(value, list):
        return [untagged(item) for item in value]
    if not isinstance(value, dict):
        return value
    if TAG not in value:
        return {unescape_key(key): untagged(item) for key, item in value.items()}
    kind = value[TAG]
    if not isinstance(kind, str) or kind not in _READERS:
        raise ValueError(f"{value!r} is marked as {kind!r}, which this version does not know")
    try:
        return _READERS[kind](value)
    except (KeyError, TypeError, ValueError) as e:
        raise ValueError(f"{value!r} is no {kind} as pydatatask writes it") from e


_READERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "datetime": lambda document: datetime.fromisoformat(document["text"]),
    "float": lambda document: float(document["text"]),
    "int": lambda document: int(document["text"], 16),
    "list": lambda document: untagged(document["items"]),
}
