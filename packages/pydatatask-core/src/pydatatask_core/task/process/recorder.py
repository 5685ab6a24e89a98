"""The recording of outcomes of a process task."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydatatask_core.errors import OutputConflictError, ProcessManagerError
from pydatatask_core.proc_manager.process import (
    MAX_INLINE_BYTES,
    Leftover,
    ProcessState,
    ProcessStatus,
)
from pydatatask_core.proc_manager.protocol.run_directory import STDERR, STDOUT_FILE
from pydatatask_core.repository.job_scope import written_stores
from pydatatask_core.task.detached.recorder import KILLED, Outcome, OutcomeRecorder
from pydatatask_core.task.detached.tracker import MAX_RETRY_DELAY_SECONDS

from .job import ProcessJob
from .outcome import describe_outcome
from .output_archive import split_streams
from .recover import save_that_it_runs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pydatatask_core.proc_manager.process import Output
    from pydatatask_core.repository.blob import BlobRepository

    from .task import ProcessTask
    from .tracker import ProcessTracker

__all__ = ["ProcessOutcome", "ProcessRecorder"]

log = logging.getLogger("pydatatask.task")

_RESTART_DELAY_SECONDS = 0.2

_BLOCK_BYTES = 1 << 20


@dataclass(slots=True)
class ProcessOutcome(Outcome):
    """The outcome of one process.

    :param status: the status of the process, with its streams.
    :param is_stuck: whether the job cannot be launched again, because its directory stays.
    """

    status: ProcessStatus = field(kw_only=True)
    is_stuck: bool = False


class ProcessRecorder(OutcomeRecorder[ProcessJob, ProcessOutcome]):
    """Records outcomes: the streams, ``done``, the record in ``pids``, and the directory last.

    :param task: the task.
    :param tracker: the jobs.
    """

    _task: ProcessTask
    _tracker: ProcessTracker

    async def find_outcome(self, tracked: ProcessJob) -> ProcessOutcome | None:
        task, tracker = self._task, self._tracker
        status = await task.backend.inspect(tracked.run, task.streams.captured)
        if tracked.cancelled:
            status = ProcessStatus(ProcessState.LOST, stop_reason=KILLED, note=status.note)
        is_stuck = False
        if status.state is ProcessState.RUNNING:
            await save_that_it_runs(task, tracked)
            await tracker.reacquire_quota(tracked)
            tracker.watch(tracked)
            return None
        if tracked.retry_at is not None and not tracked.cancelled:
            # The directory is that of the previous attempt.
            if await self._remove(tracked):
                tracker.schedule_retry(tracked, self._remaining_wait(tracked, tracked.retry_at))
                return None
            tracked.attempt, tracked.retry_at, is_stuck = max(1, tracked.attempt - 1), None, True
        elif status.state is ProcessState.NEVER_STARTED and status.stop_reason is None:
            delay = tracked.next_delay(_RESTART_DELAY_SECONDS)
            problem = "it could not be started"
            if await self._save_retry(tracked, delay, problem, tracked.attempt):
                return None
            is_stuck = True
        tracked.total_attempts = tracked.count_attempts(status.note)
        record = describe_outcome(
            tracked,
            status,
            task.streams.published,
            datetime.now(UTC),
            strict=bool(status.return_code) and task.uses_default_shell,
        )
        tracked.has_note = status.note is not None
        return ProcessOutcome(record, is_final=is_stuck, status=status, is_stuck=is_stuck)

    async def check_success(self, tracked: ProcessJob, outcome: ProcessOutcome) -> None:
        conflicts = await self._find_conflicts(tracked, self._task.streams.published)
        if conflicts:
            outcome.record |= {"success": False, "reason": next(iter(conflicts.values()))}
            outcome.is_final = True

    async def _find_conflicts(self, tracked: ProcessJob, streams: Iterable[str]) -> dict[str, str]:
        """Return the streams that another task has published for this job, with the messages.

        The other streams belong to this task from now on.
        """
        task, shared = self._task, self._task.shared_outputs
        conflicts: dict[str, str] = {}
        if shared is None:
            return conflicts
        await shared.prepare(task, tracked.job)
        for name in streams:
            try:
                for store in written_stores(task.streams.published[name]):
                    shared.claim(task, tracked.job, store, tracked.job)
            except OutputConflictError as e:
                conflicts[name] = str(e)
        return conflicts

    def _remaining_wait(self, tracked: ProcessJob, until: datetime) -> float:
        """Return the remaining seconds until a job's retry.

        This is never longer than the delay of the policy, even if the clock was changed meanwhile.
        """
        policy = self._task.retries.wait_after(tracked.attempt - 1) if tracked.attempt > 1 else None
        longest = MAX_RETRY_DELAY_SECONDS if policy is None else policy
        return min(max(0.0, (until - datetime.now(UTC)).total_seconds()), longest)

    async def write_outputs(self, tracked: ProcessJob, outcome: ProcessOutcome) -> None:
        task, record, status = self._task, outcome.record, outcome.status
        failed = not record["success"]
        if failed and outcome.is_stuck:
            record["reason"] += (
                f"; it is not retried, because its run directory "
                f"{str(tracked.run.directory)!r} can neither be removed nor renamed"
            )
        published, archived = split_streams(task, status, failed)
        # After a success, this was checked before the verdict.
        conflicts = await self._find_conflicts(tracked, published) if failed else {}
        published = [name for name in published if name not in conflicts]
        for name in published:
            await self._copy(tracked, name, status.outputs[name], task.streams.published[name])
        tracked.keeps_directory = not await self._tracker.output_archive.replace(tracked, archived)
        if task.done is not None and task.metadata:
            record |= await self._tails(tracked, status, published, failed)

    async def delete_remains(self, tracked: ProcessJob) -> None:
        await self._save_attempts(tracked)
        await self._task.pids.delete(tracked.job)
        if not tracked.keeps_directory:
            await self._remove_recorded(tracked)

    async def _remove_recorded(self, tracked: ProcessJob) -> None:
        """Remove the run directory of a recorded job; a failure is only reported."""
        try:
            await self._remove(tracked)
        except ProcessManagerError as e:
            leftover = Leftover(str(tracked.run.directory), str(e))
            self._tracker.leftovers.add(tracked.job, leftover)

    async def _save_attempts(self, tracked: ProcessJob) -> None:
        """Save the number of attempts for the next one; without it, the count restarts at 1."""
        failed = tracked.record is not None and not tracked.record["success"]
        if not failed and not tracked.has_note:
            return
        try:
            note = tracked.attempt_note() if failed else None
            await self._task.backend.save_note(tracked.run, note)
        except ProcessManagerError as e:
            log.warning(
                "%s: the number of attempts of job %s, which has ended, cannot be saved: %s",
                *(self._task.name, tracked.job, e),
                extra={"task": self._task.name, "job": tracked.job},
            )

    async def record_killed(self, tracked: ProcessJob) -> None:
        """Record that a job was killed while it waited for a retry, and had no process.

        :param tracked: the job, which another process drives.
        """
        tracked.total_attempts = tracked.attempt
        killed = ProcessStatus(ProcessState.LOST, stop_reason=KILLED)
        published = self._task.streams.published
        record = describe_outcome(tracked, killed, published, datetime.now(UTC))
        await self.write_record(tracked, record)
        await self._task.pids.delete(tracked.job)

    async def _remove(self, tracked: ProcessJob) -> bool:
        """Remove the run directory of a job; return whether the next one can be created."""
        leftover = await self._task.backend.remove(tracked.run)
        if leftover is None:
            return True
        self._tracker.leftovers.add(tracked.job, leftover)
        return not self._task.backend.blocks_launch(tracked.run, leftover)

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
            if failed and name in self._task.streams.published and name not in published:
                if output.data is None:
                    tail = await self._task.backend.read_tail(tracked.run, name, MAX_INLINE_BYTES)
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
            await self._task.backend.open_output(tracked.run, name) as source,
            await repo.open(tracked.job, "wb") as target,
        ):
            leftover = output.size  # a process that outlives the job may still be writing
            while leftover > 0 and (block := await source.read(min(leftover, _BLOCK_BYTES))):
                await target.write(block)
                leftover -= len(block)

    async def reschedule(self, tracked: ProcessJob, outcome: ProcessOutcome, delay: float) -> bool:
        outcome.is_stuck = not await self._save_retry(
            tracked, delay, outcome.record["reason"], tracked.attempt + 1
        )
        return not outcome.is_stuck

    async def _save_retry(
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
        is_saved = False
        try:
            await self._task.pids.dump(tracked.job, tracked.live_record())
            is_saved = True
            is_saved = await self._remove(tracked)  # if this raises, the retry is saved already
        finally:
            if not is_saved:
                tracked.attempt, tracked.last_error = before
                tracked.retry_at = None
        if is_saved:
            self._tracker.schedule_retry(tracked, delay)
        return is_saved
