"""The text of a template, read and normalized. Without Jinja2."""

from __future__ import annotations

import os
import re

from pydatatask_core.errors import TemplateError, describe

__all__ = ["read_source"]

_MAX_PATH_LENGTH = 4096
_RELATIVE = r"(?:[\w.-]+/)+[\w.-]*"


def read_source(source: str | os.PathLike[str], owner: str) -> tuple[str, str]:
    """Read a template, and return how messages call it, and its text.

    :param source: the text; or a file, if it is a path, or a string that names one.
    :param owner: the name of the task, for messages.
    :raises TemplateError: if it cannot be read, is empty, or contains what Jinja2 would change.
    """
    if isinstance(source, str) and not _is_path(source):
        return "its template", _normalized(source, f"{owner}: its template")
    from pathlib import Path

    path = Path(source)
    label = f"the template {str(path)!r}"
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as e:
        raise TemplateError(
            f"{owner}: {label} cannot be read: it is not text in UTF-8, at byte {e.start}"
        ) from e
    except (OSError, ValueError) as e:
        raise TemplateError(f"{owner}: {label} cannot be read: {describe(e)}") from e
    return label, _normalized(text, f"{owner}: {label}")


def _is_path(text: str) -> bool:
    """Return whether a text is a path, if perhaps of no file, which is an error.

    A relative path with a slash can be no command of a script, whose directory is empty.
    """
    if "\n" in text or "\0" in text or not 0 < len(text) <= _MAX_PATH_LENGTH:
        return False
    if "/" in text and (os.path.isdir(text) or re.fullmatch(_RELATIVE, text)):
        return True
    return os.path.isfile(text)


def _normalized(text: str, about: str) -> str:
    """Remove a byte order mark, and the indentation of a script whose ``#!`` is indented."""
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise TemplateError(f"{about} is empty")
    alone = re.search(r"\r(?!\n)", text)
    if alone is not None:
        line = text.count("\n", 0, alone.start()) + 1
        raise TemplateError(
            f"{about} contains a carriage return that ends no line, line {line}, which Jinja2 "
            r"makes a line break; write `\r` where a program of the script understands that"
        )
    indented = re.match(r"\s*?([ \t]+)#!", text)
    if indented is None:
        return text
    lines = text.split("\n")
    if all(line.startswith(indented[1]) or not line.strip() for line in lines):
        lines = [line.removeprefix(indented[1]) for line in lines]
    return "\n".join(lines)
