"""What a task launches its jobs by, and what it gets out of a manager without talents."""

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
"""Seconds after which a process that is gone without a status is taken for lost."""


@cache
def _host() -> str:
    import platform

    return platform.node()


class ProcessBackend:
    """The runs of jobs on a target.

    This class makes do with the documented methods of a manager: it asks which processes live,
    and whoever dies between the launch and the note of its handle loses the job. A manager that
    knows better gives a subclass of this by its ``runs``; it keeps what is written in
    ``protocol.run_directory``. Nothing is remembered here: an instance may be made for each call.

    :param manager: whose target it is.
    """

    atomic_create = False
    """Whether :meth:`create` fails if the directory exists, so that the job may be its name."""

    def __init__(self, manager: AbstractProcessManager) -> None:
        self.manager = manager

    @property
    def host(self) -> str:
        """The name of the target."""
        return _host()

    @property
    def is_up(self) -> bool:
        """Whether the target answered when it was asked last."""
        return True

    @property
    def hosts(self) -> list[ProcessBackend]:
        """The runs of each machine, where several share the jobs."""
        return [self]

    def knows_host(self, host: str | None) -> bool:
        """Return whether a record can be of this target, or of one of its machines.

        :param host: the machine that the record names, if it names one.
        """
        return True

    @property
    def configured_shell(self) -> tuple[str, ...] | None:
        """The manager's own interpreter of scripts without a first line ``#!``, if it has one."""
        return None

    async def lacks_bash(self) -> bool:
        """Return whether the target is known to have no bash, so that pipes are not checked."""
        return False

    def basedir(self, host: str | None = None) -> Path:
        """Give the directory in which runs have theirs.

        :param host: the machine, where several share the jobs.
        """
        return self.manager.basedir

    def fits(self, request: Resources) -> bool:
        """Tell whether a job could be run if no other did.

        :param request: what it takes.
        """
        return True

    def choose_host(self, request: Resources) -> str | ResourceType:
        """Give the machine for one more job, or which resource is short everywhere.

        :param request: what it takes.
        :raises ProcessManagerError: if no machine answers.
        """
        return self.host

    def reserve_host(self, run: ProcessRun, request: Resources) -> None:
        """Count what a run takes of its machine, until its ``let_go`` is called.

        :param run: the run.
        :param request: what it takes.
        """

    async def validate(self) -> None:
        """Make the manager's directory, and check that the target will do.

        :raises ProcessManagerError: if it will not.
        """
        await self.manager.mkdir(self.manager.basedir)

    async def create(self, run: ProcessRun, spec: LaunchSpec) -> None:
        """Make the directory of a run with all that the plan holds, or nothing.

        :param run: which run.
        :param spec: what is to be run.
        :raises RunExistsError: if there is one, provided that this is exclusive.
        :raises ProcessManagerError: if it cannot be made.
        """
        await self.manager.mkdir(run.directory)
        files = {SCRIPT: spec.script}
        if spec.stdin is not None:
            files[STDIN] = spec.stdin
        for name, data in files.items():
            async with await self.manager.open(run.directory / name, "wb") as stream:
                await stream.write(data)

    async def start(self, run: ProcessRun, spec: LaunchSpec) -> None:
        """Start what was made.

        :param run: which run. It gets a handle if it can only be found by that.
        :param spec: what it was made with.
        :raises ProcessManagerError: if it certainly was not started.
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
        """Have a function called in the running loop when a run may have ended.

        :param run: which run.
        :param on_exit: what to call, once.
        :return: a function that stops it; None if one has to :meth:`exited`.
        """
        return None

    async def exited(self, process_runs: Collection[ProcessRun]) -> list[ProcessRun]:
        """Give those of the runs that may have ended.

        :param process_runs: runs that nothing watches.
        """
        handles = {run.handle for run in process_runs if run.handle is not None}
        live = await self.manager.get_live_pids(handles) if handles else set()
        return [run for run in process_runs if run.handle not in live]

    async def inspect(
        self, run: ProcessRun, outputs: Iterable[str] = (), *, fence: bool = True
    ) -> ProcessStatus:
        """Find out what became of a run.

        :param run: which run.
        :param outputs: which streams to look into if it is over.
        :param fence: whether to make certain that what was not started never will be.
        :raises ProcessManagerError: if it cannot be found out now.
        """
        if run.handle is None:
            return ProcessStatus(
                ProcessState.LOST,
                reason="nobody noted which process it is, so it may still be running",
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
        except Exception as e:  # noqa: BLE001 - how a foreign manager says "not found" is not agreed
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
        reason = f"its process is gone and its exit status cannot be read ({problem})"
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
        """Open one of the streams of a run that is over.

        :param run: which run.
        :param name: the name of the stream.
        :raises FileNotFoundError: if it is not there.
        """
        return await self.manager.open(run.directory / name, "rb")

    async def open_input(self, run: ProcessRun, name: str) -> AWriteStream:
        """Open one of the streams of a run that was not started, to write it.

        :param run: which run.
        :param name: the name of the stream.
        """
        return await self.manager.open(run.directory / name, "wb")

    async def terminate(self, run: ProcessRun, reason: str, *, force: bool) -> bool:
        """Tell a run to end, with all processes of its group.

        :param run: which run.
        :param reason: a word or more that the next report gives as ``stopped``.
        :param force: whether it is not asked, but killed.
        :return: whether anybody was told.
        """
        if run.handle is None:
            return False
        if run.handle not in await self.manager.get_live_pids({run.handle}):
            return False
        run.stop_reason = run.stop_reason or reason
        await self.manager.kill(run.handle)
        return True

    async def remove(self, run: ProcessRun) -> Leftover | None:
        """Remove the directory of a run that is over; succeed if it is gone.

        :param run: which run.
        :return: what is left of it, and why, if it cannot be removed; None if nothing is.
        :raises ProcessManagerError: if the target cannot be reached.
        """
        try:
            await self.manager.rmtree(run.directory)
        except FileNotFoundError:
            return None
        except Exception as e:  # noqa: BLE001 - nobody uses the directory again
            return Leftover(str(run.directory), describe(e))
        return None

    def blocks_launch(self, run: ProcessRun, leftover: Leftover) -> bool:
        """Return whether what is left of a run keeps its job from being launched again.

        :param run: the run.
        :param leftover: what is left.
        """
        return self.atomic_create and leftover.path == str(run.directory)

    async def remove_leftovers(self, folder: Path) -> list[Leftover]:
        """Try again to remove the run directories in a folder that could not be removed before.

        :param folder: the folder.
        :return: those that are still there.
        """
        return []

    async def read_tail(self, run: ProcessRun, name: str, length: int) -> bytes:
        """Read the end of one of the streams of a run that is over.

        :param run: which run.
        :param name: the name of the stream.
        :param length: how many bytes to return at most.
        """
        data = b""
        async with await self.open_output(run, name) as stream:
            while block := await stream.read(MAX_INLINE_BYTES):
                data = (data + block)[-length:]
        return data

    async def archive(self, run: ProcessRun, names: Collection[str], folder: Path) -> None:
        """Keep streams of a run that is over in another directory, beyond its removal.

        This may be repeated: a stream that is there is replaced. The run keeps its streams.

        :param run: which run.
        :param names: the names of the streams.
        :param folder: the directory, which is made private, with its parents.
        :raises ProcessManagerError: if that cannot be done.
        """
        await self.manager.mkdir(folder)
        for name in names:
            async with (
                await self.open_output(run, name) as source,
                await self.manager.open(folder / name, "wb") as target,
            ):
                await async_copyfile(source, target)

    async def remove_archive(self, run: ProcessRun) -> None:
        """Remove what :meth:`archive` has made; succeed if it is gone.

        :param run: a run whose directory is that of the archived streams.
        :raises ProcessManagerError: if it cannot be removed.
        """
        leftover = await self.remove(run)
        if leftover is not None:
            raise ProcessManagerError(f"could not remove {leftover.path!r}: {leftover.reason}")

    async def list_archives(self, folder: Path) -> dict[str, float] | None:
        """List the directories that :meth:`archive` has made in a folder.

        :param folder: the parent of the directories.
        :return: the names, and the age of each in seconds by the clock of the target; None if
            they cannot be listed.
        """
        return None

    async def list_directories(self, folder: Path) -> set[str] | None:
        """List the names of the run directories in a folder; None if they cannot be listed.

        :param folder: the folder.
        """
        return None

    async def save_note(self, run: ProcessRun, note: str | None) -> None:
        """Keep a few words for the reports of this run and of the job's next ones.

        :param run: which run; nothing is kept if it has no place for a memo.
        :param note: what to keep; None to forget it.
        """
