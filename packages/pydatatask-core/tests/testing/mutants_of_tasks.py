"""Tasks that lose, repeat or misjudge jobs, or exceed quotas (T1 to T9).

The faults are at the interfaces of a task: its stores, its quota, and the methods that the pipeline
calls. So they do not depend on the parts of which a task is made.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core import (
    ExecutorTask,
    InProcessSyncTask,
    LocalLinuxManager,
    ProcessTask,
    ResourceManager,
    Resources,
)

from .harness import Mutants

if TYPE_CHECKING:
    from pydatatask_core.repository import Repository
    from pydatatask_core.testing import TaskLab

MUTANTS = Mutants()
breaks = MUTANTS.breaks

FUNCTIONS = {"outlives_driver": False, "has_quota": False}


@cache
def pool() -> ThreadPoolExecutor:
    """Return the threads that all executor tasks share."""
    return ThreadPoolExecutor(8)


class Faultless:
    """A fault that is none."""

    settings: dict[str, Any]

    def prepare(self, lab: TaskLab) -> None:
        """Change the lab before the task is created.

        :param lab: the lab.
        """


class Process(Faultless, ProcessTask):
    """A correct process task."""

    settings: dict[str, Any] = {}  # noqa: RUF012 - it is not changed

    def __init__(self, lab: TaskLab, **options: Any) -> None:
        self.prepare(lab)
        self.lab = lab
        folder = lab.root / "processes"
        super().__init__(
            "task",
            lambda: LocalLinuxManager("lab", folder),
            self.make_quota(lab),
            lab.request,
            lab.metadata("pids"),
            lab.script,
            done=lab.done,
            **options,
        )

    def make_quota(self, lab: TaskLab) -> ResourceManager:
        return lab.quota


class Function(Faultless, InProcessSyncTask):
    """A correct function task."""

    settings = FUNCTIONS

    def __init__(self, lab: TaskLab, **options: Any) -> None:
        self.prepare(lab)
        self.lab = lab
        super().__init__("task", lab.done, func=lab.perform, **options)


class Executor(Faultless, ExecutorTask):
    """A correct executor task."""

    settings = FUNCTIONS

    def __init__(self, lab: TaskLab, **options: Any) -> None:
        self.prepare(lab)
        super().__init__("task", pool(), lab.done, func=lab.perform, **options)


KINDS: tuple[type[Any], ...] = (Process, Function, Executor)


def breaks_for_each_kind(laws: str, *caught_by: str) -> Any:
    """Register a fault of each kind of task, as :meth:`Mutants.breaks` does."""

    def register(fault: type) -> type:
        for kind in KINDS:
            mutant: type[Any] = type(f"{fault.__name__}{kind.__name__}", (fault, kind), {})
            breaks(laws, *caught_by, **kind.settings)(mutant)
        return fault

    return register


# -- T1 --------------------------------------------------------------------------------------------

INSTANCES = ("a_live_job_is_not_launched_again", "concurrent_launches_start_a_job_once")


@breaks("T1", *INSTANCES, **FUNCTIONS)
class ForgetsItsRunningJobs(Function):
    async def launch(self, job: str) -> None:
        self._running.discard(job)
        await super().launch(job)


@breaks("T1", *INSTANCES, **FUNCTIONS)
class SubmitsAgain(Executor):
    async def launch(self, job: str) -> None:
        self._by_job.pop(job, None)
        await super().launch(job)


@breaks("T1", "concurrent_launches_start_a_job_once")
class LaunchesInARandomDirectory(Process):
    async def launch(self, job: str) -> None:
        self._tracker.jobs.pop(job, None)
        new = self.runs.new
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.runs, "new", lambda job, host: new(f"{job}{uuid.uuid4().hex}", host))
            await super().launch(job)


@breaks(
    "T1 T2",
    "the_next_driver_adopts_a_live_job",
    "a_job_that_ends_without_a_driver_is_recorded",
)
class BeginsWithAnEmptyFolder(Process):
    def prepare(self, lab: TaskLab) -> None:
        shutil.rmtree(lab.root / "pids", ignore_errors=True)
        if (lab.root / "processes").exists():
            (lab.root / "processes").rename(lab.root / f"processes{uuid.uuid4().hex}")


# -- T2 --------------------------------------------------------------------------------------------


@breaks_for_each_kind("T2", "every_end_is_recorded", "a_bad_job_stops_no_other")
class RecordsOnlySuccesses(Faultless):
    def prepare(self, lab: TaskLab) -> None:
        dump: Any = lab.done.dump

        async def dump_success(job: str, data: Any) -> None:
            if data["success"]:
                await dump(job, data)

        lab.done.dump = dump_success  # type: ignore[method-assign] # that is the fault


@breaks_for_each_kind("T2", "a_record_that_the_store_refuses_is_written_later")
class SwallowsErrorsOfTheStore(Faultless):
    def prepare(self, lab: TaskLab) -> None:
        dump: Any = lab.done.dump

        async def try_to_dump(job: str, data: Any) -> None:
            with suppress(OSError):
                await dump(job, data)

        lab.done.dump = try_to_dump  # type: ignore[method-assign] # that is the fault


@breaks_for_each_kind("T2", "a_bad_job_stops_no_other")
class StopsAfterAFailure:
    lab: TaskLab

    def prepare(self, lab: TaskLab) -> None:
        self.lab = lab

    async def launch(self, job: str) -> None:
        for other in await self.lab.done.keys():
            if not await self.lab.outcome(other):
                raise RuntimeError(f"job {other!r} has failed")
        await super().launch(job)  # type: ignore[misc] # it is mixed into a task


@breaks_for_each_kind("T2", "a_failed_job_is_retried_before_it_is_recorded")
class NeverRetries:
    def __init__(self, lab: TaskLab, retries: Any = 0, **options: Any) -> None:
        super().__init__(lab, **options)  # type: ignore[call-arg] # it is mixed into a task


@breaks_for_each_kind("T2", "a_retry_waits_for_its_time")
class RetriesAtOnce:
    def retry_later(self, job: str, delay: float) -> None:
        super().retry_later(job, 0.0)  # type: ignore[misc] # it is mixed into a task


# -- T4 --------------------------------------------------------------------------------------------


@breaks("T4", "a_driver_may_die_at_any_change_of_a_store")
class DeletesItsRecordBeforeTheOutcomeIsRecorded(Process):
    def prepare(self, lab: TaskLab) -> None:
        outcomes: dict[str, Any] = {}
        dump: Any = lab.done.dump
        metadata: Any = lab.metadata

        async def dump_later(job: str, data: Any) -> None:
            outcomes[job] = data

        def create(name: str) -> Any:
            repo = metadata(name)
            delete = repo.delete

            async def delete_first(job: str) -> None:
                await delete(job)
                if job in outcomes:
                    await dump(job, outcomes.pop(job))

            repo.delete = delete_first
            return repo

        lab.done.dump = dump_later  # type: ignore[method-assign] # that is the fault
        lab.metadata = create  # type: ignore[method-assign] # as above


INTERRUPTED = ("a_job_that_ended_with_its_driver_runs_again", "a_cancelled_function_has_no_outcome")


@breaks("T4 T7", *INTERRUPTED, **FUNCTIONS)
class RecordsACancellationAsAFailure(Function):
    async def launch(self, job: str) -> None:
        try:
            await super().launch(job)
        except asyncio.CancelledError:
            await self.lab.done.dump(job, {"success": False, "reason": "cancelled"})
            raise


@breaks("T4 T7", *INTERRUPTED, **FUNCTIONS)
class RecordsTheSuccessFirst(Function):
    async def launch(self, job: str) -> None:
        await self.lab.done.dump(job, {"success": True})
        await super().launch(job)


# -- T5 --------------------------------------------------------------------------------------------


@breaks("T5", "no_launch_exceeds_the_quota")
class UsesAQuotaOfItsOwn(Process):
    def make_quota(self, lab: TaskLab) -> ResourceManager:
        return ResourceManager(Resources.parse(100, 100))


@breaks("T5", "the_end_of_a_job_releases_its_share_once")
class ReleasesItsShareTwice(Process):
    def prepare(self, lab: TaskLab) -> None:
        relinquish: Any = lab.quota.relinquish

        async def relinquish_twice(request: Resources) -> None:
            await relinquish(request)
            await relinquish(request)

        lab.quota.relinquish = relinquish_twice  # type: ignore[method-assign] # that is the fault


@breaks("T5", "the_end_of_a_job_releases_its_share_once")
class NeverReleasesItsShare(Process):
    def prepare(self, lab: TaskLab) -> None:
        async def keep(request: Resources) -> None:
            pass

        lab.quota.relinquish = keep  # type: ignore[method-assign] # that is the fault


@breaks("T5", "a_failed_launch_takes_no_quota")
class KeepsTheShareOfAFailedLaunch(Process):
    def prepare(self, lab: TaskLab) -> None:
        closed: Any = lab.quota.reservation_closed

        def close(reservation: Any, *, failed: bool) -> None:
            closed(reservation, failed=False)

        lab.quota.reservation_closed = close  # type: ignore[method-assign] # that is the fault


@breaks("T5", "adopted_jobs_count_against_the_quota")
class ReportsNoUsage(Process):
    def prepare(self, lab: TaskLab) -> None:
        lab.quota.register = lambda *_, **__: None  # type: ignore[method-assign] # that is the fault


# -- T6 --------------------------------------------------------------------------------------------


@breaks_for_each_kind(
    "T6", "a_failed_job_does_not_start_the_next_task", "a_job_without_its_output_has_failed"
)
class TakesEveryEndForSuccess(Faultless):
    def prepare(self, lab: TaskLab) -> None:
        dump: Any = lab.done.dump

        async def dump_success(job: str, data: Any) -> None:
            await dump(job, {**data, "success": True})

        lab.done.dump = dump_success  # type: ignore[method-assign] # that is the fault


@breaks_for_each_kind("T6", "a_failed_job_does_not_start_the_next_task")
class PassesFailedJobsOn:
    def gated(self, name: str) -> Repository:
        links: Any = self.links  # type: ignore[attr-defined] # it is mixed into a task
        repo: Repository = links[name].repo
        return repo


@breaks_for_each_kind("T6", "a_job_without_its_output_has_failed")
class RequiresNoOutput:
    @property
    def required_outputs(self) -> dict[str, Repository]:
        return {}


@breaks_for_each_kind("T6", "a_job_that_has_ended_is_not_launched_again")
class LaunchesRecordedJobs:
    @property
    def inhibits_start(self) -> dict[str, Repository]:
        links: dict[str, Repository] = super().inhibits_start  # type: ignore[misc] # a mixin
        return {name: repo for name, repo in links.items() if name != "done"}


# -- T7 --------------------------------------------------------------------------------------------


@breaks("T7", "cancelling_launches_nothing_more", **FUNCTIONS)
class GoesOnWhenCancelled(Function):
    async def launch(self, job: str) -> None:
        try:
            await super().launch(job)
        except asyncio.CancelledError:
            await super().launch("d")


@breaks("T7", "cancelling_leaves_detached_work_running")
class KillsItsJobsOutsideOfARun(Process):
    async def update(self) -> bool:
        if self.runtime is not None and not self.runtime.looping:
            await asyncio.to_thread(_kill_all_in, self.lab.root)
        return await super().update()


def _kill_all_in(folder: Path) -> None:
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            if os.readlink(entry) == str(folder):
                os.kill(int(entry.parent.name), signal.SIGKILL)


# -- T9 --------------------------------------------------------------------------------------------


@breaks_for_each_kind("T9", "a_job_that_cannot_be_recorded_is_not_started")
class ChecksNoJobId:
    _max_plain_length = 1 << 20

    def check_recordable(self, job: str) -> None:
        pass
