"""How a job of a process task ends."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import OutputConflictError, ProcessManagerError
from pydatatask_core.proc_manager.run import INLINE, Leftover, Report, State
from pydatatask_core.proc_manager.supervisor import STDERR, STDOUT_FILE
from pydatatask_core.repository.job_scope import written_stores
from pydatatask_core.task.flight import LONGEST_WAIT
from pydatatask_core.task.required_outputs import outputs_lacking

from .held import place_streams
from .outcome import KILLED, describe_outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pydatatask_core.proc_manager.run import Output
    from pydatatask_core.repository.blob import BlobRepository
    from pydatatask_core.task.process import ProcessTask

    from .jobs import Jobs
    from .live import LiveJob

__all__ = ["Ender"]

log = logging.getLogger("pydatatask.task")

AT_ONCE = 16
"""The ends of how many jobs of a task are recorded at once."""

_RESTART_DELAY = 0.2

_BLOCK_BYTES = 1 << 20


class Ender:
    """Records the ends of jobs: outputs, ``done``, the record in ``pids``, and the directory last.

    Each step may be repeated. While one fails, the directory and the record stay.

    :param task: whose jobs.
    :param jobs: the jobs.
    """

    def __init__(self, task: ProcessTask, jobs: Jobs) -> None:
        self.task = task
        self.jobs = jobs
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def end(self, live: LiveJob) -> None:
        """Record the end of a job as far as possible, or find that it has not ended.

        :param live: the job, whose process may be over.
        """
        await self.jobs.give_back(live)
        async with self._slots:
            ended = await self._find_end(live)
        if ended is None:
            return
        report, record, stuck = ended
        if record["success"]:
            # Outside of the slots, because this may take a minute.
            missing = await self.jobs.missing_outputs(live, self.task.written)
            if missing:
                record |= outputs_lacking(missing)
        async with self._slots:
            conflicts = {}
            if record["success"]:
                conflicts = await self._find_conflicts(live, self.task.published)
            live.conflict = next(iter(conflicts.values()), None)
            if live.conflict is not None:
                record |= {"success": False, "reason": live.conflict}
            await self._settle(live, report, record, stuck)

    async def _find_end(self, live: LiveJob) -> tuple[Report, dict[str, Any], bool] | None:
        """Return how a job ended, or None if it goes on or is launched again.

        The last item is whether it cannot be launched again.
        """
        task = self.task
        report = await task.runs.report(live.run, task.kept_streams)
        if live.cancelled:
            report = Report(State.LOST, stopped=KILLED, memo=report.memo)
        stuck = False
        if report.state is State.RUNNING:
            await self.jobs.take_back(live)
            self.jobs.run_on(live)
            return None
        if live.waiting_for is not None and not live.cancelled:
            # What is there was left by the attempt before.
            if await self._remove(live):
                self.jobs.wait_again(live, self._rest_of_wait(live, live.waiting_for))
                return None
            live.attempt, live.waiting_for, stuck = max(1, live.attempt - 1), None, True
        elif report.state is State.NOT_STARTED and report.stopped is None:
            delay = live.wait(_RESTART_DELAY)
            if await self.put_off(live, delay, "it could not be started", live.attempt):
                return None
            stuck = True
        live.attempts = live.count_attempts(report.memo)
        record = describe_outcome(
            live, report, task.published, datetime.now(UTC), strict=task.runs_strictly
        )
        return report, record, stuck

    async def _find_conflicts(self, live: LiveJob, streams: Iterable[str]) -> dict[str, str]:
        """Return which of the streams another task has published for this job, and the message.

        The others are published by this task from now on.
        """
        task, shared = self.task, self.task.shared_outputs
        conflicts: dict[str, str] = {}
        if shared is None:
            return conflicts
        await shared.prepare(task, live.job)
        for name in streams:
            try:
                for store in written_stores(task.published[name]):
                    shared.claim(task, live.job, store, live.job)
            except OutputConflictError as e:
                conflicts[name] = str(e)
        return conflicts

    def _rest_of_wait(self, live: LiveJob, until: datetime) -> float:
        """Return for how many more seconds a job waits for its next attempt.

        That is never longer than after a failure, whatever became of the clock since then.
        """
        policy = self.task.retries.wait_after(live.attempt - 1) if live.attempt > 1 else None
        longest = LONGEST_WAIT if policy is None else policy
        return min(max(0.0, (until - datetime.now(UTC)).total_seconds()), longest)

    async def _settle(
        self, live: LiveJob, report: Report, record: dict[str, Any], stuck: bool
    ) -> None:
        task, failed = self.task, not record["success"]
        ends = stuck or live.is_last or live.conflict is not None
        final = ends or bool(record.keys() & {"lost", "killed"})
        if failed and not final:
            delay = task.retries.wait_after(live.attempt)
            if delay is not None:
                log.info(
                    "%s: job %s failed and is tried again in %.1f s: %s",
                    *(task.name, live.job, delay, record["reason"]),
                    extra={"task": task.name, "job": live.job},
                )
                if await self.put_off(live, delay, record["reason"], live.attempt + 1):
                    return
                stuck = True
        if failed and stuck:
            record["reason"] += (
                f"; it is not tried again, because its run directory {str(live.run.directory)!r} "
                "can neither be removed nor renamed"
            )
        published, held = place_streams(task, report, failed)
        # Of a success, that was done before the verdict.
        conflicts = await self._find_conflicts(live, published) if failed else {}
        published = [name for name in published if name not in conflicts]
        for name in published:
            await self._copy(live, name, report.outputs[name], task.published[name])
        is_held = await self.jobs.held_output.replace(live, held)
        if task.done is not None and task.metadata:
            record |= await self._tails(live, report, published, failed)
            await task.done.dump(live.job, record)
            task.outcome_view("done").record_verdict(live.job, not failed)
        await self._remember(live, report, failed)
        await task.pids.delete(live.job)
        if is_held:
            await self._leave(live)
        await self.jobs.finished(live, record)

    async def _remember(self, live: LiveJob, report: Report, failed: bool) -> None:
        """Leave the number of attempts for the next one; without that, it is counted from 1."""
        try:
            if failed:
                await self.task.runs.remember(live.run, live.memo())
            elif report.memo is not None:
                await self.task.runs.remember(live.run, None)
        except ProcessManagerError as e:
            log.warning(
                "%s: the number of attempts of job %s, which is over, cannot be noted: %s",
                *(self.task.name, live.job, e),
                extra={"task": self.task.name, "job": live.job},
            )

    async def record_killed(self, live: LiveJob) -> None:
        """Record that a job was killed which runs nowhere, because it waits for another attempt.

        :param live: the job.
        """
        task = self.task
        killed, live.attempts = Report(State.LOST, stopped=KILLED), live.attempt
        record = describe_outcome(live, killed, task.published, datetime.now(UTC))
        if task.done is not None and task.metadata:
            await task.done.dump(live.job, record)
            task.outcome_view("done").record_verdict(live.job, False)
        await task.pids.delete(live.job)

    async def _remove(self, live: LiveJob) -> bool:
        """Remove the run directory of a job; return whether the next one can be made."""
        left = await self.task.runs.remove(live.run)
        if left is None:
            return True
        self.jobs.leftovers.add(live.job, left)
        return not self.task.runs.is_obstacle(live.run, left)

    async def _leave(self, live: LiveJob) -> None:
        """Remove the run directory of a job that is recorded, and so is over in any case."""
        try:
            await self._remove(live)
        except ProcessManagerError as e:
            self.jobs.leftovers.add(live.job, Leftover(str(live.run.directory), str(e)))

    async def _tails(
        self, live: LiveJob, report: Report, published: Collection[str], failed: bool
    ) -> dict[str, str]:
        """Return the ends of the streams that the record of a job is to hold.

        :param published: the streams that are in a repository now.
        """
        tails: dict[str, str] = {}
        for name in (STDERR, STDOUT_FILE):
            output = report.outputs.get(name)
            if output is None:
                continue
            tail = output.tail
            if failed and name in self.task.published and name not in published:
                if output.data is None:
                    tail = await self.task.runs.tail(live.run, name, INLINE)
                else:
                    tail = output.data
            elif name in published and (not failed or tails):
                continue  # all of it can be read there
            if tail or (failed and name == STDERR):
                tails[f"{name.removeprefix('.')}_tail"] = tail.decode(errors="replace")
        return tails

    async def _copy(self, live: LiveJob, name: str, output: Output, repo: BlobRepository) -> None:
        if output.data is not None:
            async with await repo.open(live.job, "wb") as target:
                await target.write(output.data)
            return
        async with (
            await self.task.runs.read(live.run, name) as source,
            await repo.open(live.job, "wb") as target,
        ):
            left = output.size  # a process that has outlived the job may go on writing
            while left > 0 and (block := await source.read(min(left, _BLOCK_BYTES))):
                await target.write(block)
                left -= len(block)

    async def put_off(self, live: LiveJob, delay: float, problem: str, attempt: int) -> bool:
        """Have a job launched again after a wait.

        The record says so first, so that the directory may go.

        :param live: the job, whose process is over.
        :param delay: how long to wait, in seconds.
        :param problem: why.
        :param attempt: which attempt will be next.
        :return: False if it cannot be launched again, because its directory cannot go.
        """
        before = live.attempt, live.problem
        live.attempt, live.problem = attempt, problem
        live.waiting_for = datetime.now(UTC) + timedelta(seconds=delay)
        try:
            await self.task.pids.dump(live.job, live.record())
        except BaseException:
            live.attempt, live.problem = before
            live.waiting_for = None
            raise
        if not await self._remove(live):
            live.attempt, live.problem = before
            live.waiting_for = None
            return False
        self.jobs.wait_again(live, delay)
        return True
