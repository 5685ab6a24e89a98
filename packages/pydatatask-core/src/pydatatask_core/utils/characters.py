"""A buffer of decoded characters that have not been read."""

from __future__ import annotations

from collections import deque

__all__ = ["CharacterBuffer"]


class CharacterBuffer:
    """A queue of characters that is filled with chunks and emptied by counts or lines.

    Each character is copied once when it is removed, and scanned once for a line end.
    """

    __slots__ = ("_chunks", "_length", "_offset", "_scanned")

    def __init__(self) -> None:
        self._chunks: deque[str] = deque()
        self._offset = 0  # number of characters of the first chunk that are removed already
        self._length = 0
        self._scanned = 0  # number of chunks that are known to contain no line end

    def __len__(self) -> int:
        return self._length

    def append(self, text: str) -> None:
        """Add text at the end."""
        if text:
            self._chunks.append(text)
            self._length += len(text)

    def take(self, n: int) -> str:
        """Remove up to n characters from the front, and return them."""
        parts = []
        self._scanned = 0
        while n > 0 and self._chunks:
            chunk = self._chunks[0]
            end = self._offset + n
            part = chunk[self._offset : end]
            if end < len(chunk):
                self._offset = end
            else:
                self._chunks.popleft()
                self._offset = 0
            n -= len(part)
            self._length -= len(part)
            parts.append(part)
        return "".join(parts)

    def line_length(self) -> int | None:
        """Return the number of characters through the first newline, or None without a newline."""
        while self._scanned < len(self._chunks):
            start = 0 if self._scanned else self._offset
            end = self._chunks[self._scanned].find("\n", start)
            if end >= 0:
                before = sum(len(self._chunks[i]) for i in range(self._scanned))
                return before + end + 1 - self._offset
            self._scanned += 1
        return None
