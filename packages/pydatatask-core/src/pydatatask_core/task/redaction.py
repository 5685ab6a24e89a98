"""Redaction of secret values in messages about a rendered template."""

from __future__ import annotations

import json
import re
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .rendered import RenderedText

__all__ = ["REDACTED", "find_secrets", "redact_message"]

REDACTED = "<hidden>"

_FRAGMENT_LENGTH = 6
"""The minimum length of a part of a secret that is redacted anywhere in a message. A shorter secret
is redacted only as a whole word, because it may occur in any text by chance."""


def find_secrets(values: object, rendered: RenderedText | None = None) -> set[str]:
    """Return the texts that messages about a template must not contain.

    These are the texts and numbers in the secret values, and the rendered template, because any
    part of it that is not in the template may be derived from them.

    :param values: the secret values.
    :param rendered: the rendered template, if it could be rendered.
    """
    texts = {*_strings(values), *((rendered, *rendered.flat()) if rendered else ())}
    escaped = {repr(text)[1:-1] for text in texts} | {json.dumps(text)[1:-1] for text in texts}
    return texts | escaped


def _strings(value: object) -> Iterator[str]:
    """Iterate over the texts and numbers in a value, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _strings(key)
            yield from _strings(inner)
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            yield from _strings(inner)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def redact_message(message: str, secrets: Iterable[str], public: str) -> str:
    """Redact secret texts, and parts of them, in another program's message.

    :param message: the message.
    :param secrets: the secret texts.
    :param public: a text whose parts are not redacted: the template.
    """
    covered = [False] * len(message)
    fragments: set[str] = set()
    public = _one_line(public)
    for text in map(_one_line, secrets):
        fragments.update(
            text[i : i + _FRAGMENT_LENGTH] for i in range(len(text) - _FRAGMENT_LENGTH + 1)
        )
        if text and len(text) < _FRAGMENT_LENGTH and text not in public:
            for inner in re.finditer(rf"(?<!\w){re.escape(text)}(?!\w)", message):
                covered[inner.start() : inner.end()] = [True] * len(text)
    for start in range(len(message) - _FRAGMENT_LENGTH + 1):
        fragment = message[start : start + _FRAGMENT_LENGTH]
        if fragment in fragments and fragment not in public:
            covered[start : start + _FRAGMENT_LENGTH] = [True] * _FRAGMENT_LENGTH
    runs = groupby(zip(covered, message, strict=True), lambda pair: pair[0])
    return "".join(REDACTED if hides else "".join(c for _, c in run) for hides, run in runs)


def _one_line(text: str) -> str:
    """Return a text with its whitespace collapsed, as messages do."""
    return " ".join(text.split())
