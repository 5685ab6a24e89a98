"""What is known of a supervisor that was started by a launcher."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .identity import Process

__all__ = ["Launched"]


class Launched:
    """A supervisor that was started by a launcher, or is about to be.

    :param loop: the running loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiter = loop.create_future()
        self._answered = False
        self._error: Exception | None = None
        self.process: Process | None = None
        self.status: int | None = None
        """Its exit status, once it has ended by itself."""
        self.known_to_end = False
        """Whether it has ended, or was refused."""
        self.unwatched = False
        """Whether nobody tells of its end, since the launcher is gone."""
        self._ended: Callable[[], None] | None = None

    def answer(self, error: Exception | None = None) -> None:
        """Say that it was started, or that nobody will ever know.

        :param error: why it was not.
        """
        self._answered, self._error = True, error
        if not self._waiter.done():
            self._waiter.set_result(None)

    async def answered(self) -> None:
        """Wait for the answer, also if that is cancelled: like ``finish``, at a third of its cost.

        :raises Exception: the error, if that is the answer.
        """
        cancellation: asyncio.CancelledError | None = None
        while not self._answered:
            try:
                await self._waiter
            except asyncio.CancelledError as e:
                cancellation, self._waiter = e, self._loop.create_future()
        if cancellation is not None:
            raise cancellation
        if self._error is not None:
            raise self._error

    @property
    def lives(self) -> bool:
        """Whether it lives; this may look into ``/proc``."""
        if not self.unwatched:
            return not self.known_to_end
        return self.process is not None and self.process.lives()

    def watch(self, ended: Callable[[], None]) -> Callable[[], None] | None:
        """Call a function in the running loop when it ends.

        :param ended: what to call.
        :return: a function that stops watching; None if one has to look.
        """
        if self.unwatched:
            return None
        if self.known_to_end:
            return asyncio.get_running_loop().call_soon(ended).cancel
        self._ended = ended
        return self._stop

    def _stop(self) -> None:
        self._ended = None

    def tell(self) -> None:
        """Tell whoever watches that it may have ended."""
        ended, self._ended = self._ended, None
        if ended is not None:
            ended()
