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

    from .submission import Submission
    from .worker import JobResult

__all__ = ["Submissions"]


class Submissions:
    """Keeps a task's instances, and hears of their ends in whatever thread those come to light.

    An end that comes while there is no event loop is kept until there is one again.

    :param wake: called in the event loop after something has ended.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.by_job: dict[str, Submission] = {}
        self.finished: deque[Submission] = deque()
        self._wake = wake
        self._loop: asyncio.AbstractEventLoop | None = None

    def enter(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Have ends told in an event loop; tell whether it is another than before.

        :param loop: the one that runs.
        """
        if loop is self._loop:
            return False
        self._loop = loop  # before the look at what came when there was none
        for submission in list(self.finished):
            submission.ended.set()
        return True

    def on_submitted(self, submission: Submission, future: Future[JobResult]) -> None:
        """Note that an instance is in the executor; from any thread.

        :param submission: which one.
        :param future: what the executor gave for it.
        """
        submission.future = future
        future.add_done_callback(partial(self._on_done, submission))

    def _on_done(self, submission: Submission, future: Future[JobResult]) -> None:
        if not future.cancelled() and isinstance(future.exception(), BrokenExecutor):
            # It fails all its jobs one after the other, whether they have begun or not. What
            # is still waiting while it does so has not.
            for other in list(self.by_job.values()):
                other.never_started = other.never_started or other.is_pending
        self.finished.append(submission)
        if self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._notice, submission)
            except RuntimeError:  # the loop is closed
                return

    def _notice(self, submission: Submission) -> None:
        submission.ended.set()
        self._wake()

    def reopen(self) -> None:
        """Take what is left of an earlier opening for jobs of this one."""
        for submission in self.by_job.values():
            submission.closing = False

    async def cancel_pending(self, seconds: float) -> None:
        """Take back what has not begun, and cancel what can be cancelled, as the pipeline closes.

        :param seconds: how long to try.
        :raises TimeoutError: if something is still about to end after that.
        """
        for submission in self.by_job.values():
            submission.closing = True
            submission.abandoned = not submission.ended.is_set()
        pending = [submission for submission in self.by_job.values() if submission.abandoned]
        deadline = time.monotonic() + seconds
        async with asyncio.timeout(seconds):
            # The last ones first: they are the least likely to have begun.
            stopping = await asyncio.to_thread(_cancel_until, list(reversed(pending)), deadline)
            await asyncio.gather(*(submission.ended.wait() for submission in stopping))


def _cancel_until(by_job: Iterable[Submission], deadline: float) -> list[Submission]:
    """Stop what can be stopped, until the time is up; in threads here, where it takes none, all.

    Whoever waits for a pool of threads to end would wait for a function that was not stopped.
    """
    stopping = []
    for submission in by_job:
        in_time = submission.in_thread or time.monotonic() <= deadline
        if in_time and submission.future is not None and submission.stop():
            stopping.append(submission)
    return stopping
