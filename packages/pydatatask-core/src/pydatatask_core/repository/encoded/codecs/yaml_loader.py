"""Decoding of YAML as PyYAML's safe loader does, but without silent data loss and within limits."""

from __future__ import annotations

import re
from collections.abc import Hashable
from datetime import datetime
from functools import cache
from itertools import chain
from typing import Any

import yaml
from yaml import MappingNode, SafeLoader, ScalarNode, SequenceNode
from yaml.constructor import ConstructorError

from pydatatask_core.errors import excerpt
from pydatatask_core.repository.data_model import MAX_DEPTH

from .decode_error import DecodeError, decode_utf8

__all__ = ["MAX_EXPANDED_NODES", "TAG", "decode"]

MAX_EXPANDED_NODES = 1_000_000
"""The maximum number of values in a document with each alias replaced by a copy of its value."""

TAG = "tag:yaml.org,2002:"
_MERGE = TAG + "merge"

_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that are not allowed in YAML documents."""

_LONG_INDENTATION = re.compile(rf"^[ \t?:-]{{{MAX_DEPTH // 2}}}", re.MULTILINE)

_MAX_SEXAGESIMAL_DIGITS = 1000
"""Limit for integers such as 1:30:00, because the time to compute them grows quadratically."""


def decode(data: bytes) -> Any:
    """Decode a YAML document; return None if it is empty or has only comments.

    :param data: its bytes.
    :raises DecodeError: if it cannot be parsed, has a duplicate key or tags of Python objects, or
        exceeds a limit of depth or of aliases.
    """
    text = decode_utf8(data)
    try:
        _check_depth(text)
        loader = _loader()(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            if "*" in text and "&" in text:  # otherwise there is no alias
                _check_aliases(node)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        problem = ", ".join(part for part in (e.context, e.problem) if part)
        if "nesting depth" in problem:  # some releases of libyaml have their own limit
            problem = "it is nested too deeply"
        if mark is None:
            raise DecodeError(problem) from e
        raise DecodeError(problem, mark.line + 1, mark.column + 1) from e
    except yaml.reader.ReaderError as e:
        raise _unreadable_character(text, e) from e
    except RecursionError as e:
        raise DecodeError("it is nested too deeply") from e


def _check_depth(text: str) -> None:
    """Raise if the nesting is so deep that libyaml would overflow the stack of the process."""
    # The depth is at most the number of brackets, plus the indicators before a line's content.
    brackets = text.count("[") + text.count("{")
    if brackets < MAX_DEPTH and not _LONG_INDENTATION.search(text):
        return
    depth = 0
    for event in yaml.parse(text, Loader=_loader()):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                mark: Any = event.start_mark
                raise DecodeError("it is nested too deeply", mark.line + 1, mark.column + 1)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _check_aliases(root: Any) -> None:
    """Raise if aliases make a value contain itself, or make it too large or too deep."""
    nodes = _ExpandedNodes()
    size, depth = nodes.measure(root)
    problem = ""
    if size > MAX_EXPANDED_NODES and nodes.has_aliases:
        problem = f"with its aliases it has {size:,} values, more than {MAX_EXPANDED_NODES:,}"
    elif depth > MAX_DEPTH:
        problem = "with its aliases it is nested too deeply"
    if problem:
        raise DecodeError(problem, root.start_mark.line + 1, root.start_mark.column + 1)


class _ExpandedNodes:
    """Measures nodes as if each alias were a copy; visits each node once."""

    def __init__(self) -> None:
        self.has_aliases = False
        self._measured: dict[int, tuple[int, int]] = {}
        self._above: set[int] = set()

    def measure(self, node: Any) -> tuple[int, int]:
        """Return the number of nodes and of levels below and including a node."""
        if isinstance(node, ScalarNode):
            return 1, 0
        if id(node) in self._measured:
            self.has_aliases = True
            return self._measured[id(node)]
        if id(node) in self._above:
            raise _error("an alias is part of the value that it refers to", node)
        if len(self._above) >= MAX_DEPTH:
            raise _error("with its aliases it is nested too deeply", node)
        self._above.add(id(node))
        size, depth = 1, 0
        parts = chain.from_iterable(node.value) if isinstance(node, MappingNode) else node.value
        for part in parts:
            inner_size, inner_depth = self.measure(part)
            size += inner_size
            depth = max(depth, inner_depth)
        self._above.discard(id(node))
        self._measured[id(node)] = (size, depth + 1)
        return size, depth + 1


def _unreadable_character(text: str, error: Any) -> DecodeError:
    match = _UNREADABLE.search(text)
    return DecodeError.at(error.reason, text, match.start() if match else len(text))


@cache
def _loader() -> Any:
    safe: Any = SafeLoader
    methods = {"construct_mapping": _construct_mapping, "flatten_mapping": _flatten_mapping}
    loader: Any = type("MetadataLoader", (getattr(yaml, "CSafeLoader", safe),), methods)
    for kind, construct in (
        ("bool", safe.construct_yaml_bool),
        ("int", _construct_int),
        ("float", safe.construct_yaml_float),
        ("binary", safe.construct_yaml_binary),
        ("timestamp", _construct_timestamp),
    ):
        loader.add_constructor(TAG + kind, _with_location(construct, kind))
    # A plain "=" is an ordinary string everywhere but in YAML 1.1, and PyYAML cannot construct it.
    loader.add_constructor(TAG + "value", safe.construct_yaml_str)
    return loader


def _construct_mapping(loader: Any, node: Any, deep: bool = False) -> dict[Any, Any]:
    mapping: dict[Any, Any] = SafeLoader.construct_mapping(loader, node, deep=deep)
    if len(mapping) != len(node.value):
        _entries(loader, node)  # raises an error with the key
    return mapping


def _flatten_mapping(loader: Any, node: Any) -> None:
    """Replace ``<<: *base`` by the entries of the base that the mapping does not define itself."""
    if not any(key.tag == _MERGE for key, _ in node.value):
        return
    bases, *repeated = [entry for entry in node.value if entry[0].tag == _MERGE]
    if repeated:
        raise _error("the key '<<' occurs twice; write <<: [*one, *other]", repeated[0][0])
    node.value = [entry for entry in node.value if entry[0].tag != _MERGE]
    merged: dict[Any, Any] = {}
    for base in reversed(_merged_nodes(bases[1])):
        loader.flatten_mapping(base)
        merged |= _entries(loader, base)
    node.value = list((merged | _entries(loader, node)).values())


def _merged_nodes(node: Any) -> list[Any]:
    nodes = node.value if isinstance(node, SequenceNode) else [node]
    for each in nodes:
        if not isinstance(each, MappingNode):
            raise _error("expected a mapping, or a list of mappings, to merge", each)
    return list(nodes)


def _entries(loader: Any, node: Any) -> dict[Any, tuple[Any, Any]]:
    """Return the entries of a mapping, each a key node and a value node, by the key's value."""
    entries: dict[Any, tuple[Any, Any]] = {}
    for entry in node.value:
        key = loader.construct_object(entry[0], deep=True)
        if not isinstance(key, Hashable):
            raise _error("found unhashable key", entry[0])
        if key in entries:
            first = entries[key][0].start_mark.line + 1
            raise _error(f"the key {excerpt(key)} occurs twice, first in line {first}", entry[0])
        entries[key] = entry
    return entries


def _construct_int(loader: Any, node: Any) -> int:
    text = loader.construct_scalar(node)
    if text.count(":") >= _MAX_SEXAGESIMAL_DIGITS:
        raise ValueError(f"more than {_MAX_SEXAGESIMAL_DIGITS} sexagesimal digits")
    number: int = loader.construct_yaml_int(node)
    return number


def _construct_timestamp(loader: Any, node: Any) -> Any:
    text = loader.construct_scalar(node)
    if loader.timestamp_regexp.match(text):
        return loader.construct_yaml_timestamp(node)
    # YAML cannot represent a UTC offset with seconds, so it is written with an explicit tag.
    return datetime.fromisoformat(text)


def _with_location(construct: Any, kind: str) -> Any:
    """Add the position in the text to errors of converting a scalar, such as month 13."""

    def constructor(loader: Any, node: Any) -> Any:
        try:
            return construct(loader, node)
        except (ValueError, LookupError, OverflowError) as e:
            problem = f": {e}" if isinstance(e, ValueError) else ""
            raise _error(f"{excerpt(node.value)} is not a valid {kind}{problem}", node) from e

    return constructor


def _error(problem: str, node: Any) -> Exception:
    error: Exception = ConstructorError(None, None, problem, node.start_mark)
    return error
