"""What a task launches its jobs by, and what it gets out of a manager without talents."""

from __future__ import annotations

import contextlib
import time
from functools import cache
from typing import TYPE_CHECKING

from pydatatask_core.errors import ProcessManagerError, describe
from pydatatask_core.utils import async_copyfile

from .base import STDOUT
from .run import INLINE, TAIL, Leftover, Output, Plan, Report, Run, State
from .shell import SEARCHING_SHELL
from .supervisor import SCRIPT, STATUS, STDERR, STDIN, STDOUT_FILE, command_line

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from pydatatask_core.resource_manager import Resources, ResourceType
    from pydatatask_core.utils import AReadStream, AWriteStream

    from .base import AbstractProcessManager

__all__ = ["PATIENCE", "Runs"]

PATIENCE = 5.0
"""Seconds after which a process that is gone without a status is taken for lost."""


@cache
def _host() -> str:
    import platform

    return platform.node()


class Runs:
    """The runs of jobs on a target.

    This class makes do with the documented methods of a manager: it asks which processes live,
    and whoever dies between the launch and the note of its handle loses the job. A manager that
    knows better gives a subclass of this by its ``runs``; it keeps what is written in
    ``supervisor``. Nothing is remembered here: an instance may be made for each call.

    :param manager: whose target it is.
    """

    exclusive = False
    """Whether :meth:`make` fails if the directory exists, so that it can be named after the job."""

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
    def parts(self) -> list[Runs]:
        """The runs of each machine, where several share the jobs."""
        return [self]

    def knows_host(self, host: str | None) -> bool:
        """Return whether a record can be of this target, or of one of its machines.

        :param host: the machine that the record names, if it names one.
        """
        return True

    @property
    def chosen_shell(self) -> tuple[str, ...] | None:
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

    def choose(self, request: Resources) -> str | ResourceType:
        """Give the machine for one more job, or which resource is short everywhere.

        :param request: what it takes.
        :raises ProcessManagerError: if no machine answers.
        """
        return self.host

    def hold(self, run: Run, request: Resources) -> None:
        """Count what a run takes of its machine, until its ``let_go`` is called.

        :param run: the run.
        :param request: what it takes.
        """

    async def validate(self) -> None:
        """Make the manager's directory, and check that the target will do.

        :raises ProcessManagerError: if it will not.
        """
        await self.manager.mkdir(self.manager.basedir)

    async def make(self, run: Run, plan: Plan) -> None:
        """Make the directory of a run with all that the plan holds, or nothing.

        :param run: which run.
        :param plan: what is to be run.
        :raises RunExistsError: if there is one, provided that this is exclusive.
        :raises ProcessManagerError: if it cannot be made.
        """
        await self.manager.mkdir(run.directory)
        files = {SCRIPT: plan.script}
        if plan.stdin is not None:
            files[STDIN] = plan.stdin
        for name, data in files.items():
            async with await self.manager.open(run.directory / name, "wb") as stream:
                await stream.write(data)

    async def start(self, run: Run, plan: Plan) -> None:
        """Start what was made.

        :param run: which run. It gets a handle if it can only be found by that.
        :param plan: what it was made with.
        :raises ProcessManagerError: if it certainly was not started.
        """
        place = run.directory
        errors = STDOUT if plan.stderr is STDOUT else None
        run.handle = await self.manager.spawn(
            command_line(plan.script, str(place / SCRIPT), plan.shell or SEARCHING_SHELL),
            dict(plan.environ),
            str(place),
            str(place / STATUS),
            str(place / STDIN) if plan.has_stdin else None,
            str(place / STDOUT_FILE) if plan.stdout else None,
            str(place / STDERR) if plan.stderr is True else errors,
        )

    def watch(self, run: Run, ended: Callable[[], None]) -> Callable[[], None] | None:
        """Have a function called in the running loop when a run may have ended.

        :param run: which run.
        :param ended: what to call, once.
        :return: a function that stops it; None if one has to :meth:`poll`.
        """
        return None

    async def poll(self, runs: Collection[Run]) -> list[Run]:
        """Give those of the runs that may have ended.

        :param runs: runs that nothing watches.
        """
        handles = {run.handle for run in runs if run.handle is not None}
        live = await self.manager.get_live_pids(handles) if handles else set()
        return [run for run in runs if run.handle not in live]

    async def report(self, run: Run, outputs: Iterable[str] = (), *, claim: bool = True) -> Report:
        """Find out what became of a run.

        :param run: which run.
        :param outputs: which streams to look into if it is over.
        :param claim: whether to make certain that what was not started never will be.
        :raises ProcessManagerError: if it cannot be found out now.
        """
        if run.handle is None:
            return Report(
                State.LOST, reason="nobody noted which process it is, so it may still be running"
            )
        if run.handle in await self.manager.get_live_pids({run.handle}):
            return Report(State.RUNNING, handle=run.handle)
        report = await self._after_the_end(run)
        if report.state is not State.RUNNING:
            for name in outputs:
                with contextlib.suppress(FileNotFoundError):
                    report.outputs[name] = await self._output(run, name)
            report.stopped = run.stopped
        return report

    async def _after_the_end(self, run: Run) -> Report:
        try:
            async with await self.manager.open(run.directory / STATUS, "r") as stream:
                text = await stream.read()
        except Exception as e:  # noqa: BLE001 - how a foreign manager says "not found" is not agreed
            problem = f"{type(e).__name__}: {e}"
        else:
            try:
                return Report(State.ENDED, int(text), ended=time.time(), handle=run.handle)
            except ValueError:
                problem = f"it is {text[:50]!r}"
        now = time.monotonic()
        run.missed = run.missed or now
        if now - run.missed < PATIENCE:
            return Report(State.RUNNING, handle=run.handle)
        reason = f"its process is gone and its exit status cannot be read ({problem})"
        return Report(State.LOST, reason=reason, ended=time.time(), handle=run.handle)

    async def _output(self, run: Run, name: str) -> Output:
        size, kept = 0, b""
        async with await self.manager.open(run.directory / name, "rb") as stream:
            while block := await stream.read(INLINE):
                size += len(block)
                kept = kept + block if size <= INLINE else (kept + block)[-TAIL:]
        return Output(size, kept if size <= INLINE else None, kept[-TAIL:])

    async def read(self, run: Run, name: str) -> AReadStream:
        """Open one of the streams of a run that is over.

        :param run: which run.
        :param name: the name of the stream.
        :raises FileNotFoundError: if it is not there.
        """
        return await self.manager.open(run.directory / name, "rb")

    async def write(self, run: Run, name: str) -> AWriteStream:
        """Open one of the streams of a run that was not started, to write it.

        :param run: which run.
        :param name: the name of the stream.
        """
        return await self.manager.open(run.directory / name, "wb")

    async def stop(self, run: Run, reason: str, *, force: bool) -> bool:
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
        run.stopped = run.stopped or reason
        await self.manager.kill(run.handle)
        return True

    async def remove(self, run: Run) -> Leftover | None:
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

    def is_obstacle(self, run: Run, left: Leftover) -> bool:
        """Return whether what is left of a run keeps its job from being launched again.

        :param run: the run.
        :param left: what is left.
        """
        return self.exclusive and left.place == str(run.directory)

    async def remove_leftovers(self, folder: Path) -> list[Leftover]:
        """Try again to remove the run directories in a folder that could not be removed before.

        :param folder: the folder.
        :return: those that are still there.
        """
        return []

    async def tail(self, run: Run, name: str, length: int) -> bytes:
        """Read the end of one of the streams of a run that is over.

        :param run: which run.
        :param name: the name of the stream.
        :param length: how many bytes to return at most.
        """
        kept = b""
        async with await self.read(run, name) as stream:
            while block := await stream.read(INLINE):
                kept = (kept + block)[-length:]
        return kept

    async def archive(self, run: Run, names: Collection[str], place: Path) -> None:
        """Keep streams of a run that is over in another directory, beyond its removal.

        This may be repeated: a stream that is there is replaced. The run keeps its streams.

        :param run: which run.
        :param names: the names of the streams.
        :param place: the directory, which is made private, with its parents.
        :raises ProcessManagerError: if that cannot be done.
        """
        await self.manager.mkdir(place)
        for name in names:
            async with (
                await self.read(run, name) as source,
                await self.manager.open(place / name, "wb") as target,
            ):
                await async_copyfile(source, target)

    async def unarchive(self, run: Run) -> None:
        """Remove what :meth:`archive` has made; succeed if it is gone.

        :param run: a run whose directory is that of the archived streams.
        :raises ProcessManagerError: if it cannot be removed.
        """
        left = await self.remove(run)
        if left is not None:
            raise ProcessManagerError(f"could not remove {left.place!r}: {left.reason}")

    async def archived(self, folder: Path) -> dict[str, float] | None:
        """List the directories that :meth:`archive` has made in a folder.

        :param folder: the parent of the directories.
        :return: the names, and the age of each in seconds by the clock of the target; None if
            they cannot be listed.
        """
        return None

    async def found(self, folder: Path) -> set[str] | None:
        """List the names of the run directories in a folder; None if they cannot be listed.

        :param folder: the folder.
        """
        return None

    async def remember(self, run: Run, memo: str | None) -> None:
        """Keep a few words for the reports of this run and of the job's next ones.

        :param run: which run; nothing is kept if it has no place for a memo.
        :param memo: what to keep; None to forget it.
        """
