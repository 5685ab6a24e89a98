"""YAML, with PyYAML only if it is needed.

Flat mappings, such as the records of jobs, are encoded here: PyYAML takes ten times as long for
them, and they are most of what a pipeline writes.
"""

from __future__ import annotations

import re
from datetime import datetime
from math import isfinite
from typing import Any

__all__ = ["decode", "encode", "encode_flat"]

_MAX_INT = 1 << 63
_MAX_KEY_LENGTH = 100
"""The maximum length of a key that libyaml writes in one line is 128."""

_PLAIN = re.compile(r"(?:[A-Za-z/]|[0-9](?=[^/]*/))[A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
"""Text that needs no quotes in any version of YAML, unless it is one of the words below.

No number and no time contains a slash."""

_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def encode(data: Any) -> bytes:
    """Encode a value of the data model as a YAML document; see ``yaml_codec.encode``.

    :param data: the value.
    """
    if (lines := encode_flat(data)) is not None:
        return lines
    from . import yaml_codec

    return yaml_codec.encode(data)


def decode(data: bytes) -> Any:
    """Decode a YAML document; see ``yaml_loader.decode``.

    :param data: the document.
    """
    from . import yaml_codec

    return yaml_codec.decode(data)


def encode_flat(data: Any) -> bytes | None:
    """Encode a mapping of simple names to simple scalars, as the records of jobs are.

    The result has the same bytes as that of ``yaml_codec``.

    :param data: the value.
    :return: None if it is anything else.
    """
    if type(data) is not dict or not data:
        return None
    lines = []
    for key, value in data.items():
        if type(key) is not str or len(key) > _MAX_KEY_LENGTH or not _is_plain(key):
            return None
        kind = type(value)
        if kind is str and _is_plain(value):
            text = value
        elif kind is bool:
            text = "true" if value else "false"
        elif value is None:
            text = "null"
        elif kind is int and -_MAX_INT < value < _MAX_INT:
            text = str(value)
        elif kind is float and isfinite(value):
            text = repr(value)
            if "e" in text and "." not in text:
                text = text.replace("e", ".0e")  # otherwise YAML 1.1 reads a string
        elif kind is datetime:
            text = value.isoformat(" ")
        else:
            return None
        lines.append(f"{key}: {text}\n")
    return "".join(lines).encode()


def _is_plain(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None and text.lower() not in _WORDS
