"""Laws of process backends that find every process by its run directory."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from pydatatask_core.proc_manager import LaunchSpec, ProcessState, RunExistsError

from .backend import SPIN, end_of, exists, finished, line_of, new_run, say_go

if TYPE_CHECKING:
    from pydatatask_core.proc_manager import ProcessBackend

__all__ = ["RecoveryLaws"]


class RecoveryLaws:
    """Laws of backends that create run directories atomically.

    They are skipped for other managers, which work but lose their processes when the driver dies.
    """

    kill_supervisor: ClassVar[str] = "kill -KILL $PPID"
    """The shell command with which a job kills its supervisor, so that its exit status is lost."""

    async def test_a_run_directory_is_created_once(self, manager: Any) -> None:
        """T1: of several concurrent attempts, exactly one succeeds."""
        backend, spec = atomic_backend(manager), LaunchSpec(b"exit 0", {})
        made = await asyncio.gather(
            *(backend.create(new_run(manager), spec) for _ in range(8)), return_exceptions=True
        )
        assert sorted(type(outcome).__name__ for outcome in made) == sorted(
            ["NoneType", *[RunExistsError.__name__] * 7]
        )

    async def test_a_fenced_run_never_starts(self, manager: Any) -> None:
        """T1, T4: a driver that died after creating the directory may still try to start it."""
        backend, run = atomic_backend(manager), new_run(manager)
        spec = LaunchSpec(b"echo ran >ran", {})
        await backend.create(run, spec)
        assert (await backend.inspect(new_run(manager), fence=False)).state is ProcessState.CREATED
        assert (await backend.inspect(new_run(manager))).state is ProcessState.NEVER_STARTED
        await backend.start(run, spec)
        assert (await end_of(backend, run)).state is ProcessState.NEVER_STARTED
        assert not await exists(manager, run.directory / "ran")

    async def test_a_process_either_runs_or_is_fenced(self, manager: Any) -> None:
        """T1: however close together a start and an inspection are."""
        backend, spec = atomic_backend(manager), LaunchSpec(b"echo ran >ran", {})
        for number in range(12):
            run, other = new_run(manager, f"job{number}"), new_run(manager, f"job{number}")
            await backend.create(run, spec)
            _, status = await asyncio.gather(backend.start(run, spec), backend.inspect(other))
            ran = (await end_of(backend, run)).state is ProcessState.EXITED
            assert ran == (status.state is not ProcessState.NEVER_STARTED)
            assert ran == await exists(manager, run.directory / "ran")

    async def test_a_process_is_found_by_its_run_directory_alone(self, manager: Any) -> None:
        """T1, T4: another driver knows nothing but the directory."""
        backend, run = atomic_backend(manager), new_run(manager)
        spec = LaunchSpec(SPIN.encode(), {}, stdout=True)
        await backend.create(run, spec)
        await backend.start(run, spec)
        assert await backend.list_directories(run.directory.parent) == {run.directory.name}
        found = new_run(manager)
        assert (await backend.inspect(found)).state in (
            ProcessState.RUNNING,
            ProcessState.NEVER_STARTED,
        )
        await say_go(manager, run)
        assert (await end_of(backend, found)).state in (
            ProcessState.EXITED,
            ProcessState.NEVER_STARTED,
        )

    async def test_a_missing_folder_has_no_run_directories(self, manager: Any) -> None:
        """T4: listing a missing folder is not an error."""
        backend = atomic_backend(manager)
        assert await backend.list_directories(manager.basedir / "absent") == set()
        assert (await backend.inspect(new_run(manager, "absent"))).state is ProcessState.MISSING

    async def test_killing_the_process_group_leaves_a_status(self, manager: Any) -> None:
        """T2: the supervisor is not in the process group."""
        backend, run = atomic_backend(manager), new_run(manager)
        status = await finished(backend, run, LaunchSpec(b"kill -KILL -$$; sleep 600", {}))
        assert (status.state, status.return_code) == (ProcessState.EXITED, 137)

    async def test_a_process_without_supervisor_is_lost_once_it_exits(self, manager: Any) -> None:
        """T1, T2: it counts as running as long as it lives."""
        backend, run = atomic_backend(manager), new_run(manager)
        spec = LaunchSpec(f"{self.kill_supervisor}; echo killed; {SPIN}".encode(), {}, stdout=True)
        await backend.create(run, spec)
        await backend.start(run, spec)
        await line_of(backend, manager, run)
        assert (await backend.inspect(run)).state is ProcessState.RUNNING
        await say_go(manager, run)
        status = await end_of(backend, run)
        assert status.state is ProcessState.LOST
        assert "supervisor" in str(status.reason)

    async def test_a_process_that_removes_its_directory_is_missing(self, manager: Any) -> None:
        """T2: MISSING is a final state."""
        backend, run = atomic_backend(manager), new_run(manager)
        spec = LaunchSpec(b'rm -rf "$PWD"', {}, stdout=True)
        assert (await finished(backend, run, spec)).state is ProcessState.MISSING

    async def test_a_script_that_removes_its_files_is_not_run_again(self, manager: Any) -> None:
        """T1: a script may remove everything it can in its directory."""
        backend, run = atomic_backend(manager), new_run(manager)
        status = await finished(backend, run, LaunchSpec(b"rm -rf ./*; exit 4", {}, stdout=True))
        assert (status.state, status.return_code) == (ProcessState.EXITED, 4)
        run = new_run(manager, "other")
        status = await finished(
            backend, run, LaunchSpec(b"find . -type f -delete", {}, stdout=True)
        )
        assert status.state in (
            ProcessState.LOST,
            ProcessState.EXITED,
        )  # depends on whether the script removed its status

    async def test_the_age_of_a_process_does_not_compare_two_clocks(self, manager: Any) -> None:
        """T2: a timeout counts from the start of the process, even if clocks disagree."""
        backend, run = atomic_backend(manager), new_run(manager)
        spec = LaunchSpec(SPIN.encode(), {})
        began = time.monotonic()
        await backend.create(run, spec)
        await backend.start(run, spec)
        while (status := await backend.inspect(run)).age_seconds is None:
            assert status.state is ProcessState.RUNNING  # not started yet
            await asyncio.sleep(0.02)
        # Start times have a resolution of a hundredth of a second.
        assert 0 <= status.age_seconds <= time.monotonic() - began + 0.02
        await say_go(manager, run)
        await end_of(backend, run)

    async def test_watching_reports_the_exit(self, manager: Any) -> None:
        """P3: at once, also for a process that has exited before; never after unsubscribing."""
        backend, run, spec = atomic_backend(manager), new_run(manager), LaunchSpec(b"exit 0", {})
        told, other = asyncio.Event(), asyncio.Event()
        await backend.create(run, spec)
        await backend.start(run, spec)
        if (stop := backend.watch(run, other.set)) is None:
            pytest.skip("this manager does not watch")
        stop()
        assert backend.watch(run, told.set) is not None
        await told.wait()
        assert (await backend.inspect(run)).state is ProcessState.EXITED
        assert not other.is_set()

    async def test_a_note_is_kept(self, manager: Any) -> None:
        """T2: until it is removed, even if the run directory is removed first."""
        backend, before = atomic_backend(manager), None
        for memo in ("1 first", "2 second", None, None):
            run = new_run(manager)
            run.note_path = manager.basedir / "memos" / "job"
            status = await finished(backend, run, LaunchSpec(b"exit 1", {}))
            assert status.note == before
            await backend.save_note(run, memo)
            await backend.remove(run)
            before = memo


def atomic_backend(manager: Any) -> ProcessBackend:
    """Return the backend of a manager; skip the test unless it creates directories atomically."""
    backend: ProcessBackend = manager.backend
    if not backend.atomic_create:
        pytest.skip("this manager finds its processes by their identifiers alone")
    return backend
