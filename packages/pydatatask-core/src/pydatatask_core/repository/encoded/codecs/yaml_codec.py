"""YAML 1.1 as PyYAML implements it, with libyaml if PyYAML was built with it.

Decoding is in :mod:`.yaml_loader`, encoding here.
"""

from __future__ import annotations

import re
from functools import cache
from io import BytesIO
from typing import Any

import yaml
from yaml import MappingNode, SequenceNode

from pydatatask_core.repository.data_model import sorted_members

from .yaml_loader import TAG, decode

__all__ = ["decode", "encode"]

_ESCAPED = re.compile(
    "[^\t\n\x20-\x7e\xa0-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|[\u2028\u2029]"
)
"""Characters that some YAML implementation drops or treats as a line break."""

_NUMBER_IN_1_2 = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|0o[0-7]+")
"""Text that YAML 1.2 reads as a number: quoted, so that readers of both versions agree."""


def encode(data: Any) -> bytes:
    """Encode a value of the data model as a YAML document.

    :param data: the value.
    :raises UnicodeEncodeError: if a string in it is not valid Unicode.
    :raises RecursionError: if it is nested too deeply.
    """
    stream = BytesIO()
    dumper = _dumper()(stream, encoding="utf-8", allow_unicode=True, width=1_000_000_000)
    try:
        dumper.open()
        dumper.serialize(_node(dumper, data))
        dumper.close()
    finally:
        dumper.dispose()
    return stream.getvalue()


# Replaces PyYAML's own recursion, which uses three frames per level and twice the time. An object
# that occurs twice is written twice, because anchors are hard to read.
def _node(dumper: Any, data: Any) -> Any:
    kind = type(data)
    if kind is dict:
        entries = []
        for key, value in data.items():
            entries.append((_node(dumper, key), _node(dumper, value)))
        return MappingNode(TAG + "map", entries, flow_style=False)
    if kind is list and not (data and type(data[0]) is tuple):
        items = []
        for item in data:
            items.append(_node(dumper, item))  # noqa: PERF401 - would need another frame
        return SequenceNode(TAG + "seq", items, flow_style=False)
    if kind is list:
        pairs = []
        for key, value in data:
            pair = [(_node(dumper, key), _node(dumper, value))]
            pairs.append(MappingNode(TAG + "map", pair, flow_style=False))
        return SequenceNode(TAG + "pairs", pairs, flow_style=False)
    if kind is set:
        entries = [(_node(dumper, member), _node(dumper, None)) for member in sorted_members(data)]
        return MappingNode(TAG + "set", entries, flow_style=False)
    return dumper.yaml_representers[kind](dumper, data)


@cache
def _dumper() -> Any:
    dumper: Any = type("MetadataDumper", (getattr(yaml, "CSafeDumper", yaml.SafeDumper),), {})
    dumper.add_representer(str, _represent_str)
    dumper.add_representer(int, _represent_int)
    return dumper


def _represent_str(dumper: Any, text: str) -> Any:
    text.encode()  # raises for a lone surrogate, which libyaml and PyYAML treat differently
    style = None
    if _ESCAPED.search(text):
        style = '"'
    elif "\n" in text:
        style = "|"  # keeps the lines readable if possible, for example of a traceback
    elif _NUMBER_IN_1_2.fullmatch(text):
        style = "'"
    return dumper.represent_scalar(TAG + "str", text, style)


def _represent_int(dumper: Any, number: int) -> Any:
    try:
        digits = str(number)
    except ValueError:
        digits = hex(number)  # Python limits the length of decimals, not of hexadecimals
    return dumper.represent_scalar(TAG + "int", digits)
