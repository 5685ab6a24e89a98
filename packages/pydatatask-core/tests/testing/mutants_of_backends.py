"""Process backends that lose, repeat or misjudge jobs (T1 to T8).

A mutant wraps the backend of a correct manager and changes one method of the interface, so it does
not depend on the implementation.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import shutil
import time
from typing import TYPE_CHECKING, Any

from pydatatask_core.proc_manager import LaunchSpec, ProcessState, RunExistsError
from pydatatask_core.proc_manager.protocol.run_directory import SCRIPT, STDERR, safe_name

from .harness import Mutants

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from pydatatask_core.proc_manager import ProcessBackend, ProcessRun, ProcessStatus

MUTANTS = Mutants()
breaks = MUTANTS.breaks


class Wrapper:
    """A backend that passes every request to another one.

    :param inner: the other backend.
    """

    def __init__(self, inner: ProcessBackend) -> None:
        self.inner: Any = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class ChangedSpec(Wrapper):
    """A backend that launches something else."""

    def change(self, spec: LaunchSpec) -> LaunchSpec:
        raise NotImplementedError

    async def create(self, run: ProcessRun, spec: LaunchSpec) -> None:
        await self.inner.create(run, self.change(spec))

    async def start(self, run: ProcessRun, spec: LaunchSpec) -> None:
        await self.inner.start(run, self.change(spec))


class ChangedStatus(Wrapper):
    """A backend that reports something else."""

    def change(self, run: ProcessRun, status: ProcessStatus) -> ProcessStatus:
        raise NotImplementedError

    async def inspect(
        self, run: ProcessRun, outputs: Iterable[str] = (), *, fence: bool = True
    ) -> ProcessStatus:
        return self.change(run, await self.inner.inspect(run, outputs, fence=fence))


# -- launching -------------------------------------------------------------------------------------


@breaks("T2", "a_status_has_the_exit_code_and_the_outputs")
class LosesTheEnvironment(ChangedSpec):
    def change(self, spec: LaunchSpec) -> LaunchSpec:
        return dataclasses.replace(spec, environ={})


@breaks("T2", "a_status_has_the_exit_code_and_the_outputs")
class LosesStdin(ChangedSpec):
    def change(self, spec: LaunchSpec) -> LaunchSpec:
        return dataclasses.replace(spec, stdin=b"" if spec.has_stdin else None)


@breaks("T2", "a_shebang_selects_the_interpreter")
class DropsTheArgumentOfTheInterpreter(ChangedSpec):
    def change(self, spec: LaunchSpec) -> LaunchSpec:
        return dataclasses.replace(spec, script=spec.script.replace(b"/bin/sh -eu", b"/bin/sh"))


@breaks("T2", "stdout_and_stderr_can_be_interleaved")
class SeparatesStderr(ChangedSpec):
    def change(self, spec: LaunchSpec) -> LaunchSpec:
        return dataclasses.replace(spec, stderr=bool(spec.stderr))


@breaks("T2", "the_shell_of_a_script_can_be_chosen")
class IgnoresTheShell(ChangedSpec):
    def change(self, spec: LaunchSpec) -> LaunchSpec:
        return dataclasses.replace(spec, shell=None)


@breaks("T6", "a_script_stops_at_the_first_error")
class ContinuesAfterErrors(ChangedSpec):
    def change(self, spec: LaunchSpec) -> LaunchSpec:
        return dataclasses.replace(spec, shell=spec.shell or ("/bin/sh",))


@breaks("T6", "a_script_stops_at_the_first_error")
class ContinuesAfterErrorsInPipes(ChangedSpec):
    def change(self, spec: LaunchSpec) -> LaunchSpec:
        return dataclasses.replace(spec, shell=spec.shell or ("/bin/sh", "-eu"))


@breaks("T1", "a_run_directory_is_created_once")
class AcceptsAnExistingDirectory(Wrapper):
    async def create(self, run: ProcessRun, spec: LaunchSpec) -> None:
        with contextlib.suppress(RunExistsError):
            await self.inner.create(run, spec)


# -- the status ------------------------------------------------------------------------------------


@breaks("T2", "a_status_has_the_exit_code_and_the_outputs")
class LosesStderr(ChangedStatus):
    def change(self, run: ProcessRun, status: ProcessStatus) -> ProcessStatus:
        status.outputs.pop(STDERR, None)
        return status


@breaks("T2", "a_status_has_the_exit_code_and_the_outputs")
class TakesTheEndForSuccess(ChangedStatus):
    def change(self, run: ProcessRun, status: ProcessStatus) -> ProcessStatus:
        if status.state is ProcessState.EXITED:
            status.return_code = 0
        return status


@breaks("T2", "a_status_has_only_the_tail_of_a_long_output")
class ReadsTheBeginning(Wrapper):
    async def read_tail(self, run: ProcessRun, name: str, length: int) -> bytes:
        return (run.directory / name).read_bytes()[:length]


@breaks("T1", "a_live_process_is_reported_as_running")
class TakesSilenceForDeath(ChangedStatus):
    def change(self, run: ProcessRun, status: ProcessStatus) -> ProcessStatus:
        if status.state is ProcessState.RUNNING:
            status.state, status.reason = ProcessState.LOST, "no news"
        return status


@breaks("T1", "a_live_process_is_reported_as_running")
class ReportsEveryRunAsExited(Wrapper):
    async def exited(self, process_runs: Collection[ProcessRun]) -> list[ProcessRun]:
        return list(process_runs)


@breaks("T2", "the_age_of_a_process_does_not_compare_two_clocks")
class CountsTheAgeFromTheEpoch(ChangedStatus):
    def change(self, run: ProcessRun, status: ProcessStatus) -> ProcessStatus:
        if status.age_seconds is not None:
            status.age_seconds = time.time()
        return status


@breaks("T1", "a_process_without_supervisor_is_lost_once_it_exits")
class TakesALostProcessForSuccess(ChangedStatus):
    def change(self, run: ProcessRun, status: ProcessStatus) -> ProcessStatus:
        if status.state is ProcessState.LOST:
            status.state, status.return_code = ProcessState.EXITED, 0
        return status


@breaks("T2", "a_process_that_removes_its_directory_is_missing")
class TakesAMissingDirectoryForSuccess(ChangedStatus):
    def change(self, run: ProcessRun, status: ProcessStatus) -> ProcessStatus:
        if status.state is ProcessState.MISSING:
            status.state, status.return_code = ProcessState.EXITED, 0
        return status


@breaks("T2", "killing_the_process_group_leaves_a_status")
class LosesKilledProcesses(ChangedStatus):
    def change(self, run: ProcessRun, status: ProcessStatus) -> ProcessStatus:
        if (status.return_code or 0) > 128:
            status.state, status.return_code = ProcessState.LOST, None
        return status


@breaks("T1", "a_script_that_removes_its_files_is_not_run_again")
class StartsARunWithoutScriptAgain(ChangedStatus):
    def change(self, run: ProcessRun, status: ProcessStatus) -> ProcessStatus:
        if status.state is ProcessState.EXITED and not (run.directory / SCRIPT).exists():
            status.state, status.return_code = ProcessState.NEVER_STARTED, None
        return status


@breaks("T2", "a_note_is_kept")
class ForgetsNotes(Wrapper):
    async def save_note(self, run: ProcessRun, note: str | None) -> None:
        pass


# -- another driver --------------------------------------------------------------------------------


@breaks("T1", "a_fenced_run_never_starts", "a_process_either_runs_or_is_fenced")
class NeverFences(Wrapper):
    async def inspect(
        self, run: ProcessRun, outputs: Iterable[str] = (), *, fence: bool = True
    ) -> ProcessStatus:
        status: ProcessStatus = await self.inner.inspect(run, outputs, fence=False)
        if status.state is ProcessState.CREATED and fence:
            status.state = ProcessState.NEVER_STARTED
        return status


@breaks("T1", "a_process_is_found_by_its_run_directory_alone")
class KnowsOnlyItsOwnRuns(Wrapper):
    def __init__(self, inner: ProcessBackend) -> None:
        super().__init__(inner)
        self.own: list[ProcessRun] = []

    async def start(self, run: ProcessRun, spec: LaunchSpec) -> None:
        self.own.append(run)
        await self.inner.start(run, spec)

    async def inspect(self, run: ProcessRun, *arguments: Any, **options: Any) -> ProcessStatus:
        status: ProcessStatus = await self.inner.inspect(run, *arguments, **options)
        if not any(run is own for own in self.own):
            status.state = ProcessState.LOST
        return status


@breaks("T1", "a_process_is_found_by_its_run_directory_alone")
class ListsNoDirectory(Wrapper):
    async def list_directories(self, folder: Path) -> set[str] | None:
        return set()


@breaks("T4", "a_missing_folder_has_no_run_directories")
class RequiresTheFolder(Wrapper):
    async def list_directories(self, folder: Path) -> set[str] | None:
        return set(await asyncio.to_thread(os.listdir, folder))


# -- the end ---------------------------------------------------------------------------------------


@breaks("T2", "a_process_ignoring_sigterm_is_killed_with_children")
class ForgetsTheReason(Wrapper):
    async def terminate(self, run: ProcessRun, reason: str, *, force: bool) -> bool:
        result: bool = await self.inner.terminate(run, "terminated", force=force)
        return result


@breaks("T2", "a_process_ignoring_sigterm_is_killed_with_children")
class AlwaysClaimsToHaveSignalled(Wrapper):
    async def terminate(self, run: ProcessRun, reason: str, *, force: bool) -> bool:
        await self.inner.terminate(run, reason, force=force)
        return True


@breaks("P3", "watching_reports_the_exit")
class CannotUnsubscribe(Wrapper):
    def watch(self, run: ProcessRun, on_exit: Callable[[], None]) -> Callable[[], None] | None:
        stop = self.inner.watch(run, on_exit)
        return None if stop is None else lambda: None


@breaks("T2", "a_removed_run_directory_leaves_nothing", "streams_can_be_archived")
class RemovesNothing(Wrapper):
    async def remove(self, run: ProcessRun) -> None:
        pass


@breaks("T2", "a_removed_run_directory_leaves_nothing")
class RemovesOnlyExistingDirectories(Wrapper):
    async def remove(self, run: ProcessRun) -> Any:
        if not run.directory.exists():
            raise FileNotFoundError(str(run.directory))
        return await self.inner.remove(run)


@breaks("T8", "a_job_is_over_when_all_processes_of_its_session_are")
class WaitsForTheScriptAlone(Wrapper):
    """The end of the script is the end of the job, as for a backend that sees only one process."""

    async def start(self, run: ProcessRun, spec: LaunchSpec) -> None:
        await self.inner.start(run, dataclasses.replace(spec, detach=True))


# -- archives --------------------------------------------------------------------------------------


@breaks("T2", "streams_can_be_archived")
class MovesStreams(Wrapper):
    async def archive(self, run: ProcessRun, names: Collection[str], folder: Path) -> None:
        await self.inner.archive(run, names, folder)
        for name in names:
            (run.directory / name).unlink()


@breaks("T2", "streams_can_be_archived")
class KeepsTheFirstArchive(Wrapper):
    async def archive(self, run: ProcessRun, names: Collection[str], folder: Path) -> None:
        if not await asyncio.to_thread(folder.exists):
            await self.inner.archive(run, names, folder)


@breaks("T2", "archiving_a_missing_stream_is_an_error")
class SkipsMissingStreams(Wrapper):
    async def archive(self, run: ProcessRun, names: Collection[str], folder: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            await self.inner.archive(run, names, folder)


@breaks("T2", "streams_can_be_archived")
class KeepsArchives(Wrapper):
    async def remove_archive(self, run: ProcessRun) -> None:
        pass


@breaks("T2", "streams_can_be_archived")
class RemovesOnlyExistingArchives(Wrapper):
    async def remove_archive(self, run: ProcessRun) -> None:
        shutil.rmtree(run.directory)


@breaks("T2", "archived_streams_are_listed_with_their_age")
class ListsTheTimeInsteadOfTheAge(Wrapper):
    async def list_archives(self, folder: Path) -> dict[str, float] | None:
        ages = await self.inner.list_archives(folder)
        return None if ages is None else dict.fromkeys(ages, 1.8e9)


@breaks("T2", "archived_streams_are_listed_with_their_age")
class ListsNamesOfDirectories(Wrapper):
    async def list_archives(self, folder: Path) -> dict[str, float] | None:
        ages = await self.inner.list_archives(folder) or {}
        return {safe_name(job): age for job, age in ages.items()}
