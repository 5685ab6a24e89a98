"""Text that is safe to display: without characters that control the terminal.

Jobs, records and file names are data, but a terminal interprets some of their characters as
commands: to move the cursor, to erase lines, to set the title or, on some terminals, to type.
Others change the order in which the characters of a line are displayed.
"""

from __future__ import annotations

import codecs
import re

__all__ = ["VisibleDecoder", "escape_controls", "escape_controls_in_json"]

_CONTROLS = re.compile(
    "["
    "\x00-\x08\x0b-\x1f"  # C0 except tab and newline
    "\x7f-\x9f"  # DEL and C1
    "\u2028\u2029"  # line breaks other than newlines
    "\u202a-\u202e\u2066-\u2069"  # embeddings, overrides and isolates of bidirectional text
    "\ud800-\udfff"  # lone surrogates, which cannot be encoded; file names may contain them
    "]"
)
_ONE_BYTE = 0xFF


def escape_controls(text: str) -> str:
    r"""Replace the characters that control a terminal by escapes such as ``\x1b`` and ``\u202e``.

    Tabs, newlines and printable characters are kept. Backslashes are not escaped, so the result
    cannot be decoded: it is for display only.

    :param text: the text.
    """
    return _CONTROLS.sub(_escape, text)


def escape_controls_in_json(text: str) -> str:
    r"""Replace the same characters in a JSON document by ``\u001b`` etc., which keeps its value.

    :param text: the document. These characters occur in it only within strings.
    """
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number <= _ONE_BYTE else f"\\u{number:04x}"


class VisibleDecoder:
    r"""An incremental UTF-8 decoder that escapes the characters that control a terminal.

    Bytes that are not UTF-8 are escaped as well, such as ``\x9b``.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def decode(self, data: bytes, *, final: bool = False) -> str:
        """Return the text of the next bytes, up to the last complete character.

        :param data: the bytes.
        :param final: whether these are the last bytes; an incomplete character is then escaped.
        """
        return escape_controls(self._decoder.decode(data, final))
