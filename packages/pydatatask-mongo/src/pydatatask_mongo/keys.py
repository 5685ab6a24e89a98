"""Keys of documents: the mark of pydatatask, and escapes for keys that servers do not support.

Marks and escapes are interpreted only in a document that is marked at the top. All other
documents, including those of other programs, are read literally.
"""

from __future__ import annotations

import re
from functools import cache

__all__ = ["TAG", "escape_key", "needs_escape", "unescape_key"]

TAG = "_pydatatask"
"""The key that marks a document or sub-document as encoded by pydatatask; its value is the kind."""

# Characters that no server accepts; the second pattern adds those that FerretDB 1 cannot read back.
_NEVER_PLAIN = re.compile(r"[.\0]|\A\$")
_NEVER_PLAIN_FERRETDB = re.compile(r'[.\0-\x1f"\\]|\A\$')
# The percent sign is common in keys, so it is escaped only where it would look like an escape:
# "100%" is kept.
_CODES = "[01][0-9A-F]|2[245E]|5[CF]"
_ESCAPE = re.compile(f"%({_CODES})")
_RESERVED = rf"\A_(?={TAG[1:]}\Z)|%(?={_CODES})"
_RESERVED_AT_TOP = rf"\A_(?=id\Z)|{_RESERVED}"


def needs_escape(key: str, *, at_top: bool, ferretdb_compatible: bool) -> bool:
    """Return whether a key cannot be used in a document without escapes.

    :param key: the key.
    :param at_top: whether it is a key of the document itself, beside ``_id``.
    :param ferretdb_compatible: whether to escape keys that FerretDB 1 does not support.
    """
    never = _NEVER_PLAIN_FERRETDB if ferretdb_compatible else _NEVER_PLAIN
    return never.search(key) is not None or (at_top and key in ("_id", TAG))


def escape_key(key: str, *, at_top: bool, ferretdb_compatible: bool) -> str:
    """Return a key with the necessary escapes, such as ``a%2Eb`` for ``a.b``.

    :param key: any key.
    :param at_top: whether it is a key of the document itself, beside ``_id``.
    :param ferretdb_compatible: whether to escape keys that FerretDB 1 does not support.
    """
    pattern = _escaped(at_top, ferretdb_compatible)
    return pattern.sub(lambda match: f"%{ord(match[0]):02X}", key)


@cache
def _escaped(at_top: bool, ferretdb_compatible: bool) -> re.Pattern[str]:
    never = _NEVER_PLAIN_FERRETDB if ferretdb_compatible else _NEVER_PLAIN
    return re.compile(f"{never.pattern}|{_RESERVED_AT_TOP if at_top else _RESERVED}")


def unescape_key(key: str) -> str:
    """Return the original of a key that :func:`escape_key` has escaped."""
    if "%" not in key:
        return key
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), key)
