"""Text as it can be shown to a person: nothing in it commands the terminal.

Jobs, records and file names are data. A terminal takes some of their characters as commands: to
move the cursor, to erase lines, to set the title or, on some, to type. Others change the order in
which the characters of a line are displayed.
"""

from __future__ import annotations

import codecs
import re

__all__ = ["VisibleDecoder", "escape_controls", "escape_controls_in_json"]

_CONTROLS = re.compile(
    "["
    "\x00-\x08\x0b-\x1f"  # C0 but tab and newline
    "\x7f-\x9f"  # DEL and C1
    "\u2028\u2029"  # line breaks that are no newlines
    "\u202a-\u202e\u2066-\u2069"  # embeddings, overrides and isolates of bidirectional text
    "\ud800-\udfff"  # lone surrogates, which no encoding has; file names may contain them
    "]"
)
_ONE_BYTE = 0xFF


def escape_controls(text: str) -> str:
    r"""Replace the characters that command a terminal by escapes such as ``\x1b`` and ``\u202e``.

    Tabs and newlines are kept, and so is all that is printed. A backslash stays as it is, so that
    the result cannot be decoded: it is for reading only.

    :param text: the text.
    """
    return _CONTROLS.sub(_escape, text)


def escape_controls_in_json(text: str) -> str:
    r"""Replace the same characters in a JSON document, and keep its value: ``\u001b``.

    :param text: the document. Outside of its strings it has none of these characters.
    """
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number <= _ONE_BYTE else f"\\u{number:04x}"


class VisibleDecoder:
    r"""Decodes UTF-8 that comes in pieces, and escapes what commands a terminal.

    Bytes that are not UTF-8 are escaped as well, such as ``\x9b``.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def decode(self, data: bytes, *, final: bool = False) -> str:
        """Return the text of the next bytes, without a character that is incomplete.

        :param data: the bytes.
        :param final: whether no more follow; what is incomplete is escaped then.
        """
        return escape_controls(self._decoder.decode(data, final))
