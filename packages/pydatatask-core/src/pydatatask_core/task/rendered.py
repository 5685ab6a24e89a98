"""The text of a filled-in template, which knows the pieces that its expressions printed."""

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
"""A word that every shell reads as itself. The empty text is none, since it vanishes."""

_NUMBERS = frozenset({int, float, bool})
"""Types whose values have a text in which nothing can be hidden."""

_SURROGATES = re.compile(r"\\u(d[89ab]..)\\u(d[c-f]..)")


class Piece(str):
    """A text whose origin is known.

    Every operation on it returns a plain text: only an unchanged piece keeps its origin.
    """

    __slots__ = ("line",)

    line: int
    """The line of the template whose expression has printed it; only set once it is printed."""

    def __str__(self) -> str:
        return self  # a copy would be a plain text

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str.__str__(self),)


class Printed(Piece):
    """A value that an expression printed as it is."""

    __slots__ = ()


class Quoted(Piece):
    """Words of a shell, quoted by the filter ``quote``."""

    __slots__ = ()


class JsonText(Piece):
    """A whole value in JSON, written by the filter ``tojson``."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


class Literal(Piece):
    """Text of the template itself, or of a value that the filter ``raw`` declares as such."""

    __slots__ = ()


VALUE_TYPES = frozenset({Printed, Quoted, JsonText})
"""The types of the pieces that come from values."""


class RenderedText(str):
    """What a template, or one of its macros or blocks, has written.

    :param pieces: the parts of the text in their order: a plain text for what the template itself
        says and for numbers, :class:`Piece` for what an expression printed, and the rendered text
        of a macro or block.
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
        """Iterate the pieces, with those of macros and blocks in the place of their texts."""
        for piece in self.pieces:
            if type(piece) is RenderedText:
                yield from piece.flat()
            else:
                yield piece

    @property
    def values(self) -> list[Piece]:
        """The pieces that came from values."""
        values: list[Any] = [piece for piece in self.flat() if type(piece) in VALUE_TYPES]
        return values

    def with_words(self, words: Iterable[str]) -> str:
        """Return the text with other texts in the place of its values.

        :param words: one text for each of :attr:`values`.
        """
        rest = iter(words)
        return "".join(next(rest) if type(p) in VALUE_TYPES else p for p in self.flat())


def is_plain(text: str) -> bool:
    """Return whether a text is one word that every shell reads as itself.

    :param text: the text.
    """
    return _PLAIN.fullmatch(text) is not None


def quote(value: object) -> Quoted:
    """Return a value as one word of a shell.

    :param value: any value; its text is quoted.
    """
    return Quoted(shlex.quote(str(value)))


def joined(parts: Iterable[object], separator: str = "") -> str:
    """Join texts; the result has the origin of its parts, if all of them are safe in a shell.

    :param parts: texts and numbers.
    :param separator: the text between two of them.
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
    """Return a text in JSON as one that YAML reads alike.

    :param text: JSON in ASCII. YAML knows no pairs of surrogates, so their character stands itself.
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
        piece = kind(value)  # which may be printed elsewhere, too
    elif kind is Literal or kind is RenderedText:
        return value  # type: ignore[no-any-return] # it is one of these
    else:
        piece = Printed(str(value))
    piece.line = line
    return piece
