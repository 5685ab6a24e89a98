"""The backend interface of `ProcessTask`, with a default built on the documented methods alone."""

from __future__ import annotations

import contextlib
import time
from functools import cache
from typing import TYPE_CHECKING

from pydatatask_core.errors import ProcessManagerError, describe
from pydatatask_core.utils import async_copyfile

from .base import STDOUT
from .process import (
    MAX_INLINE_BYTES,
    TAIL_BYTES,
    LaunchSpec,
    Leftover,
    Output,
    ProcessRun,
    ProcessState,
    ProcessStatus,
)
from .protocol.run_directory import SCRIPT, STATUS, STDERR, STDIN, STDOUT_FILE, command_line
from .shell import DETECTED_SHELL

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from pydatatask_core.resource_manager import Resources, ResourceType
    from pydatatask_core.utils import AReadStream, AWriteStream

    from .base import AbstractProcessManager

__all__ = ["LOST_TIMEOUT_SECONDS", "ProcessBackend"]

LOST_TIMEOUT_SECONDS = 5.0
"""Seconds after which a dead process without an exit status is considered lost."""


@cache
def _host() -> str:
    import platform

    return platform.node()


class ProcessBackend:
    """The interface through which a task launches and monitors the processes of its jobs.

    This default uses only the documented methods of a manager: it polls for live processes, and a
    driver that dies between the launch and the save of the handle loses the job. A manager that can
    do better returns a subclass as its ``backend``, which follows ``protocol.run_directory``.
    Backends hold no state about runs, so each access to ``backend`` may create a new one.

    :param manager: the manager of the target.
    """

    atomic_create = False
    """Whether :meth:`create` fails if the directory exists, so that jobs can name directories."""

    def __init__(self, manager: AbstractProcessManager) -> None:
        self.manager = manager

    @property
    def host(self) -> str:
        """The name of the target."""
        return _host()

    @property
    def is_up(self) -> bool:
        """True if the target answered the last request."""
        return True

    @property
    def hosts(self) -> list[ProcessBackend]:
        """The backend of each machine, if several share the jobs."""
        return [self]

    def knows_host(self, host: str | None) -> bool:
        """Return whether a record may be about this target, or about one of its machines.

        :param host: the machine that the record names, if any.
        """
        return True

    @property
    def configured_shell(self) -> tuple[str, ...] | None:
        """The manager's own interpreter for scripts without a ``#!`` line, if it has one."""
        return None

    async def lacks_bash(self) -> bool:
        """Return whether the target is known to lack bash, so that pipes are not checked."""
        return False

    def basedir(self, host: str | None = None) -> Path:
        """Return the directory that contains the run directories.

        :param host: the machine, if several share the jobs.
        """
        return self.manager.basedir

    def fits(self, request: Resources) -> bool:
        """Return whether a job could run if there were no other jobs.

        :param request: the resources that the job requests.
        """
        return True

    def choose_host(self, request: Resources) -> str | ResourceType:
        """Return the machine for one more job, or the resource that is exhausted everywhere.

        :param request: the resources that the job requests.
        :raises ProcessManagerError: if no machine answers.
        """
        return self.host

    def reserve_host(self, run: ProcessRun, request: Resources) -> None:
        """Reserve resources of the run's machine until its ``release_host`` is called.

        :param run: the run.
        :param request: the resources to reserve.
        """

    async def validate(self) -> None:
        """Create the manager's directory, and check that the target is usable.

        :raises ProcessManagerError: if it is not.
        """
        await self.manager.mkdir(self.manager.basedir)

    async def create(self, run: ProcessRun, spec: LaunchSpec) -> None:
        """Create the directory of a run with all files of the spec, or nothing.

        :param run: the run.
        :param spec: the script to run.
        :raises RunExistsError: if the directory exists, provided that ``atomic_create`` is true.
        :raises ProcessManagerError: if it cannot be created.
        """
        await self.manager.mkdir(run.directory)
        files = {SCRIPT: spec.script}
        if spec.stdin is not None:
            files[STDIN] = spec.stdin
        for name, data in files.items():
            async with await self.manager.open(run.directory / name, "wb") as stream:
                await stream.write(data)

    async def start(self, run: ProcessRun, spec: LaunchSpec) -> None:
        """Start the script in a directory that :meth:`create` made.

        :param run: the run. Its handle is set if the process can only be found by the handle.
        :param spec: the spec that the directory was created with.
        :raises ProcessManagerError: if the script was certainly not started.
        """
        folder = run.directory
        errors = STDOUT if spec.stderr is STDOUT else None
        run.handle = await self.manager.spawn(
            command_line(spec.script, str(folder / SCRIPT), spec.shell or DETECTED_SHELL),
            dict(spec.environ),
            str(folder),
            str(folder / STATUS),
            str(folder / STDIN) if spec.has_stdin else None,
            str(folder / STDOUT_FILE) if spec.stdout else None,
            str(folder / STDERR) if spec.stderr is True else errors,
        )

    def watch(self, run: ProcessRun, on_exit: Callable[[], None]) -> Callable[[], None] | None:
        """Register a callback that the running loop calls when a run may have exited.

        :param run: the run.
        :param on_exit: the callback; it is called once.
        :return: a function that unregisters it; None if the caller has to poll with
            :meth:`exited`.
        """
        return None

    async def exited(self, process_runs: Collection[ProcessRun]) -> list[ProcessRun]:
        """Return the runs that may have exited.

        :param process_runs: runs that are not watched.
        """
        handles = {run.handle for run in process_runs if run.handle is not None}
        live = await self.manager.get_live_pids(handles) if handles else set()
        return [run for run in process_runs if run.handle not in live]

    async def inspect(
        self, run: ProcessRun, outputs: Iterable[str] = (), *, fence: bool = True
    ) -> ProcessStatus:
        """Return the status of a run.

        :param run: the run.
        :param outputs: the streams to read if the run has ended.
        :param fence: whether to guarantee that a script not started by now never will be.
        :raises ProcessManagerError: if the status cannot be determined now.
        """
        if run.handle is None:
            return ProcessStatus(
                ProcessState.LOST,
                reason="the handle of its process was not saved, so it may still be running",
            )
        if run.handle in await self.manager.get_live_pids({run.handle}):
            return ProcessStatus(ProcessState.RUNNING, handle=run.handle)
        status = await self._inspect_exited(run)
        if status.state is not ProcessState.RUNNING:
            for name in outputs:
                with contextlib.suppress(FileNotFoundError):
                    status.outputs[name] = await self._read_output(run, name)
            status.stop_reason = run.stop_reason
        return status

    async def _inspect_exited(self, run: ProcessRun) -> ProcessStatus:
        try:
            async with await self.manager.open(run.directory / STATUS, "r") as stream:
                text = await stream.read()
        except Exception as e:  # noqa: BLE001 - managers do not agree on the error for a missing file
            problem = f"{type(e).__name__}: {e}"
        else:
            try:
                return ProcessStatus(
                    ProcessState.EXITED, int(text), end_time=time.time(), handle=run.handle
                )
            except ValueError:
                problem = f"it is {text[:50]!r}"
        now = time.monotonic()
        run.unconfirmed_since = run.unconfirmed_since or now
        if now - run.unconfirmed_since < LOST_TIMEOUT_SECONDS:
            return ProcessStatus(ProcessState.RUNNING, handle=run.handle)
        reason = f"its process is dead and its exit status cannot be read ({problem})"
        return ProcessStatus(
            ProcessState.LOST, reason=reason, end_time=time.time(), handle=run.handle
        )

    async def _read_output(self, run: ProcessRun, name: str) -> Output:
        size, data = 0, b""
        async with await self.manager.open(run.directory / name, "rb") as stream:
            while block := await stream.read(MAX_INLINE_BYTES):
                size += len(block)
                data = data + block if size <= MAX_INLINE_BYTES else (data + block)[-TAIL_BYTES:]
        return Output(size, data if size <= MAX_INLINE_BYTES else None, data[-TAIL_BYTES:])

    async def open_output(self, run: ProcessRun, name: str) -> AReadStream:
        """Open a stream of a finished run.

        :param run: the run.
        :param name: the name of the stream.
        :raises FileNotFoundError: if it does not exist.
        """
        return await self.manager.open(run.directory / name, "rb")

    async def open_input(self, run: ProcessRun, name: str) -> AWriteStream:
        """Open a stream of a run that was not started, for writing.

        :param run: the run.
        :param name: the name of the stream.
        """
        return await self.manager.open(run.directory / name, "wb")

    async def terminate(self, run: ProcessRun, reason: str, *, force: bool) -> bool:
        """Terminate all processes in the process group of a run.

        :param run: the run.
        :param reason: the reason, which the next status returns as ``stop_reason``.
        :param force: whether to kill the processes instead of asking them to exit.
        :return: whether a process was signalled.
        """
        if run.handle is None:
            return False
        if run.handle not in await self.manager.get_live_pids({run.handle}):
            return False
        run.stop_reason = run.stop_reason or reason
        await self.manager.kill(run.handle)
        return True

    async def remove(self, run: ProcessRun) -> Leftover | None:
        """Remove the directory of a finished run; succeed if it does not exist.

        :param run: the run.
        :return: the directory that remains and the reason, if it cannot be removed.
        :raises ProcessManagerError: if the target cannot be reached.
        """
        try:
            await self.manager.rmtree(run.directory)
        except FileNotFoundError:
            return None
        except Exception as e:  # noqa: BLE001 - the caller reports it; the directory is unused
            return Leftover(str(run.directory), describe(e))
        return None

    def blocks_launch(self, run: ProcessRun, leftover: Leftover) -> bool:
        """Return whether a leftover of a run prevents the next launch of its job.

        :param run: the run.
        :param leftover: the leftover.
        """
        return self.atomic_create and leftover.path == str(run.directory)

    async def remove_leftovers(self, folder: Path) -> list[Leftover]:
        """Retry the removal of run directories in a folder that could not be removed before.

        :param folder: the folder.
        :return: the directories that still exist.
        """
        return []

    async def read_tail(self, run: ProcessRun, name: str, length: int) -> bytes:
        """Read the end of a stream of a finished run.

        :param run: the run.
        :param name: the name of the stream.
        :param length: the maximum number of bytes to return.
        """
        data = b""
        async with await self.open_output(run, name) as stream:
            while block := await stream.read(MAX_INLINE_BYTES):
                data = (data + block)[-length:]
        return data

    async def archive(self, run: ProcessRun, names: Collection[str], folder: Path) -> None:
        """Save streams of a finished run to another directory, where its removal spares them.

        This may be repeated; existing files are replaced. The streams of the run remain.

        :param run: the run.
        :param names: the names of the streams.
        :param folder: the directory; it is created with its parents, private to the user.
        :raises ProcessManagerError: if the streams cannot be saved.
        """
        await self.manager.mkdir(folder)
        for name in names:
            async with (
                await self.open_output(run, name) as source,
                await self.manager.open(folder / name, "wb") as target,
            ):
                await async_copyfile(source, target)

    async def remove_archive(self, run: ProcessRun) -> None:
        """Remove a directory that :meth:`archive` created; succeed if it does not exist.

        :param run: a run whose directory is that of the archived streams.
        :raises ProcessManagerError: if it cannot be removed.
        """
        leftover = await self.remove(run)
        if leftover is not None:
            raise ProcessManagerError(f"could not remove {leftover.path!r}: {leftover.reason}")

    async def list_archives(self, folder: Path) -> dict[str, float] | None:
        """List the directories that :meth:`archive` created in a folder.

        :param folder: the parent of the directories.
        :return: the age of each in seconds by the clock of the target, by name; None if they cannot
            be listed.
        """
        return None

    async def list_directories(self, folder: Path) -> set[str] | None:
        """List the names of the run directories in a folder; None if they cannot be listed.

        :param folder: the folder.
        """
        return None

    async def save_note(self, run: ProcessRun, note: str | None) -> None:
        """Save a short note that the statuses of this run and of the job's next runs return.

        :param run: the run; nothing is saved if it has no ``note_path``.
        :param note: the note; None to delete it.
        """
