"""The quoting context of values that a template printed into a shell script."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from pydatatask_core.task.rendered import Quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydatatask_core.task.rendered import Piece, RenderedText

__all__ = ["find_misplaced", "is_shell_script"]

_TOKEN = re.compile(
    r"""
    (?P<escape>\\.) | (?P<ansi>\$') | (?P<single>') | (?P<double>")
    | (?P<substitution>\$\() | (?P<backtick>`) | (?P<open>\() | (?P<close>\))
    | (?P<here><<(?!<)(?P<strip>-?)[ \t]*(?P<mark>\\?['"]?)(?P<word>[A-Za-z_][\w.-]*)['"]?)
    | (?P<herestring><<<) | (?P<comment>(?:(?<=[\s;&|()])|^)\#[^\n]*) | (?P<line>\n)
    """,
    re.VERBOSE | re.DOTALL,
)
_HOLE = "\0"
"""Stands for a printed value; no script can contain it."""

_SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "busybox"})


def is_shell_script(text: str) -> bool:
    """Return whether a script is for a shell: without a ``#!`` line, or with one for a shell.

    :param text: the script.
    """
    first = text.lstrip().partition("\n")[0]
    if not first.startswith("#!"):
        return True
    words = [word.rpartition("/")[2] for word in first[2:].split()]
    return any(word in _SHELLS for word in words[:3])


def find_misplaced(text: RenderedText, values: Sequence[Piece]) -> Iterator[tuple[Quoted, str]]:
    """Yield quoted values that a shell script prints where their quotes do not protect them.

    This follows quotes, comments, here-documents and substitutions; it does not parse the language.

    :param text: the script.
    :param values: its values.
    :return: each such value, and the name of its context.
    """
    if not any(_needs_quotes(value) for value in values) or not is_shell_script(text):
        return
    holed = text.with_words([_HOLE] * len(values))
    for value, place in zip(values, _places(holed), strict=False):
        if isinstance(value, Quoted) and _needs_quotes(value) and _escapes(value, place):
            yield value, place


def _needs_quotes(value: Piece) -> bool:
    return type(value) is Quoted and "'" in value


@lru_cache(maxsize=64)
def _places(text: str) -> tuple[str, ...]:
    """Return the contexts of all values; cached, as scripts of a task differ only in values."""
    return tuple(place for part, place in _Scanner(text).parts() for _ in range(part.count(_HOLE)))


def _escapes(value: Quoted, place: str) -> bool:
    """Return whether a quoted value has an effect in a context."""
    if place in ("a comment", "a quoted here-document"):
        return "\n" in value
    return place != ""


def _place_of(token: re.Match[str], place: str) -> str:
    """Return the context of a token: a backslash escapes the opening quote of a value."""
    return "a backslash" if token.lastgroup == "escape" and _HOLE in token[0] else place


class _Scanner:
    """Splits a script into parts with one quoting context each.

    :param text: the script.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.double: list[int] = []
        """The number of open parentheses inside each open pair of double quotes."""
        self.here: list[tuple[str, bool, bool]] = []

    def parts(self) -> Iterator[tuple[str, str]]:
        """Iterate over the parts and their contexts; the context of unquoted text is empty."""
        while self.at < len(self.text):
            quoted = bool(self.double) and self.double[-1] == 0
            token = _TOKEN.search(self.text, self.at)
            end = len(self.text) if token is None else token.start()
            yield self.text[self.at : end], "double quotes" if quoted else ""
            if token is None:
                return
            self.at = token.end()
            if quoted:
                yield from self._in_double_quotes(token)
            else:
                yield from self._unquoted(token)

    def _in_double_quotes(self, token: re.Match[str]) -> Iterator[tuple[str, str]]:
        if token.lastgroup == "double":
            self.double.pop()
        elif token.lastgroup == "ansi":
            self.at = token.start() + 1  # `$'` has no meaning inside double quotes
            yield self.text[self.at], "double quotes"
            self.at += 1
        elif token.lastgroup == "substitution":
            self.double[-1] = 1
        else:
            yield token[0], _place_of(token, "double quotes")

    def _unquoted(self, token: re.Match[str]) -> Iterator[tuple[str, str]]:
        kind = token.lastgroup
        if kind in ("single", "ansi"):
            ending = r"(?:\\.|[^'\\])*'?" if kind == "ansi" else r"[^']*'?"
            yield self._up_to(ending), "single quotes"
        elif kind == "double":
            self.double.append(0)
        elif kind in ("open", "substitution") and self.double:
            self.double[-1] += 1
        elif kind == "close" and self.double:
            self.double[-1] -= 1
        elif kind == "here":
            self.here.append((token["word"], bool(token["strip"]), bool(token["mark"])))
        elif kind == "line":
            yield from self._here_documents()
        else:
            yield token[0], "a comment" if kind == "comment" else _place_of(token, "")

    def _here_documents(self) -> Iterator[tuple[str, str]]:
        documents, self.here = self.here, []
        for word, strips, quoted in documents:
            tabs = "\t*" if strips else ""
            body = self._up_to(rf"(?:.*?\n)??{tabs}{re.escape(word)}(?:\n|\Z)|.*")
            yield body, "a quoted here-document" if quoted else "a here-document"

    def _up_to(self, pattern: str) -> str:
        found = re.compile(pattern, re.DOTALL).match(self.text, self.at)
        part = found[0] if found else ""
        self.at += len(part)
        return part
