"""The recording of outcomes of a process task."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import OutputConflictError, ProcessManagerError
from pydatatask_core.proc_manager.process import (
    MAX_INLINE_BYTES,
    Leftover,
    ProcessState,
    ProcessStatus,
)
from pydatatask_core.proc_manager.protocol.run_directory import STDERR, STDOUT_FILE
from pydatatask_core.repository.job_scope import written_stores
from pydatatask_core.task.detached.tracker import MAX_RETRY_DELAY_SECONDS
from pydatatask_core.task.required_outputs import missing_outputs_record

from .outcome import KILLED, describe_outcome
from .output_archive import split_streams

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pydatatask_core.proc_manager.process import Output
    from pydatatask_core.repository.blob import BlobRepository

    from .job import ProcessJob
    from .task import ProcessTask
    from .tracker import ProcessTracker

__all__ = ["OutcomeRecorder"]

log = logging.getLogger("pydatatask.task")

MAX_CONCURRENT_RECORDS = 16
"""The maximum number of outcomes of a task recorded concurrently."""

_RESTART_DELAY_SECONDS = 0.2

_BLOCK_BYTES = 1 << 20


class OutcomeRecorder:
    """Records outcomes: outputs, ``done``, the record in ``pids``, and the directory last.

    Each step may be repeated. As long as one fails, the directory and the record stay.

    :param task: the task.
    :param tracker: the jobs.
    """

    def __init__(self, task: ProcessTask, tracker: ProcessTracker) -> None:
        self.task = task
        self.tracker = tracker
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_RECORDS)

    async def record(self, tracked: ProcessJob) -> None:
        """Record the outcome of a job as far as possible, or find that it has not ended.

        :param tracked: the job, whose process may have ended.
        """
        await self.tracker.release_quota(tracked)
        async with self._slots:
            ended = await self._find_outcome(tracked)
        if ended is None:
            return
        status, record, is_stuck = ended
        if record["success"]:
            # Outside of the slots, because this may take a minute.
            missing = await self.tracker.missing_outputs(tracked, self.task.log_repositories)
            if missing:
                record |= missing_outputs_record(missing)
        async with self._slots:
            conflicts = {}
            if record["success"]:
                conflicts = await self._find_conflicts(tracked, self.task.published_streams)
            tracked.conflict = next(iter(conflicts.values()), None)
            if tracked.conflict is not None:
                record |= {"success": False, "reason": tracked.conflict}
            await self._record(tracked, status, record, is_stuck)

    async def _find_outcome(
        self, tracked: ProcessJob
    ) -> tuple[ProcessStatus, dict[str, Any], bool] | None:
        """Return the outcome of a job, or None if it continues or is launched again.

        The last item is True if the job cannot be launched again.
        """
        task = self.task
        status = await task.backend.inspect(tracked.run, task.captured_stream_names)
        if tracked.cancelled:
            status = ProcessStatus(ProcessState.LOST, stop_reason=KILLED, note=status.note)
        is_stuck = False
        if status.state is ProcessState.RUNNING:
            await self.tracker.reacquire_quota(tracked)
            self.tracker.watch(tracked)
            return None
        if tracked.retry_at is not None and not tracked.cancelled:
            # The directory is that of the previous attempt.
            if await self._remove(tracked):
                self.tracker.schedule_retry(
                    tracked, self._remaining_wait(tracked, tracked.retry_at)
                )
                return None
            tracked.attempt, tracked.retry_at, is_stuck = max(1, tracked.attempt - 1), None, True
        elif status.state is ProcessState.NEVER_STARTED and status.stop_reason is None:
            delay = tracked.next_delay(_RESTART_DELAY_SECONDS)
            if await self.reschedule(tracked, delay, "it could not be started", tracked.attempt):
                return None
            is_stuck = True
        tracked.total_attempts = tracked.count_attempts(status.note)
        record = describe_outcome(
            tracked,
            status,
            task.published_streams,
            datetime.now(UTC),
            strict=task.uses_default_shell,
        )
        return status, record, is_stuck

    async def _find_conflicts(self, tracked: ProcessJob, streams: Iterable[str]) -> dict[str, str]:
        """Return the streams that another task has published for this job, with the messages.

        The other streams belong to this task from now on.
        """
        task, shared = self.task, self.task.shared_outputs
        conflicts: dict[str, str] = {}
        if shared is None:
            return conflicts
        await shared.prepare(task, tracked.job)
        for name in streams:
            try:
                for store in written_stores(task.published_streams[name]):
                    shared.claim(task, tracked.job, store, tracked.job)
            except OutputConflictError as e:
                conflicts[name] = str(e)
        return conflicts

    def _remaining_wait(self, tracked: ProcessJob, until: datetime) -> float:
        """Return the remaining seconds until a job's retry.

        This is never longer than the delay of the policy, even if the clock was changed meanwhile.
        """
        policy = self.task.retries.wait_after(tracked.attempt - 1) if tracked.attempt > 1 else None
        longest = MAX_RETRY_DELAY_SECONDS if policy is None else policy
        return min(max(0.0, (until - datetime.now(UTC)).total_seconds()), longest)

    async def _record(
        self, tracked: ProcessJob, status: ProcessStatus, record: dict[str, Any], is_stuck: bool
    ) -> None:
        task, failed = self.task, not record["success"]
        ends = is_stuck or tracked.is_final_attempt or tracked.conflict is not None
        final = ends or bool(record.keys() & {"lost", "killed"})
        if failed and not final:
            delay = task.retries.wait_after(tracked.attempt)
            if delay is not None:
                log.info(
                    "%s: job %s failed and is retried in %.1f s: %s",
                    *(task.name, tracked.job, delay, record["reason"]),
                    extra={"task": task.name, "job": tracked.job},
                )
                if await self.reschedule(tracked, delay, record["reason"], tracked.attempt + 1):
                    return
                is_stuck = True
        if failed and is_stuck:
            record["reason"] += (
                f"; it is not retried, because its run directory "
                f"{str(tracked.run.directory)!r} can neither be removed nor renamed"
            )
        published, archived = split_streams(task, status, failed)
        # After a success, this was checked before the verdict.
        conflicts = await self._find_conflicts(tracked, published) if failed else {}
        published = [name for name in published if name not in conflicts]
        for name in published:
            await self._copy(tracked, name, status.outputs[name], task.published_streams[name])
        is_archived = await self.tracker.output_archive.replace(tracked, archived)
        if task.done is not None and task.metadata:
            record |= await self._tails(tracked, status, published, failed)
            await task.done.dump(tracked.job, record)
            task.outcome_view("done").record_verdict(tracked.job, not failed)
        await self._save_attempts(tracked, status, failed)
        await task.pids.delete(tracked.job)
        if is_archived:
            await self._remove_recorded(tracked)
        await self.tracker.complete(tracked, record)

    async def _save_attempts(
        self, tracked: ProcessJob, status: ProcessStatus, failed: bool
    ) -> None:
        """Save the number of attempts for the next one; without it, the count restarts at 1."""
        try:
            if failed:
                await self.task.backend.save_note(tracked.run, tracked.attempt_note())
            elif status.note is not None:
                await self.task.backend.save_note(tracked.run, None)
        except ProcessManagerError as e:
            log.warning(
                "%s: the number of attempts of job %s, which has ended, cannot be saved: %s",
                *(self.task.name, tracked.job, e),
                extra={"task": self.task.name, "job": tracked.job},
            )

    async def record_killed(self, tracked: ProcessJob) -> None:
        """Record that a job was killed while it waited for a retry, and had no process.

        :param tracked: the job.
        """
        task = self.task
        killed, tracked.total_attempts = (
            ProcessStatus(ProcessState.LOST, stop_reason=KILLED),
            tracked.attempt,
        )
        record = describe_outcome(tracked, killed, task.published_streams, datetime.now(UTC))
        if task.done is not None and task.metadata:
            await task.done.dump(tracked.job, record)
            task.outcome_view("done").record_verdict(tracked.job, False)
        await task.pids.delete(tracked.job)

    async def _remove(self, tracked: ProcessJob) -> bool:
        """Remove the run directory of a job; return whether the next one can be created."""
        leftover = await self.task.backend.remove(tracked.run)
        if leftover is None:
            return True
        self.tracker.leftovers.add(tracked.job, leftover)
        return not self.task.backend.blocks_launch(tracked.run, leftover)

    async def _remove_recorded(self, tracked: ProcessJob) -> None:
        """Remove the run directory of a recorded job; a failure is only reported."""
        try:
            await self._remove(tracked)
        except ProcessManagerError as e:
            self.tracker.leftovers.add(tracked.job, Leftover(str(tracked.run.directory), str(e)))

    async def _tails(
        self, tracked: ProcessJob, status: ProcessStatus, published: Collection[str], failed: bool
    ) -> dict[str, str]:
        """Return the stream tails for the record of a job.

        :param published: the streams that are in a repository now.
        """
        tails: dict[str, str] = {}
        for name in (STDERR, STDOUT_FILE):
            output = status.outputs.get(name)
            if output is None:
                continue
            tail = output.tail
            if failed and name in self.task.published_streams and name not in published:
                if output.data is None:
                    tail = await self.task.backend.read_tail(tracked.run, name, MAX_INLINE_BYTES)
                else:
                    tail = output.data
            elif name in published and (not failed or tails):
                continue  # the repository has all of it
            if tail or (failed and name == STDERR):
                tails[f"{name.removeprefix('.')}_tail"] = tail.decode(errors="replace")
        return tails

    async def _copy(
        self, tracked: ProcessJob, name: str, output: Output, repo: BlobRepository
    ) -> None:
        if output.data is not None:
            async with await repo.open(tracked.job, "wb") as target:
                await target.write(output.data)
            return
        async with (
            await self.task.backend.open_output(tracked.run, name) as source,
            await repo.open(tracked.job, "wb") as target,
        ):
            leftover = output.size  # a process that outlives the job may still be writing
            while leftover > 0 and (block := await source.read(min(leftover, _BLOCK_BYTES))):
                await target.write(block)
                leftover -= len(block)

    async def reschedule(
        self, tracked: ProcessJob, delay: float, problem: str, attempt: int
    ) -> bool:
        """Schedule another launch of a job.

        The record is updated first, so that the directory may be removed.

        :param tracked: the job, whose process has ended.
        :param delay: the delay in seconds.
        :param problem: the reason.
        :param attempt: the number of the next attempt.
        :return: False if it cannot be launched again, because its directory cannot be removed.
        """
        before = tracked.attempt, tracked.last_error
        tracked.attempt, tracked.last_error = attempt, problem
        tracked.retry_at = datetime.now(UTC) + timedelta(seconds=delay)
        try:
            await self.task.pids.dump(tracked.job, tracked.record())
        except BaseException:
            tracked.attempt, tracked.last_error = before
            tracked.retry_at = None
            raise
        if not await self._remove(tracked):
            tracked.attempt, tracked.last_error = before
            tracked.retry_at = None
            return False
        self.tracker.schedule_retry(tracked, delay)
        return True
