"""Characters that were decoded and not yet read."""

from __future__ import annotations

from collections import deque

__all__ = ["CharacterBuffer"]


class CharacterBuffer:
    """A queue of characters that is filled by chunks and emptied by counts or lines.

    Each character is copied once on its way out, and looked at once for the end of a line.
    """

    __slots__ = ("_chunks", "_length", "_offset", "_scanned")

    def __init__(self) -> None:
        self._chunks: deque[str] = deque()
        self._offset = 0  # how much of the first chunk is taken already
        self._length = 0
        self._scanned = 0  # how many chunks are known to hold no end of a line

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
        """Count the characters up to and including the first newline; None if there is none."""
        while self._scanned < len(self._chunks):
            start = 0 if self._scanned else self._offset
            end = self._chunks[self._scanned].find("\n", start)
            if end >= 0:
                before = sum(len(self._chunks[i]) for i in range(self._scanned))
                return before + end + 1 - self._offset
            self._scanned += 1
        return None
