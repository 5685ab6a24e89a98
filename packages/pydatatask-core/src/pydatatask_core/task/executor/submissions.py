"""The jobs of a task in its executor, and those of them that have ended."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from concurrent.futures import BrokenExecutor, CancelledError, Future
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .submission import Submission
    from .worker import JobResult

__all__ = ["Submissions"]


class Submissions:
    """The submissions of a task. Executors may report the end of a job in any thread.

    An end that is reported while no event loop runs is kept for the next one.

    :param wake: called in the event loop after a job has ended.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.by_job: dict[str, Submission] = {}
        self.finished: deque[Submission] = deque()
        """The ended submissions that are not recorded yet."""
        self._wake = wake
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unnoticed: deque[Submission] = deque()
        self._notice_scheduled = False

    def enter(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Set the event loop in which ends are handled, and return whether it changed.

        :param loop: the running loop.
        """
        if loop is self._loop:
            return False
        self._loop = loop  # set before handling the ends that came without a loop
        self.collect()
        return True

    def on_submitted(self, submission: Submission, future: Future[JobResult]) -> None:
        """Set the future of a submission; callable from any thread.

        :param submission: the submission.
        :param future: the future that the executor returned.
        """
        submission.future = future
        future.add_done_callback(partial(self._on_done, submission))

    def _on_done(self, submission: Submission, future: Future[JobResult]) -> None:
        with suppress(CancelledError):
            if isinstance(future.exception(), BrokenExecutor):
                # A broken executor fails all its jobs one after the other, whether started or not.
                # Those still queued at the first failure have not started.
                for other in list(self.by_job.values()):
                    other.never_started = other.never_started or other.is_pending
        self._unnoticed.append(submission)
        if self._loop is not None and not self._notice_scheduled:
            self._notice_scheduled = True  # before scheduling, so that no end waits for another one
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._notice)

    def _notice(self) -> None:
        self.collect()
        self._wake()

    def collect(self) -> None:
        """Add the submissions to ``finished`` whose end was reported since the last call."""
        self._notice_scheduled = False
        while self._unnoticed:
            submission = self._unnoticed.popleft()
            self.finished.append(submission)
            submission.ended.set()

    def reopen(self) -> None:
        """Reset the submissions left from an earlier opening of the pipeline."""
        for submission in self.by_job.values():
            submission.closing = False

    async def cancel_pending(self, seconds: float) -> None:
        """Cancel queued jobs, and running ones if possible, when the pipeline closes.

        :param seconds: the time limit in seconds.
        :raises TimeoutError: if a cancelled job has not ended by then.
        """
        for submission in self.by_job.values():
            submission.closing = True
            submission.abandoned = not submission.ended.is_set()
        pending = [submission for submission in self.by_job.values() if submission.abandoned]
        deadline = time.monotonic() + seconds
        async with asyncio.timeout(seconds):
            # In reverse order: the last ones are the least likely to have started.
            stopping = await asyncio.to_thread(_cancel_until, list(reversed(pending)), deadline)
            await asyncio.gather(*(submission.ended.wait() for submission in stopping))


def _cancel_until(by_job: Iterable[Submission], deadline: float) -> list[Submission]:
    """Cancel jobs until the deadline; those in threads in any case, because that is immediate.

    The shutdown of a thread pool would wait for a function that was not stopped.
    """
    stopping = []
    for submission in by_job:
        in_time = submission.in_thread or time.monotonic() <= deadline
        if in_time and submission.future is not None and submission.stop():
            stopping.append(submission)
    return stopping
