"""The runs of jobs on this machine: one thread hop an operation, and the kernel tells of an end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

from pydatatask_core.utils import finish

from .base import STDOUT
from .examining import examine, look_into, read_identity, revoke
from .folder import remove_flat, remove_tree, write_new
from .run import Plan, Report, Run, RunExistsError, State
from .runs import Runs
from .spawning import reserve_status, spawn_supervisor
from .streams import LocalReadStream, manager_errors
from .supervisor import (
    JOURNAL,
    SCRIPT,
    STATUS,
    STDERR,
    STDIN,
    STDOUT_FILE,
    STOP,
    command_line,
    original_name,
)
from .watching import open_pidfd, reap_child, reap_zombie, watch_pidfd

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from pydatatask_core.utils import AReadStream

    from .local import LocalLinuxManager

__all__ = ["LocalRuns"]


class LocalRuns(Runs):
    """Keeps the protocol of ``supervisor`` by system calls.

    :param manager: the manager.
    """

    exclusive = True
    manager: LocalLinuxManager

    async def validate(self) -> None:
        await self.manager.validate()

    async def make(self, run: Run, plan: Plan) -> None:
        await finish(asyncio.to_thread(self._make, str(run.directory), plan))

    def _make(self, place: str, plan: Plan) -> None:
        with manager_errors(f"make the run directory {place!r}"):
            try:
                os.mkdir(place, 0o700)
            except FileExistsError as e:
                raise RunExistsError(f"there is a run directory {place!r} already") from e
            except FileNotFoundError:
                self.manager.prepare()  # it was there once; whoever removed it may have others in
                os.makedirs(os.path.dirname(place), 0o700, exist_ok=True)
                return self._make(place, plan)
            try:
                write_new(os.path.join(place, SCRIPT), plan.script, 0o700)
                if plan.stdin is not None:
                    write_new(os.path.join(place, STDIN), plan.stdin)
                reserve_status(os.path.join(place, STATUS))
            except BaseException:
                remove_tree(place)
                raise

    async def start(self, run: Run, plan: Plan) -> None:
        await finish(asyncio.to_thread(self._start, run, plan))

    def _start(self, run: Run, plan: Plan) -> None:
        place = str(run.directory)
        script = os.path.join(place, SCRIPT)
        errors = STDOUT if plan.stderr is STDOUT else None
        with manager_errors(f"start {script!r}"):
            run.pid = spawn_supervisor(
                command_line(plan.script, script),
                plan.environ,
                place,
                os.path.join(place, STATUS),
                os.path.join(place, STDIN) if plan.has_stdin else None,
                os.path.join(place, STDOUT_FILE) if plan.stdout else None,
                os.path.join(place, STDERR) if plan.stderr is True else errors,
                journal=JOURNAL,
                boot_id=self.manager.boot_id,
            )
        run.pidfd = open_pidfd(run.pid)

    def watch(self, run: Run, ended: Callable[[], None]) -> Callable[[], None] | None:
        fd, run.pidfd = run.pidfd, None
        if fd is None:
            return None

        def notice() -> None:
            run.pid = None  # it was waited for, and may soon be another one's number
            ended()

        return watch_pidfd(fd, notice)

    async def poll(self, runs: Collection[Run]) -> list[Run]:
        return await asyncio.to_thread(self._poll, list(runs))

    def _poll(self, runs: list[Run]) -> list[Run]:
        ended = []
        for run in runs:
            if run.pid is not None:
                if reap_child(run.pid):
                    run.pid = None
                    ended.append(run)
            elif examine(str(run.directory), self.manager).state is not State.RUNNING:
                ended.append(run)
        return ended

    async def report(self, run: Run, outputs: Iterable[str] = (), *, claim: bool = True) -> Report:
        return await finish(asyncio.to_thread(self._report, run, tuple(outputs), claim))

    def _report(self, run: Run, outputs: tuple[str, ...], claim: bool) -> Report:
        place = str(run.directory)
        with manager_errors(f"look into the run directory {place!r}"):
            report = examine(place, self.manager, claim=claim)
            if report.state is State.RUNNING:
                self._find(run)
            elif report.state is not State.PREPARED:
                look_into(place, report, outputs, run.memo)
                reap_zombie(report.handle)
        return report

    def _find(self, run: Run) -> None:
        """Open a descriptor of whoever lives, for whoever wants to watch it next."""
        if run.pidfd is None:
            identity = read_identity(str(run.directory))
            if identity is not None:
                run.pidfd = open_pidfd(identity.supervisor)
                if run.pidfd is None:
                    run.pidfd = open_pidfd(identity.process)

    async def read(self, run: Run, name: str) -> AReadStream:
        return await asyncio.to_thread(LocalReadStream, str(run.directory / name))

    async def stop(self, run: Run, reason: str, *, force: bool) -> bool:
        return await finish(asyncio.to_thread(self._stop, str(run.directory), reason, force))

    def _stop(self, place: str, reason: str, force: bool) -> bool:
        with manager_errors(f"end what runs in {place!r}"):
            identity = read_identity(place)
            if identity is None:
                # Whoever has not begun, need not. Whoever is just beginning is told next time.
                return revoke(place) and self._note_stop(place, reason)
            if not self.manager.is_alive(identity):
                return False
            self._note_stop(place, reason)
            if force:
                return self.manager.signal(identity, signal.SIGKILL)
            told = self.manager.signal(identity, signal.SIGTERM)
            self.manager.signal(identity, signal.SIGCONT)  # one that is suspended would not notice
            return told

    def _note_stop(self, place: str, reason: str) -> bool:
        # The first reason is the one. Without room for it, the process has to end all the same.
        with contextlib.suppress(OSError):
            write_new(os.path.join(place, STOP), reason.encode())
        return True

    async def remove(self, run: Run) -> None:
        place = str(run.directory)
        with manager_errors(f"remove the run directory {place!r}"):
            await finish(asyncio.to_thread(remove_flat, place))

    async def keep(self, run: Run, place: Path) -> Path:
        with manager_errors(f"put the run directory {str(run.directory)!r} aside"):
            await finish(asyncio.to_thread(self._keep, str(run.directory), str(place)))
        return place

    def _keep(self, source: str, target: str) -> None:
        os.makedirs(os.path.dirname(target), 0o700, exist_ok=True)
        remove_tree(target)
        with contextlib.suppress(FileNotFoundError):
            os.rename(source, target)

    async def found(self, folder: Path) -> set[str] | None:
        with manager_errors(f"list the run directories in {str(folder)!r}"):
            return await asyncio.to_thread(self._found, str(folder))

    def _found(self, folder: str) -> set[str]:
        try:
            return {original_name(name) for name in os.listdir(folder)}
        except FileNotFoundError:
            return set()

    async def remember(self, run: Run, attempts: int) -> None:
        if run.memo is not None:
            with manager_errors(f"note the number of attempts in {str(run.memo)!r}"):
                await finish(asyncio.to_thread(self._remember, str(run.memo), attempts))

    def _remember(self, memo: str, attempts: int) -> None:
        if not attempts:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(memo)
            return
        os.makedirs(os.path.dirname(memo), 0o700, exist_ok=True)
        passing = f"{memo}.{time.time_ns()}~"
        write_new(passing, str(attempts).encode())
        os.replace(passing, memo)
