"""The jobs that a task has in its executor, and those of them that have ended."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from concurrent.futures import BrokenExecutor, Future
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .instance import Instance
    from .worker import Ending

__all__ = ["Roster"]


class Roster:
    """Keeps a task's instances, and hears of their ends in whatever thread those come to light.

    An end that comes while there is no event loop is kept until there is one again.

    :param wake: called in the event loop after something has ended.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.instances: dict[str, Instance] = {}
        self.ends: deque[Instance] = deque()
        self._wake = wake
        self._loop: asyncio.AbstractEventLoop | None = None

    def enter(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Have ends told in an event loop; tell whether it is another than before.

        :param loop: the one that runs.
        """
        if loop is self._loop:
            return False
        self._loop = loop  # before the look at what came when there was none
        for instance in list(self.ends):
            instance.ended.set()
        return True

    def placed(self, instance: Instance, future: Future[Ending]) -> None:
        """Note that an instance is in the executor; from any thread.

        :param instance: which one.
        :param future: what the executor gave for it.
        """
        instance.future = future
        future.add_done_callback(partial(self._arrive, instance))

    def _arrive(self, instance: Instance, future: Future[Ending]) -> None:
        if not future.cancelled() and isinstance(future.exception(), BrokenExecutor):
            # It fails all its jobs one after the other, whether they have begun or not. What
            # is still waiting while it does so has not.
            for other in list(self.instances.values()):
                other.unbegun = other.unbegun or other.waits
        self.ends.append(instance)
        if self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._notice, instance)
            except RuntimeError:  # the loop is closed
                return

    def _notice(self, instance: Instance) -> None:
        instance.ended.set()
        self._wake()

    def reopen(self) -> None:
        """Take what is left of an earlier opening for jobs of this one."""
        for instance in self.instances.values():
            instance.closing = False

    async def withdraw(self, seconds: float) -> None:
        """Take back what has not begun, and cancel what can be cancelled, as the pipeline closes.

        :param seconds: how long to try.
        :raises TimeoutError: if something is still about to end after that.
        """
        for instance in self.instances.values():
            instance.closing = True
            instance.abandoned = not instance.ended.is_set()
        left = [instance for instance in self.instances.values() if instance.abandoned]
        deadline = time.monotonic() + seconds
        async with asyncio.timeout(seconds):
            # The last ones first: they are the least likely to have begun.
            stopping = await asyncio.to_thread(_stop, list(reversed(left)), deadline)
            await asyncio.gather(*(instance.ended.wait() for instance in stopping))


def _stop(instances: Iterable[Instance], deadline: float) -> list[Instance]:
    """Stop what can be stopped, until the time is up; in threads here, where it takes none, all.

    Whoever waits for a pool of threads to end would wait for a function that was not stopped.
    """
    stopping = []
    for instance in instances:
        in_time = instance.in_thread or time.monotonic() <= deadline
        if in_time and instance.future is not None and instance.stop():
            stopping.append(instance)
    return stopping
