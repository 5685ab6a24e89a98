"""The error of the codecs for text that cannot be decoded."""

from __future__ import annotations

__all__ = ["DecodeError", "decode_utf8"]


class DecodeError(Exception):
    """Text that cannot be parsed.

    :param problem: the error.
    :param line: its line, counting from 1, if known.
    :param column: its character in that line, counting from 1.
    """

    def __init__(self, problem: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(problem, line, column)
        self.problem = problem
        self.line = line
        self.column = column

    @classmethod
    def at(cls, problem: str, text: str, position: int) -> DecodeError:
        """Create an error for a position in a text.

        :param problem: the error.
        :param text: the whole text.
        :param position: the index of the character.
        """
        before = text[:position]
        return cls(problem, before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)

    def __str__(self) -> str:
        if self.line is None:
            return self.problem
        return f"line {self.line}, column {self.column}: {self.problem}"


def decode_utf8(data: bytes) -> str:
    """Decode UTF-8, without a byte order mark if there is one.

    :raises DecodeError: if the data is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        before = e.object[: e.start].decode("utf-8", "replace")
        problem = f"the byte 0x{e.object[e.start]:02x} is not UTF-8 ({e.reason})"
        raise DecodeError.at(problem, before, len(before)) from e
