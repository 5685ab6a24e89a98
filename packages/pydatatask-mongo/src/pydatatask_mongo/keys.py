"""Keys of documents: the one that is ours, and how those are written that no server takes.

Marks and escapes mean something only in a document that says at its top that it has them, so a
document without that is what it looks like, whoever has written it.
"""

from __future__ import annotations

import re
from functools import cache

__all__ = ["TAG", "escape_key", "needs_escape", "unescape_key"]

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
    if "%" not in key:
        return key
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), key)
