"""Everything that is printed goes through here: lines, JSON, tables.

Characters of data that command a terminal are escaped. Values as bytes go through ``bytestream``.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from contextlib import ExitStack, contextmanager
from datetime import date
from math import isfinite
from typing import TYPE_CHECKING, Any

from pydatatask_core.utils.visible import escape_controls, escape_controls_in_json

from .errors import CommandLineError, ExitStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from rich.console import Console, RenderableType
    from rich.text import Text

__all__ = [
    "is_terminal",
    "json_text",
    "make_table",
    "print_error",
    "print_errors_and_exit",
    "print_info",
    "print_json",
    "print_line",
    "print_rich",
    "without_broken_pipes",
]


@contextmanager
def without_broken_pipes() -> Iterator[None]:
    """Discard the output of this process once its reader is gone, while the context is open.

    A job that prints something must not fail because ``head`` has seen enough.
    """
    with ExitStack() as stack:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if type(stream) is io.TextIOWrapper and _is_pipe(stream):
                stack.enter_context(_replace_stream(name, stream))
        yield


class _Pipe(io.FileIO):
    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes


@contextmanager
def _replace_stream(name: str, stream: io.TextIOWrapper) -> Iterator[None]:
    stream.flush()
    replacement = io.TextIOWrapper(
        io.BufferedWriter(_Pipe(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
    setattr(sys, name, replacement)
    try:
        yield
    finally:
        replacement.flush()
        if getattr(sys, name) is replacement:
            setattr(sys, name, stream)


def _is_pipe(stream: io.TextIOWrapper) -> bool:
    mode = os.fstat(stream.fileno()).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def is_terminal() -> bool:
    """Tell whether a person is looking at standard output."""
    return sys.stdout.isatty()


def print_line(*words: object) -> None:
    """Print a line to standard output.

    :param words: what is in it, to be separated by blanks.
    """
    sys.stdout.write(escape_controls(" ".join(str(word) for word in words)) + "\n")


def print_info(text: str) -> None:
    """Print a line about what was done to standard error, where it disturbs no script."""
    sys.stdout.flush()
    sys.stderr.write(escape_controls(text) + "\n")
    sys.stderr.flush()


def print_error(text: str) -> None:
    """Print what went wrong to standard error."""
    print_info(f"Error: {text}")


def print_errors_and_exit(errors: Collection[str]) -> None:
    """Print errors after the rest of the output, and end the command with 1 if there are any.

    :raises ExitStatus: if there are any.
    """
    for error in errors:
        print_error(error)
    if errors:
        raise ExitStatus(1)


def print_json(value: Any) -> None:
    """Print a value as JSON, times in ISO 8601 and bytes in base64."""
    print_line(json_text(value, 2))


def json_text(value: Any, indent: int | None = None) -> str:
    """Write a value as JSON, with null for NaN and infinities, which it does not have.

    :param value: metadata, or what is made of it.
    :param indent: how deep to indent; on one line by default.
    :raises CommandLineError: if JSON cannot tell two keys of a mapping apart, such as 1 and "1".
    """
    import json

    # Other encodings than UTF-8 lack characters, and their escapes are not those of JSON.
    escaped = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"

    def dump(value: Any) -> str:
        text = json.dumps(
            value, indent=indent, default=_to_plain, ensure_ascii=escaped, allow_nan=False
        )
        return escape_controls_in_json(text)

    return dump(_to_strict_json(value))


def _to_strict_json(value: Any) -> Any:
    """Return a value as JSON can hold it: null for numbers it does not have, texts for keys."""
    if isinstance(value, dict):
        return _mapping(value)
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    if isinstance(value, list | tuple):
        return [_to_strict_json(inner) for inner in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value


def _mapping(value: dict[Any, Any]) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    for key in value:
        text = _key(key)
        if text in keys:
            raise CommandLineError(
                f"it cannot be printed as JSON: the keys {keys[text]!r} and {key!r} of one mapping "
                f"would both be {text!r} there; leave out --json"
            )
        keys[text] = key
    return {text: _to_strict_json(value[key]) for text, key in keys.items()}


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, bool) or key is None:
        return {True: "true", False: "false", None: "null"}[key]
    return str(_to_plain(key))


def _to_plain(value: Any) -> Any:
    if isinstance(value, date):  # which a datetime is
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        from base64 import b64encode

        return b64encode(value).decode()
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return str(value)


def console(**options: Any) -> Console:
    """Make a console of rich."""
    from rich.console import Console

    return Console(highlight=False, **options)


def print_rich(renderable: RenderableType) -> None:
    """Print something of rich to the terminal."""
    sys.stdout.flush()
    console().print(renderable)


def make_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> RenderableType:
    """Make a table of rich.

    :param columns: the headings; a column whose heading begins with ``#`` has numbers.
    :param rows: the cells, plain text.
    """
    from rich import box
    from rich.table import Table

    result = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in columns:
        result.add_column(
            _cell(heading.removeprefix("#")),
            justify="right" if heading.startswith("#") else "left",
        )
    for row in rows:
        result.add_row(*(_cell(cell) for cell in row))
    return result


def _cell(content: object) -> Text:
    """Return plain or styled text for a table; data are never taken for markup."""
    from rich.text import Text

    if isinstance(content, Text):
        return Text(escape_controls(content.plain), content.style)
    return Text(escape_controls(str(content)))
