"""Handling of ended jobs: a record, a retry, or neither."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import OutputConflictError
from pydatatask_core.repository.job_scope import written_stores
from pydatatask_core.repository.memory import InProcessMetadataRepository
from pydatatask_core.task.function import describe_failure
from pydatatask_core.utils import run_concurrently

from .submission import Submission, early_end_record

if TYPE_CHECKING:
    from pydatatask_core.task.function import FunctionTask
    from pydatatask_core.task.outcome_log import OutcomeLog
    from pydatatask_core.task.required_outputs import Outputs

    from .submissions import Submissions

__all__ = ["ResultRecorder"]

log = logging.getLogger("pydatatask.task")

MAX_CONCURRENT_WRITES = 16
"""The maximum number of records written concurrently."""


class ResultRecorder:
    """Records the ended submissions of a task; until then a job counts as running.

    :param task: the task.
    :param submissions: the submissions, and those that have ended.
    :param recorder: writes the records.
    """

    def __init__(self, task: FunctionTask, submissions: Submissions, recorder: OutcomeLog) -> None:
        self._task = task
        self._submissions = submissions
        self._outcome_log = recorder
        self._in_memory = type(recorder.done) is InProcessMetadataRepository
        self._attempts: dict[str, int] = {}
        self._lock = asyncio.Lock()
        self.unusable: str | None = None
        """Why no worker can run any job of the task, after a worker has reported so."""

    def reset(self) -> None:
        """Clear the attempts and worker errors, when the pipeline opens or closes."""
        self._attempts.clear()
        self.unusable = None

    def enter_loop(self) -> None:
        """Prepare for use in another event loop."""
        self._lock = asyncio.Lock()

    def next_attempt(self, job: str) -> int:
        """Return the number of the attempt that begins, counted from 1."""
        return self._attempts.pop(job, 0) + 1

    async def record_finished(self) -> None:
        """Record every ended job, or schedule its retry."""
        async with self._lock:
            self._submissions.collect()
            writers = min(MAX_CONCURRENT_WRITES, len(self._submissions.finished))
            if writers > 1 and not self._in_memory:
                await run_concurrently(self._record_some() for _ in range(writers))
            else:  # asyncio tasks would take longer than the writes
                await self._record_some()

    async def _record_some(self) -> None:
        finished = self._submissions.finished
        while finished:
            submission = finished.popleft()
            try:
                await self._record_one(submission)
            except BaseException:
                finished.appendleft(submission)
                raise

    async def _record_one(self, submission: Submission) -> None:
        job, result = submission.job, submission.result()
        if result is not None and result.unusable is not None:
            submission.unusable = True
            self._set_worker_error(result.unusable)
        elif result is not None:
            record = {**result.record, "attempt": submission.attempt}
            check = self._task.output_check
            conflict = self._find_conflict(submission)
            if conflict is not None and record["success"]:
                record |= {"success": False, **describe_failure(conflict)}
            outputs = check.unwritten(submission.scope, record) if record["success"] else {}
            if outputs and not await check.has_all_here(job, outputs):
                runtime = self._task.runtime
                if runtime is not None and not submission.is_awaited:
                    check.checking.add(job)
                    coroutine = self._record_later(submission, record, outputs)
                    return runtime.spawn(coroutine, f"pydatatask outputs of {job}")
                record |= await check.verdict(job, outputs)
            return await self._end(submission, record)
        self._forget(submission)
        return None

    def _find_conflict(self, submission: Submission) -> OutputConflictError | None:
        """Return an error if a job has overwritten a key that another task published.

        In a thread, the write itself fails. In another process, this is detected only afterwards.
        """
        scope = submission.scope
        if scope.before_publish is None or submission.in_thread:
            return None
        try:
            for link in self._task.links.values():
                if link.is_output:
                    for store in written_stores(link.repo):
                        if scope.wrote_own_key(store):
                            scope.before_publish(store, scope.job)
        except OutputConflictError as e:
            return e
        return None

    async def _record_later(
        self, submission: Submission, record: dict[str, Any], outputs: Outputs
    ) -> None:
        """Check the outputs of a job in the background, then record its outcome."""
        check = self._task.output_check
        try:
            record |= await check.verdict(submission.job, outputs)
            await self._end(submission, record)
        except BaseException:
            self._submissions.finished.append(submission)  # for the next opening of the pipeline
            raise
        finally:
            check.checking.discard(submission.job)
            self._task.wake()

    async def _end(self, submission: Submission, record: dict[str, Any]) -> None:
        """Record the outcome of a job, or schedule its retry."""
        job, wait = submission.job, None
        if not (record["success"] or submission.cancelled):
            wait = self._task.retries.wait_after(submission.attempt)
        if wait is None:
            await self._outcome_log.record(job, record)
        else:
            self._attempts[job] = submission.attempt
            if submission.is_awaited:
                submission.retry_after = wait
                return
            self._task.retry_later(job, wait)
        self._forget(submission)

    def _forget(self, submission: Submission) -> None:
        self._submissions.by_job.pop(submission.job, None)
        submission.future = None  # it refers back to this object, and to data of its executor

    def _set_worker_error(self, problem: str) -> None:
        if self.unusable is None:
            name = self._task.name
            self.unusable = f"{name} launches nothing until the pipeline is opened again: {problem}"
            log.error("%s", self.unusable, extra={"task": name})

    async def cancel_waiting(self, job: str) -> None:
        """Record that a job was cancelled while it waited for a retry.

        :param job: a job that is not running; it is not launched while this runs.
        """
        by_job = self._submissions.by_job
        attempt = self._attempts.pop(job, 0)
        submission = by_job.setdefault(job, Submission(job, attempt, self._task.new_scope(job)))
        submission.ended.set()
        try:
            record = early_end_record(datetime.now(UTC), "cancelled")
            await self._outcome_log.record(job, {**record, "attempt": attempt})
        finally:
            by_job.pop(job, None)
