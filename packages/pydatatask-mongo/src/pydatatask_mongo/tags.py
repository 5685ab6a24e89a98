"""How what BSON does not hold exactly is written down in what it does hold, and back.

Tags and escapes mean something only in a document that says at its top that it has them, so a
document without that is what it looks like, whoever has written it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TAG", "escape_key", "needs_escape", "tagged", "untagged"]

TAG = "_pydatatask"
"""The key that marks a sub-document as a value of ours; the kind of value is behind it."""

# What no server takes, and what FerretDB 1 stores so that it cannot be read any more.
_NEVER_PLAIN = re.compile(r"[.\0]|\A\$")
_NEVER_PLAIN_CAREFULLY = re.compile(r'[.\0-\x1f"\\]|\A\$')
# The escapes begin with a sign that is common in keys, so it is escaped itself only where it would
# be taken for one of them: "100%" stays as it is.
_CODES = "[01][0-9A-F]|2[245E]|5[CF]"
_ESCAPE = re.compile(f"%({_CODES})")
_OURS = rf"\A_(?={TAG[1:]}\Z)|%(?={_CODES})"
_OURS_AT_TOP = rf"\A_(?=id\Z)|{_OURS}"


def needs_escape(key: str, *, at_top: bool, careful: bool) -> bool:
    """Tell whether a key cannot stand in a document as it is.

    :param key: the key.
    :param at_top: whether it is one of the document itself, beside ``_id``.
    :param careful: whether the server is one that takes less than MongoDB does.
    """
    never = _NEVER_PLAIN_CAREFULLY if careful else _NEVER_PLAIN
    return never.search(key) is not None or (at_top and key in ("_id", TAG))


def escape_key(key: str, *, at_top: bool, careful: bool) -> str:
    """Write a key with escapes, such as ``a%2Eb`` for ``a.b``, where it cannot stand as it is.

    :param key: any key.
    :param at_top: whether it is one of the document itself, beside ``_id``.
    :param careful: whether the server is one that takes less than MongoDB does.
    """
    pattern = _escaped(at_top, careful)
    return pattern.sub(lambda match: f"%{ord(match[0]):02X}", key)


@cache
def _escaped(at_top: bool, careful: bool) -> re.Pattern[str]:
    never = _NEVER_PLAIN_CAREFULLY if careful else _NEVER_PLAIN
    return re.compile(f"{never.pattern}|{_OURS_AT_TOP if at_top else _OURS}")


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
