"""YAML 1.1 as PyYAML reads it, with libyaml where PyYAML was built with it."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from typing import Any

from .problem import DecodeError, decode_utf8

__all__ = ["decode", "encode"]

_ESCAPED = re.compile(
    "[^\t\n\x20-\x7e\xa0-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|[\u2028\u2029]"
)
"""Characters that some reader or writer of YAML takes for a line's end, or drops."""

_NUMBER_IN_1_2 = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|0o[0-7]+")
"""Text that YAML 1.2 takes for a number: quoted, so that readers of both versions agree."""

_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that may stand in no YAML document."""

_MAX_DEPTH = 500
_LONG_INDENTATION = re.compile(rf"^[ \t?:-]{{{_MAX_DEPTH // 2}}}", re.MULTILINE)

_TAG = "tag:yaml.org,2002:"


def encode(data: Any) -> bytes:
    """Write a value of the data model as a YAML document.

    :param data: the value.
    :raises UnicodeEncodeError: if a string in it is no Unicode text.
    :raises RecursionError: if it is nested too deeply.
    """
    import yaml

    encoded: bytes = yaml.dump(
        data,
        Dumper=_dumper(),
        encoding="utf-8",
        allow_unicode=True,
        default_flow_style=False,
        sort_keys=False,
        width=1_000_000_000,
    )
    return encoded


def decode(data: bytes) -> Any:
    """Read a YAML document; an empty one, or one of comments only, is None.

    :param data: its bytes.
    :raises DecodeError: if it does not parse, or has tags of another kind than data.
    """
    import yaml

    text = decode_utf8(data)
    try:
        _check_depth(text)
        loader = _loader()(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        problem = ", ".join(part for part in (e.context, e.problem) if part)
        if "nesting depth" in problem:  # some releases of libyaml have a limit of their own
            problem = "it is nested too deeply"
        if mark is None:
            raise DecodeError(problem) from e
        raise DecodeError(problem, mark.line + 1, mark.column + 1) from e
    except yaml.reader.ReaderError as e:
        raise _unreadable_character(text, e) from e
    except RecursionError as e:
        raise DecodeError("it is nested too deeply") from e


def _check_depth(text: str) -> None:
    """Refuse what is nested so deeply that libyaml would overflow the stack of the process."""
    import yaml

    # No document is nested deeper than it has brackets, and indicators before a line's content.
    brackets = text.count("[") + text.count("{")
    if brackets < _MAX_DEPTH and not _LONG_INDENTATION.search(text):
        return
    depth = 0
    for event in yaml.parse(text, Loader=_loader()):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                mark: Any = event.start_mark
                raise DecodeError("it is nested too deeply", mark.line + 1, mark.column + 1)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _unreadable_character(text: str, error: Any) -> DecodeError:
    found = _UNREADABLE.search(text)
    return DecodeError.at(error.reason, text, found.start() if found else len(text))


@cache
def _dumper() -> Any:
    import yaml

    dumper: Any = type("MetadataDumper", (getattr(yaml, "CSafeDumper", yaml.SafeDumper),), {})
    # What occurs twice is written twice: an anchor is a riddle to who reads the file.
    dumper.ignore_aliases = lambda self, data: True
    dumper.add_representer(str, _represent_str)
    dumper.add_representer(int, _represent_int)
    return dumper


def _represent_str(dumper: Any, text: str) -> Any:
    text.encode()  # refuses a lone surrogate, which libyaml and PyYAML treat differently
    style = None
    if _ESCAPED.search(text):
        style = '"'
    elif "\n" in text:
        style = "|"  # lines as they are, where they can stand like that; a traceback say
    elif _NUMBER_IN_1_2.fullmatch(text):
        style = "'"
    return dumper.represent_scalar(_TAG + "str", text, style)


def _represent_int(dumper: Any, number: int) -> Any:
    try:
        digits = str(number)
    except ValueError:
        digits = hex(number)  # Python limits the length of decimals, not of hexadecimals
    return dumper.represent_scalar(_TAG + "int", digits)


@cache
def _loader() -> Any:
    import yaml

    loader: Any = type("MetadataLoader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
    for kind in ("bool", "int", "float", "binary"):
        construct = getattr(yaml.SafeLoader, f"construct_yaml_{kind}")
        loader.add_constructor(_TAG + kind, _located(construct, kind))
    loader.add_constructor(_TAG + "timestamp", _located(_construct_timestamp, "timestamp"))
    # A plain "=" is a string like any other to everybody but YAML 1.1, and PyYAML reads it not.
    loader.add_constructor(_TAG + "value", yaml.SafeLoader.construct_yaml_str)
    return loader


def _construct_timestamp(loader: Any, node: Any) -> Any:
    text = loader.construct_scalar(node)
    if loader.timestamp_regexp.match(text):
        return loader.construct_yaml_timestamp(node)
    # An offset from UTC with seconds in it is beyond YAML, so it is written with an explicit tag.
    return datetime.fromisoformat(text)


def _located(construct: Any, kind: str) -> Any:
    """Give a failure to make a value of a scalar, such as month 13, its place in the text."""

    def constructor(loader: Any, node: Any) -> Any:
        try:
            return construct(loader, node)
        except (ValueError, LookupError, OverflowError) as e:
            from yaml.constructor import ConstructorError

            why = f": {e}" if isinstance(e, ValueError) else ""
            raise ConstructorError(
                None, None, f"{node.value!r} is no valid {kind}{why}", node.start_mark
            ) from e

    return constructor
