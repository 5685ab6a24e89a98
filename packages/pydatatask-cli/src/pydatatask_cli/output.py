"""Printing of lines, JSON and tables; all output of commands except values uses this module.

Control characters in data are escaped. Values are written by ``byte_streams``.
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
    """Discard output of this process after its reader has closed the pipe.

    A job that prints something must not fail because ``head`` has exited.
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
    """Return whether standard output is a terminal."""
    return sys.stdout.isatty()


def print_line(*words: object) -> None:
    """Print a line to standard output.

    :param words: the words of the line, which are separated by spaces.
    """
    sys.stdout.write(escape_controls(" ".join(str(word) for word in words)) + "\n")


def print_info(text: str) -> None:
    """Print an informational line to standard error, so that scripts can parse standard output."""
    sys.stdout.flush()
    sys.stderr.write(escape_controls(text) + "\n")
    sys.stderr.flush()


def print_error(text: str) -> None:
    """Print an error to standard error."""
    print_info(f"Error: {text}")


def print_errors_and_exit(errors: Collection[str]) -> None:
    """Print errors after the rest of the output, and exit with status 1 if there are any.

    :raises ExitStatus: if there are errors.
    """
    for error in errors:
        print_error(error)
    if errors:
        raise ExitStatus(1)


def print_json(value: Any) -> None:
    """Print a value as JSON, times in ISO 8601 and bytes in base64."""
    print_line(json_text(value, 2))


def json_text(value: Any, indent: int | None = None) -> str:
    """Return a value as JSON, with null for NaN and infinities, which JSON lacks.

    :param value: metadata, or a result of a command.
    :param indent: the number of spaces to indent by; a single line by default.
    :raises CommandLineError: if two keys of a mapping, such as 1 and "1", are equal in JSON.
    """
    import json

    # Encodings other than UTF-8 lack characters, and their escapes are not valid in JSON.
    escaped = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"

    def dump(value: Any) -> str:
        text = json.dumps(
            value, indent=indent, default=_to_plain, ensure_ascii=escaped, allow_nan=False
        )
        return escape_controls_in_json(text)

    return dump(_to_strict_json(value))


def _to_strict_json(value: Any) -> Any:
    """Return a value that JSON can represent: null for NaN and infinities, strings as keys."""
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
                f"the value cannot be printed as JSON: the keys {keys[text]!r} and {key!r} of one "
                f"mapping would both be {text!r}; omit --json"
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
    if isinstance(value, date):  # also datetime
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        from base64 import b64encode

        return b64encode(value).decode()
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return str(value)


def console(**options: Any) -> Console:
    """Create a rich console."""
    from rich.console import Console

    return Console(highlight=False, **options)


def print_rich(renderable: RenderableType) -> None:
    """Print a rich object to the terminal."""
    sys.stdout.flush()
    console().print(renderable)


def make_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> RenderableType:
    """Return a rich table.

    :param columns: the headings; columns whose heading begins with ``#`` are right-aligned.
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
    """Return plain or styled text for a table; data is never interpreted as markup."""
    from rich.text import Text

    if isinstance(content, Text):
        return Text(escape_controls(content.plain), content.style)
    return Text(escape_controls(str(content)))
