"""Reading and normalization of a template's text, without Jinja2."""

from __future__ import annotations

import os
import re

from pydatatask_core.errors import TemplateError, describe

__all__ = ["read_source"]

_MAX_PATH_LENGTH = 4096
_RELATIVE = r"(?:[\w.-]+/)+[\w.-]*"


def read_source(source: str | os.PathLike[str], owner: str) -> tuple[str, str]:
    """Read a template, and return its name for messages, and its text.

    :param source: the text; or a file, if it is a path, or a string that names one.
    :param owner: the name of the task, for messages.
    :raises TemplateError: if it cannot be read, is empty, or contains a line end that Jinja2 would
        change.
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
    """Return whether a text is a path, even if there is no such file, which is an error.

    A relative path with a slash cannot be a command, because scripts run in an empty directory.
    """
    if "\n" in text or "\0" in text or not 0 < len(text) <= _MAX_PATH_LENGTH:
        return False
    if "/" in text and (os.path.isdir(text) or re.fullmatch(_RELATIVE, text)):
        return True
    return os.path.isfile(text)


def _normalized(text: str, about: str) -> str:
    """Remove a byte order mark, and the indentation of a script with an indented ``#!``."""
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise TemplateError(f"{about} is empty")
    alone = re.search(r"\r(?!\n)", text)
    if alone is not None:
        line = text.count("\n", 0, alone.start()) + 1
        raise TemplateError(
            f"{about} contains a carriage return that does not end a line, line {line}, which "
            r"Jinja2 would convert to a line break; write `\r` if the program of the script "
            "understands it"
        )
    indented = re.match(r"\s*?([ \t]+)#!", text)
    if indented is None:
        return text
    lines = text.split("\n")
    if all(line.startswith(indented[1]) or not line.strip() for line in lines):
        lines = [line.removeprefix(indented[1]) for line in lines]
    return "\n".join(lines)
