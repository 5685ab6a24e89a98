"""Recording of job outcomes, with retries while the store fails."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from pydatatask_core.utils import Backoff

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydatatask_core.repository.metadata import MetadataRepository

    from .base import Task

__all__ = ["OutcomeLog"]

log = logging.getLogger("pydatatask.task")

_FIRST_RETRY_DELAY_SECONDS = 0.5
_MAX_RETRY_DELAY_SECONDS = 60.0


class OutcomeLog:
    """Writes the ``done`` records of a task, and keeps those that could not be written.

    A job whose record is not written yet counts as live, so that it is not launched again.

    :param task: the task whose outcomes are recorded.
    :param link: the name of the link to ``done``.
    :param done: the repository of the records.
    """

    def __init__(self, task: Task, link: str, done: MetadataRepository) -> None:
        self.task = task
        self.link = link
        self.done = done
        self._succeeded = task.outcome_view(link)
        self.pending: dict[str, Mapping[str, Any]] = {}
        self._backoff = Backoff(_FIRST_RETRY_DELAY_SECONDS, _MAX_RETRY_DELAY_SECONDS)
        self._retry_at = 0.0

    async def record(self, job: str, record: Mapping[str, Any]) -> None:
        """Write a record, or keep it for :meth:`retry` if the store fails.

        :param job: the job.
        :param record: its outcome.
        """
        success: bool = record["success"]
        if self.task.metadata:
            try:
                await self.done.dump(job, record)
            except Exception as e:  # noqa: BLE001 - logged, and retried
                self._postpone(job, record, e)
                return
            self._succeeded.record_verdict(job, success)
        if self.pending:
            self.pending.pop(job, None)
        if not success and self.task.runtime is not None:
            await self.task.runtime.failed(self.task, job, record)

    def _postpone(self, job: str, record: Mapping[str, Any], error: Exception) -> None:
        is_repeated = job in self.pending
        if self.pending and not is_repeated:  # already logged; all pending records are retried
            self.pending[job] = record
            return
        self.pending.pop(job, None)
        self.pending[job] = record  # moved to the end, so that it does not block the others
        delay = self._backoff.next_delay()
        self._retry_at = time.monotonic() + delay
        asyncio.get_running_loop().call_later(delay, self.task.wake)
        log.error(
            "%s: the outcome of job %s could not be recorded and is kept; next try in %.1f s: %s",
            self.task.name,
            job,
            delay,
            error,
            extra={"task": self.task.name, "job": job},
        )

    async def retry(self) -> None:
        """Write the pending records, if the retry delay is over."""
        if self.pending and time.monotonic() >= self._retry_at:
            for job, record in list(self.pending.items()):
                await self.record(job, record)
                if job in self.pending:
                    return
        if not self.pending:
            self._backoff.reset()
