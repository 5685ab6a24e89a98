"""Drivers that die at a chosen point: from then on, nothing that they ask for ever happens."""

from __future__ import annotations

import asyncio


class Freezer:
    """Counts the points that a driver comes by, and lets it not past one of them.

    :param at: the number of the point, from 1 on; 0 for none.
    """

    def __init__(self, at: int = 0) -> None:
        self.at = at
        self.passed: list[str] = []
        self.frozen = asyncio.Event()
        self._over = False

    async def pass_by(self, name: str) -> None:
        """Come by a point."""
        if not self.frozen.is_set():
            self.passed.append(name)
            if len(self.passed) != self.at:
                return
            self.frozen.set()
        if not self._over:
            await asyncio.Event().wait()
        raise Frozen

    def end(self) -> None:
        """Let whoever still waits end with an error."""
        self._over = True


class Frozen(BaseException):
    """Ends what is frozen when the test is over."""
