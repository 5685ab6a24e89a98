"""What is known of a job from the supervisor of this process that has it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .pidfd import reap_child

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Supervised"]


class Supervised:
    """A job that a supervisor of this process has."""

    def __init__(self) -> None:
        self.status: int | None = None
        """How the supervisor did with it, once it is over, if that is to be had."""
        self.unheard: int | None = None
        """The process id of the supervisor, if nobody hears what that tells."""
        self._over = False
        self._watchers: list[Callable[[], None]] = []

    def is_over(self) -> bool:
        """Tell whether the supervisor is through with it, or is gone."""
        if not self._over and self.unheard is not None:
            self._over, self.status = reap_child(self.unheard)
        return self._over

    def watch(self, ended: Callable[[], None]) -> Callable[[], None] | None:
        """Call a function in the running loop when it is over.

        :param ended: what to call.
        :return: a function that stops watching; None if one has to ask.
        """
        if self.unheard is not None:
            return None
        if self._over:
            return asyncio.get_running_loop().call_soon(ended).cancel
        self._watchers.append(ended)

        def stop() -> None:
            if ended in self._watchers:
                self._watchers.remove(ended)

        return stop

    def end(self, status: int | None) -> None:
        """Note that it is over, and tell whoever watches.

        :param status: how the supervisor did.
        """
        self._over, self.status = True, status
        watchers, self._watchers = self._watchers, []
        for ended in watchers:
            ended()
