"""The runs of jobs on this machine: one thread hop an operation, and the kernel tells of an end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from typing import TYPE_CHECKING

from pydatatask_core.utils import in_thread
from pydatatask_core.utils.files import remove_tree

from .base import STDOUT
from .examining import Place, examine, look_into, read_tail
from .folder import discard_directory, remove_leftovers
from .identity import Identity, parse_identity
from .journal import JOURNAL, find_orphans, make_entry
from .run import Plan, Report, Run, RunExistsError, State
from .run_files import RunDirectory, RunFileError
from .runs import PATIENCE, Runs
from .shell import strict_shell
from .spawning import setsid_path
from .streams import LocalReadStream, LocalWriteStream, manager_errors
from .supervisor import (
    MADE,
    SCRIPT,
    STATUS,
    STDERR,
    STDIN,
    STDOUT_FILE,
    command_line,
    is_leftover,
    order,
    original_name,
    parse_status,
)
from .watching import PidFd, reap_zombie

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from pydatatask_core.utils import AReadStream, AWriteStream

    from .journal import Entry
    from .local import LocalLinuxManager
    from .run import Leftover

__all__ = ["LocalRuns"]

log = logging.getLogger("pydatatask.proc_manager")

_MOMENT = 0.01
"""Seconds after which one looks again for the status of a process that has just ended."""


class LocalRuns(Runs):
    """Keeps the protocol of ``supervisor`` by system calls.

    :param manager: the manager.
    """

    exclusive = True
    manager: LocalLinuxManager

    @property
    def chosen_shell(self) -> tuple[str, ...] | None:
        return self.manager.shell

    async def lacks_bash(self) -> bool:
        return await self.manager.find_shell() == strict_shell(None)

    async def validate(self) -> None:
        await self.manager.validate()

    async def make(self, run: Run, plan: Plan) -> None:
        run.entry, run.mark = await in_thread(self._make, str(run.directory), plan)
        run.made = True

    def _make(self, place: str, plan: Plan) -> tuple[Entry, str]:
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
                with RunDirectory(place) as directory:
                    entry = make_entry(place, directory.status)
                    mark = f"{MADE}{os.urandom(8).hex()}{entry.mark}"
                    directory.create(mark, b"")
                    directory.create(SCRIPT, plan.script or b"\n", 0o700)
                    if plan.stdin is not None:
                        directory.create(STDIN, plan.stdin)
            except BaseException:
                remove_tree(place)
                raise
            return entry, mark

    async def start(self, run: Run, plan: Plan) -> None:
        place, boot_id = str(run.directory), str(await self.manager.find_origin())
        script = os.path.join(place, SCRIPT)
        shell = plan.shell or self.chosen_shell or await self.manager.find_shell()
        command = [setsid_path(), *command_line(plan.script, script, shell)]
        status = STATUS if run.entry is None else run.entry.path
        words = order(place, run.mark or SCRIPT, boot_id, command, _streams(plan), status)
        environ = {**os.environ, **plan.environ}
        with manager_errors(f"start {script!r}"):
            run.supervised = await self.manager.supervisors.run(place, environ, words)

    def watch(self, run: Run, ended: Callable[[], None]) -> Callable[[], None] | None:
        # It may go on from when this process had another pipeline open.
        run.supervised = run.supervised or self.manager.supervisors.find(str(run.directory))
        if run.supervised is not None:
            return run.supervised.watch(ended)
        if run.descriptor is None:
            if run.missed is None or time.monotonic() - run.missed > PATIENCE:
                return None
            # Its supervisor, which may be another driver's and never end, is about to say how.
            return asyncio.get_running_loop().call_later(_MOMENT, ended).cancel

        def notice() -> None:
            run.descriptor = None  # it may not be over yet for all that: look for another one
            ended()

        return run.descriptor.watch(notice)

    async def poll(self, runs: Collection[Run]) -> list[Run]:
        return await asyncio.to_thread(self._poll, list(runs))

    def _poll(self, runs: list[Run]) -> list[Run]:
        return [run for run in runs if self._may_have_ended(run)]

    def _may_have_ended(self, run: Run) -> bool:
        if run.supervised is not None:
            return run.supervised.is_over()
        with Place.opened(str(run.directory)) as place:
            return examine(place, self.manager).state is not State.RUNNING

    async def report(self, run: Run, outputs: Iterable[str] = (), *, claim: bool = True) -> Report:
        return await in_thread(self._report, run, tuple(outputs), claim)

    def _report(self, run: Run, outputs: tuple[str, ...], claim: bool) -> Report:
        path = str(run.directory)
        starting = _supervised(run)
        with (
            manager_errors(f"look into the run directory {path!r}"),
            Place.opened(path, run.entry) as place,
        ):
            run.entry = place.entry
            report = examine(place, self.manager, claim=claim and not starting, began=run.began)
            if starting and report.state is State.PREPARED:
                report.state = State.RUNNING  # the supervisor will get there
            elif run.began is False and report.state is State.ABSENT:
                report.state = State.NOT_STARTED  # whatever became of the directory
            if report.state is State.RUNNING:
                self._find(run, report)
                if report.problem is not None:
                    self._end_without_directory(run, report)
            elif report.state is not State.PREPARED:
                nothing = report.state in (State.NOT_STARTED, State.ABSENT)
                look_into(place, report, () if nothing else outputs, run.memo, run.held)
                if run.began is None and place.entry is not None:  # else it was waited for
                    reap_zombie(report.handle)
        return report

    def _find(self, run: Run, report: Report) -> None:
        """Open a descriptor of the process, for the next call of :meth:`watch`.

        Not of the supervisor: the driver that it belongs to may have more for it to do.
        """
        if run.supervised is None and run.descriptor is None:
            identity = Identity.parse(report.handle or "")
            apart = identity is not None and self.manager.origin.is_apart(identity.origin)
            process = None if identity is None or apart else identity.process
            run.descriptor = None if process is None else PidFd.of(process.pid, process.lives)
            if process is not None and not process.lives():
                run.missed = run.missed or time.monotonic()

    def _end_without_directory(self, run: Run, report: Report) -> None:
        """Kill a process of which neither the output nor the end can be read in its directory."""
        identity = Identity.parse(report.handle or "")
        if identity is not None and self.manager.signal(identity, signal.SIGKILL):
            log.warning(
                "the process of the run directory %s is killed: %s", run.directory, report.problem
            )

    async def read(self, run: Run, name: str) -> AReadStream:
        return await asyncio.to_thread(self._read, run, name)

    def _read(self, run: Run, name: str) -> LocalReadStream:
        path = str(run.directory / name)
        with manager_errors(f"read {path!r}"):
            return LocalReadStream(path, self._open(run, name))

    def _open(self, run: Run, name: str) -> int:
        """Open a stream of a run, or one that is held: while the run has it, it has two names."""
        other = None if run.held is None else str(run.held / name)
        with Place.opened(str(run.directory)) as place:
            return place.require().open(name, max_links=2 if run.is_held else 1, other_link=other)

    async def write(self, run: Run, name: str) -> AWriteStream:
        return await in_thread(self._write, str(run.directory), name)

    def _write(self, place: str, name: str) -> LocalWriteStream:
        path = os.path.join(place, name)
        with manager_errors(f"write {path!r}"), Place.opened(place) as found:
            directory = found.require()
            directory.remove(name)
            return LocalWriteStream(path, directory.create_fd(name))

    async def stop(self, run: Run, reason: str, *, force: bool) -> bool:
        return await in_thread(self._stop, str(run.directory), reason, force)

    def _stop(self, path: str, reason: str, force: bool) -> bool:
        with manager_errors(f"end what runs in {path!r}"), Place.opened(path) as place:
            status, _ = place.read_status()
            identity = parse_identity(status)
            if identity is None:
                # Not started yet: revoke it. A process that is just beginning is told next time.
                with contextlib.suppress(FileNotFoundError):
                    place.note_stop(reason)
                return place.revoke()
            if parse_status(status) is not None and not identity.process.lives():
                return False
            self.manager.require_here(identity, path)
            if not place.lives(identity, self.manager):
                return False
            # Without room for the reason, the process has to end all the same.
            with contextlib.suppress(OSError):
                place.note_stop(reason)
            if force:
                return self.manager.signal(identity, signal.SIGKILL)
            told = self.manager.signal(identity, signal.SIGTERM)
            self.manager.signal(identity, signal.SIGCONT)  # one that is suspended would not notice
            return told

    async def remove(self, run: Run) -> Leftover | None:
        return await in_thread(self._remove, run)

    def _remove(self, run: Run) -> Leftover | None:
        place = str(run.directory)
        with manager_errors(f"remove the run directory {place!r}"):
            same = False
            if run.entry is not None:
                with contextlib.suppress(FileNotFoundError):
                    same = run.entry.was_made_with(os.lstat(place))
                run.entry.discard()
            return discard_directory(place, made=run.made and same)

    async def remove_leftovers(self, folder: Path) -> list[Leftover]:
        with manager_errors(f"remove what is left in {str(folder)!r}"):
            return await in_thread(self._remove_leftovers, str(folder))

    def _remove_leftovers(self, folder: str) -> list[Leftover]:
        for entry in find_orphans(folder):
            with contextlib.suppress(RunFileError):
                identity = parse_identity(entry.read()[0])
                if identity is None or not self.manager.is_alive(identity):
                    entry.discard()
        return remove_leftovers(folder)

    async def tail(self, run: Run, name: str, length: int) -> bytes:
        with manager_errors(f"read {str(run.directory / name)!r}"):
            return await in_thread(self._tail, run, name, length)

    def _tail(self, run: Run, name: str, length: int) -> bytes:
        fd = self._open(run, name)
        try:
            return read_tail(fd, length)
        finally:
            os.close(fd)

    async def archive(self, run: Run, names: Collection[str], place: Path) -> None:
        source, target = str(run.directory), str(place)
        with manager_errors(f"hold the output of {source!r} in {target!r}"):
            await in_thread(self._archive, source, tuple(names), target)
        run.held = place

    def _archive(self, source: str, names: tuple[str, ...], place: str) -> None:
        os.makedirs(os.path.dirname(place), 0o700, exist_ok=True)
        os.makedirs(place, 0o700, exist_ok=True)
        with Place.opened(source) as run, RunDirectory(place) as target:
            for name in names:
                run.require().link(name, target)

    async def unarchive(self, run: Run) -> None:
        place = str(run.directory)
        with manager_errors(f"remove the held output in {place!r}"):
            await in_thread(self._unarchive, place)

    def _unarchive(self, place: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            with RunDirectory(place) as held:
                for name in held.names():
                    if name.rstrip("~") in (STDOUT_FILE, STDERR):
                        held.remove(name)
            os.rmdir(place)

    async def archived(self, folder: Path) -> dict[str, float] | None:
        with manager_errors(f"list the held output in {str(folder)!r}"):
            return await in_thread(self._archived, str(folder))

    def _archived(self, folder: str) -> dict[str, float]:
        now = time.time()
        try:
            with os.scandir(folder) as entries:
                ages = {entry.name: now - os.lstat(entry.path).st_mtime for entry in entries}
        except FileNotFoundError:
            return {}
        return {original_name(name): age for name, age in ages.items()}

    async def found(self, folder: Path) -> set[str] | None:
        with manager_errors(f"list the run directories in {str(folder)!r}"):
            return await asyncio.to_thread(self._found, str(folder))

    def _found(self, folder: str) -> set[str]:
        try:
            names = os.listdir(folder)
        except FileNotFoundError:
            return set()
        return {original_name(name) for name in names if name != JOURNAL and not is_leftover(name)}

    async def remember(self, run: Run, memo: str | None) -> None:
        if run.memo is not None:
            with manager_errors(f"make a note in {str(run.memo)!r}"):
                await in_thread(self._remember, str(run.memo), memo)

    def _remember(self, place: str, memo: str | None) -> None:
        if memo is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(place)
            return
        folder, name = os.path.split(place)
        os.makedirs(folder, 0o700, exist_ok=True)
        with RunDirectory(folder) as directory:
            directory.replace(name, memo.encode())


def _supervised(run: Run) -> bool:
    """Tell whether a supervisor of this process still has a run; note how it did if not."""
    if run.supervised is not None and run.supervised.is_over():
        if run.supervised.status is not None:
            run.began = run.supervised.status == 0
        run.supervised = None
    return run.supervised is not None


def _streams(plan: Plan) -> tuple[str, str, str | None]:
    """Tell where the streams of a run come from and go to, as seen from its directory."""
    stdin = STDIN if plan.has_stdin else os.devnull
    stdout = STDOUT_FILE if plan.stdout else os.devnull
    if plan.stderr is STDOUT:
        return stdin, stdout, None
    return stdin, stdout, STDERR if plan.stderr else os.devnull
