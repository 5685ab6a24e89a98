"""The text of a rendered template, with the origin of each of its pieces."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "VALUE_TYPES",
    "JsonText",
    "Literal",
    "Piece",
    "Printed",
    "Quoted",
    "RenderedText",
    "is_plain",
    "joined",
    "printed",
    "quote",
    "to_json",
]

_PLAIN = re.compile(r"[A-Za-z0-9_./:=@%+,-]+")
"""A word that every shell reads literally. The empty text is not one: it would disappear."""

_NUMBERS = frozenset({int, float, bool})
"""Types whose values are always safe to print."""

_SURROGATES = re.compile(r"\\u(d[89ab]..)\\u(d[c-f]..)")


class Piece(str):
    """A text with a known origin.

    Every operation on it returns a plain string: only an unchanged piece keeps its origin.
    """

    __slots__ = ("line",)

    line: int
    """The line of the template whose expression printed it; set only when it is printed."""

    def __str__(self) -> str:
        return self  # a copy would be a plain string

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str.__str__(self),)


class Printed(Piece):
    """A value that an expression printed unchanged."""

    __slots__ = ()


class Quoted(Piece):
    """Shell words quoted by the filter ``quote``."""

    __slots__ = ()


class JsonText(Piece):
    """A whole value as JSON, written by the filter ``tojson``."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


class Literal(Piece):
    """Text of the template itself, or of a value marked as such by the filter ``raw``."""

    __slots__ = ()


VALUE_TYPES = frozenset({Printed, Quoted, JsonText})
"""The types of pieces that come from values."""


class RenderedText(str):
    """The output of a template, or of one of its macros or blocks.

    :param pieces: the parts of the text in order: a plain string for text of the template itself
        and for numbers, a :class:`Piece` for a value that an expression printed, and the rendered
        text of a macro or block.
    """

    __slots__ = ("pieces",)

    pieces: tuple[str, ...]

    def __new__(cls, pieces: Iterable[str]) -> RenderedText:
        parts = tuple(pieces)
        text = super().__new__(cls, "".join(parts))
        text.pieces = parts
        return text

    def __str__(self) -> str:
        return self

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str.__str__(self),)

    def flat(self) -> Iterator[str]:
        """Iterate over the pieces, with macros and blocks replaced by their own pieces."""
        for piece in self.pieces:
            if type(piece) is RenderedText:
                yield from piece.flat()
            else:
                yield piece

    @property
    def values(self) -> list[Piece]:
        """The pieces that come from values."""
        values: list[Any] = [piece for piece in self.flat() if type(piece) in VALUE_TYPES]
        return values

    def template_line(self, line: int) -> int:
        """Return the template's line of the first value in a line of the text; 0 without one.

        :param line: the number of the line of the text.
        """
        end = 1
        for piece in self.flat():
            start, end = end, end + piece.count("\n")
            if start <= line <= end and isinstance(piece, Piece) and type(piece) in VALUE_TYPES:
                return piece.line
        return 0

    def with_words(self, words: Iterable[str]) -> str:
        """Return the text with its values replaced.

        :param words: one replacement for each of :attr:`values`.
        """
        rest = iter(words)
        return "".join(next(rest) if type(p) in VALUE_TYPES else p for p in self.flat())


def is_plain(text: str) -> bool:
    """Return whether a text is one word that every shell reads literally.

    :param text: the text.
    """
    return _PLAIN.fullmatch(text) is not None


def quote(value: object) -> Quoted:
    """Return a value as one quoted shell word.

    :param value: any value; its text is quoted.
    """
    return Quoted(shlex.quote(str(value)))


def joined(parts: Iterable[object], separator: str = "") -> str:
    """Join texts; the result counts as quoted if all parts are safe in a shell.

    :param parts: texts and numbers.
    :param separator: the text between two parts.
    """
    values = list(parts)
    text = separator.join(map(str, values))
    kinds = {type(part) for part in values}
    if kinds <= {Literal} and (not separator or type(separator) is Literal):
        return Literal(text)
    meant = separator.isspace() or not separator or _is_safe(separator)
    return Quoted(text) if meant and all(map(_is_safe, values)) else text


def _is_safe(value: object) -> bool:
    if isinstance(value, RenderedText):
        return all(not isinstance(piece, Piece) or _is_safe(piece) for piece in value.flat())
    if isinstance(value, Quoted | Literal):
        return True
    return is_plain(value) if isinstance(value, str) else isinstance(value, int | float)


def to_json(text: str) -> JsonText:
    """Convert JSON to a text that YAML parsers read in the same way.

    :param text: JSON in ASCII. YAML has no surrogate pairs, so each is replaced by its character.
    """
    return JsonText(_SURROGATES.sub(lambda pair: json.loads(f'"{pair[0]}"'), text))


def printed(value: Any, line: int) -> str:
    """Return the piece for a printed value.

    :param value: a value that has a text.
    :param line: the line of the template whose expression prints it.
    """
    kind = type(value)
    if kind is str:
        piece: Piece = Printed(value)
    elif kind in _NUMBERS:
        return str(value)
    elif kind in VALUE_TYPES:
        piece = kind(value)  # a copy, because the value may be printed in another line, too
    elif kind is Literal or kind is RenderedText:
        return value  # type: ignore[no-any-return] # a Literal or a RenderedText
    else:
        piece = Printed(str(value))
    piece.line = line
    return piece
