"""Seeing to the jobs that have ended: a record, another attempt, or neither."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import OutputConflictError
from pydatatask_core.repository.job_scope import written_stores
from pydatatask_core.task.function import failure
from pydatatask_core.utils import run_concurrently

from .instance import Instance, ended_early

if TYPE_CHECKING:
    from pydatatask_core.task.function import FunctionTask
    from pydatatask_core.task.outcomes import Recorder
    from pydatatask_core.task.required_outputs import Outputs

    from .roster import Roster

__all__ = ["Settling"]

log = logging.getLogger("pydatatask.task")

WRITES_AT_ONCE = 16
"""How many records are written at once."""


class Settling:
    """Settles the instances of a task that have ended; until then a job counts as running.

    :param task: whose jobs they are.
    :param roster: knows the instances and which have ended.
    :param recorder: writes the records.
    """

    def __init__(self, task: FunctionTask, roster: Roster, recorder: Recorder) -> None:
        self._task = task
        self._roster = roster
        self._recorder = recorder
        self._attempts: dict[str, int] = {}
        self._lock = asyncio.Lock()
        self.unusable: str | None = None
        """Why no worker can run any job of the task, once one has said so."""

    def reset(self) -> None:
        """Forget attempts and verdicts, as the pipeline opens or closes."""
        self._attempts.clear()
        self.unusable = None

    def enter_loop(self) -> None:
        """Work in another event loop from now on."""
        self._lock = asyncio.Lock()

    def next_attempt(self, job: str) -> int:
        """Count the attempts of a job; give the number of the one that begins."""
        return self._attempts.pop(job, 0) + 1

    async def settle(self) -> None:
        """Record every job that has ended, or see to its next attempt."""
        async with self._lock:
            writers = min(WRITES_AT_ONCE, len(self._roster.ends))
            await run_concurrently(self._settle_some() for _ in range(writers))

    async def _settle_some(self) -> None:
        ends = self._roster.ends
        while ends:
            instance = ends.popleft()
            try:
                await self._settle_one(instance)
            except BaseException:
                ends.appendleft(instance)
                raise

    async def _settle_one(self, instance: Instance) -> None:
        job, ending = instance.job, instance.ending()
        if ending is not None and ending.unusable is not None:
            instance.unusable = True
            self._give_up(ending.unusable)
        elif ending is not None:
            record = {**ending.record, "attempt": instance.attempt}
            check = self._task.output_check
            conflict = self._find_conflict(instance)
            if conflict is not None and record["success"]:
                record |= {"success": False, **failure(conflict)}
            outputs = check.unwritten(instance.scope, record) if record["success"] else {}
            if outputs and not await check.has_all_here(job, outputs):
                runtime = self._task.runtime
                if runtime is not None and not instance.awaited:
                    check.checking.add(job)
                    coroutine = self._end_later(instance, record, outputs)
                    return runtime.spawn(coroutine, f"pydatatask outputs of {job}")
                record |= await check.verdict(job, outputs)
            return await self._end(instance, record)
        self._forget(instance)
        return None

    def _find_conflict(self, instance: Instance) -> OutputConflictError | None:
        """Return an error if a job has overwritten what another task has published.

        In a thread, that is refused. In another process, it is only found out afterwards.
        """
        scope = instance.scope
        if scope.before_publish is None or instance.in_thread:
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

    async def _end_later(
        self, instance: Instance, record: dict[str, Any], outputs: Outputs
    ) -> None:
        """Look for the outputs of a job beside the other jobs, then record its end."""
        check = self._task.output_check
        try:
            record |= await check.verdict(instance.job, outputs)
            await self._end(instance, record)
        except BaseException:
            self._roster.ends.append(instance)  # for when the pipeline is opened again
            raise
        finally:
            check.checking.discard(instance.job)
            self._task.wake()

    async def _end(self, instance: Instance, record: dict[str, Any]) -> None:
        """Record the end of a job, or see to its next attempt."""
        job, wait = instance.job, None
        if not (record["success"] or instance.cancelled):
            wait = self._task.retries.wait_after(instance.attempt)
        if wait is None:
            await self._recorder.record(job, record)
        else:
            self._attempts[job] = instance.attempt
            if instance.awaited:
                instance.retry_after = wait
                return
            self._task.retry_later(job, wait)
        self._forget(instance)

    def _forget(self, instance: Instance) -> None:
        self._roster.instances.pop(instance.job, None)
        instance.future = None  # which leads back here, and to whatever its executor keeps for it

    def _give_up(self, problem: str) -> None:
        if self.unusable is None:
            name = self._task.name
            self.unusable = f"{name} launches nothing until the pipeline is opened again: {problem}"
            log.error("%s", self.unusable, extra={"task": name})

    async def cancel_waiting(self, job: str) -> None:
        """Record that a job was cancelled while it waited for another attempt.

        :param job: a job that runs nowhere; nothing launches it meanwhile.
        """
        instances = self._roster.instances
        attempt = self._attempts.pop(job, 0)
        instance = instances.setdefault(job, Instance(job, attempt, self._task.scope_of(job)))
        instance.ended.set()
        try:
            record = ended_early(datetime.now(UTC), "cancelled")
            await self._recorder.record(job, {**record, "attempt": attempt})
        finally:
            instances.pop(job, None)
