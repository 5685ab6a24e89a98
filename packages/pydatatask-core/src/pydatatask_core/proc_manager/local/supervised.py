"""A job that is run by a supervisor of this process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .pidfd import reap_child

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Supervised"]


class Supervised:
    """A job that is run by a supervisor of this process."""

    def __init__(self) -> None:
        self.status: int | None = None
        """The exit status of the supervisor for this job, if it is over and the status is known."""
        self.unheard: int | None = None
        """The process id of the supervisor, if its messages are not read."""
        self._over = False
        self._watchers: list[Callable[[], None]] = []

    def is_over(self) -> bool:
        """Return whether the supervisor has finished with the job, or has died."""
        if not self._over and self.unheard is not None:
            self._over, self.status = reap_child(self.unheard)
        return self._over

    def watch(self, ended: Callable[[], None]) -> Callable[[], None] | None:
        """Register a callback that the running loop calls when the job is over.

        :param ended: the callback.
        :return: a function that unregisters it; None if the caller has to poll.
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
        """Record that the job is over, and notify the watchers.

        :param status: the exit status of the supervisor for this job.
        """
        self._over, self.status = True, status
        watchers, self._watchers = self._watchers, []
        for ended in watchers:
            ended()
