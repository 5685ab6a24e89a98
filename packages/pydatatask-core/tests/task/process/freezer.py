"""Drivers that die at a chosen point: from then on, none of their requests is carried out."""

from __future__ import annotations

import asyncio


class Freezer:
    """Counts the points that a driver passes, and blocks it at one of them.

    :param at: the number of the point, starting at 1; 0 for none.
    """

    def __init__(self, at: int = 0) -> None:
        self.at = at
        self.passed: list[str] = []
        self.frozen = asyncio.Event()
        self._over = False

    async def pass_by(self, name: str) -> None:
        """Pass a point."""
        if not self.frozen.is_set():
            self.passed.append(name)
            if len(self.passed) != self.at:
                return
            self.frozen.set()
        if not self._over:
            await asyncio.Event().wait()
        raise Frozen

    def end(self) -> None:
        """Raise an error in every frozen caller."""
        self._over = True


class Frozen(BaseException):
    """Raised in frozen callers when the test is over."""
