"""The backend for local processes: one thread call per operation, exits from the kernel."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from typing import TYPE_CHECKING

from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.proc_manager.backend import LOST_TIMEOUT_SECONDS, ProcessBackend
from pydatatask_core.proc_manager.base import STDOUT
from pydatatask_core.proc_manager.process import (
    MAX_INLINE_BYTES,
    LaunchSpec,
    ProcessRun,
    ProcessState,
    ProcessStatus,
    RunExistsError,
)
from pydatatask_core.proc_manager.protocol.identity import Identity
from pydatatask_core.proc_manager.protocol.run_directory import (
    GRACE_SECONDS,
    SCRIPT,
    STDERR,
    STDIN,
    STDOUT_FILE,
    command_line,
    is_leftover,
    original_name,
)
from pydatatask_core.proc_manager.shell import strict_shell
from pydatatask_core.utils import in_thread, run_blocking
from pydatatask_core.utils.files import remove_tree

from .files import LocalReadStream, LocalWriteStream, manager_errors
from .inspect import OpenRun, describe_report, inspect, read_outputs, read_tail
from .journal import JOURNAL, create_entry, find_orphans
from .pidfd import PidFd
from .private_folder import remove_leftovers, remove_run_directory, remove_small_run
from .run_files import RunDirectory, RunFileError
from .supervisors import check_program

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from pydatatask_core.proc_manager.process import Leftover
    from pydatatask_core.utils import AReadStream, AWriteStream

    from .journal import Entry
    from .manager import LocalLinuxManager

__all__ = ["LocalBackend"]

log = logging.getLogger("pydatatask.proc_manager")

_MOMENT = 0.01
"""Seconds between checks for the status of a process that has just exited."""


class LocalBackend(ProcessBackend):
    """The protocol of ``protocol.run_directory``, implemented with system calls.

    :param manager: the manager.
    """

    atomic_create = True
    manager: LocalLinuxManager

    @property
    def configured_shell(self) -> tuple[str, ...] | None:
        return self.manager.shell

    async def lacks_bash(self) -> bool:
        return await self.manager.find_shell() == strict_shell(None)

    async def validate(self) -> None:
        await self.manager.validate()

    async def create(self, run: ProcessRun, spec: LaunchSpec) -> None:
        is_quick = self.manager.is_quick and len(spec.stdin or b"") <= MAX_INLINE_BYTES
        run.entry, run.script_time = await run_blocking(
            is_quick, self._create, str(run.directory), spec
        )
        run.created = True

    def _create(self, path: str, spec: LaunchSpec) -> tuple[Entry, int]:
        with manager_errors(f"create the run directory {path!r}"):
            try:
                os.mkdir(path, 0o700)
            except FileExistsError as e:
                raise RunExistsError(f"the run directory {path!r} exists already") from e
            except FileNotFoundError:
                self.manager.prepare()  # its parents may have been removed as well
                os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
                return self._create(path, spec)
            try:
                with RunDirectory(path) as directory:
                    directory.create(SCRIPT, spec.script or b"\n", 0o700)
                    if spec.stdin is not None:
                        directory.create(STDIN, spec.stdin)
                    written = os.stat(SCRIPT, dir_fd=directory.fd).st_mtime_ns
                    origin = str(self.manager.origin)
                    return create_entry(path, directory.status.st_ino, origin), written
            except BaseException:
                remove_tree(path)
                raise

    async def start(self, run: ProcessRun, spec: LaunchSpec) -> None:
        path, entry = str(run.directory), run.entry
        script = os.path.join(path, SCRIPT)
        shell = spec.shell or self.configured_shell or await self.manager.find_shell()
        command = command_line(spec.script, script, shell)
        check_program(command, spec.environ)
        if entry is None:
            raise ProcessManagerError(f"the run directory {path!r} was not created by this process")
        with manager_errors(f"start {script!r}"):
            run.supervised = await self.manager.supervisors.start_job(
                path,
                command,
                spec.environ,
                (os.fsencode(path), entry.inode, run.script_time),
                (os.fsencode(entry.folder), os.fsencode(entry.name)),
                _streams(spec),
                None if spec.detach else GRACE_SECONDS,
            )

    def watch(self, run: ProcessRun, on_exit: Callable[[], None]) -> Callable[[], None] | None:
        # The watch may continue from an earlier pipeline of this process.
        run.supervised = run.supervised or self.manager.supervisors.find(str(run.directory))
        if run.supervised is not None:
            return run.supervised.watch(on_exit)
        if run.pidfd is None:
            if (
                run.unconfirmed_since is None
                or time.monotonic() - run.unconfirmed_since > LOST_TIMEOUT_SECONDS
            ):
                return None
            # The supervisor, which may belong to another driver, is about to write the status.
            return asyncio.get_running_loop().call_later(_MOMENT, on_exit).cancel

        def notice() -> None:
            run.pidfd = None  # the run may still not be over: open another one then
            on_exit()

        return run.pidfd.watch(notice)

    async def exited(self, process_runs: Collection[ProcessRun]) -> list[ProcessRun]:
        return await asyncio.to_thread(self._poll, list(process_runs))

    def _poll(self, process_runs: list[ProcessRun]) -> list[ProcessRun]:
        return [run for run in process_runs if self._may_have_ended(run)]

    def _may_have_ended(self, run: ProcessRun) -> bool:
        if run.supervised is not None:
            return run.supervised.is_over
        with OpenRun.opened(str(run.directory)) as opened:
            return inspect(opened, self.manager).state is not ProcessState.RUNNING

    async def inspect(
        self, run: ProcessRun, outputs: Iterable[str] = (), *, fence: bool = True
    ) -> ProcessStatus:
        return await run_blocking(self.manager.is_quick, self._inspect, run, tuple(outputs), fence)

    def _inspect(self, run: ProcessRun, outputs: tuple[str, ...], fence: bool) -> ProcessStatus:
        path, job = str(run.directory), run.supervised
        if job is not None and job.is_over and job.report is None:
            job = run.supervised = None  # its supervisor was killed
        with (
            manager_errors(f"inspect the run directory {path!r}"),
            OpenRun.opened(path, run.entry) as opened,
        ):
            run.entry = opened.entry
            report = None if job is None else job.report
            if report is not None and report.return_code is not None and opened.is_known:
                status = describe_report(opened, report, self.manager.origin)
            else:
                status = self._inspect_journal(run, opened, fence)
            if status.state is ProcessState.RUNNING:
                if job is not None and job.is_over:
                    run.supervised = None  # only the journal shows its end
                self._find(run, status)
                if status.problem is not None:
                    self._end_without_directory(run, status)
            elif status.state is not ProcessState.CREATED:
                nothing = status.state in (ProcessState.NEVER_STARTED, ProcessState.MISSING)
                read_outputs(opened, status, () if nothing else outputs, run.note_path, run.held)
        return status

    def _inspect_journal(self, run: ProcessRun, opened: OpenRun, fence: bool) -> ProcessStatus:
        """Return the status of a run whose supervisor has not reported its exit status."""
        job, has_started = run.supervised, None
        if job is not None and job.report is not None:
            has_started = job.report.return_code is not None
        is_starting = job is not None and not job.is_over
        status = inspect(
            opened, self.manager, fence=fence and not is_starting, has_started=has_started
        )
        if is_starting and status.state is ProcessState.CREATED:
            status.state = ProcessState.RUNNING  # the supervisor will start it
        elif has_started is False and status.state is ProcessState.MISSING:
            status.state = ProcessState.NEVER_STARTED  # even if the directory is gone
        return status

    def _find(self, run: ProcessRun, status: ProcessStatus) -> None:
        """Open a descriptor of the process, for the next call of :meth:`watch`."""
        if run.supervised is None and run.pidfd is None:
            identity = Identity.parse(status.handle or "")
            apart = identity is not None and self.manager.origin.is_elsewhere(identity.origin)
            process = None if identity is None or apart else identity.process
            run.pidfd = None if process is None else PidFd.of(process.pid, process.is_alive)
            if process is not None and not process.is_alive():
                run.unconfirmed_since = run.unconfirmed_since or time.monotonic()

    def _end_without_directory(self, run: ProcessRun, status: ProcessStatus) -> None:
        """Kill a process whose output and exit cannot be read from its directory."""
        identity = Identity.parse(status.handle or "")
        if identity is not None and self.manager.signal(identity, signal.SIGKILL):
            log.warning(
                "killed the process of the run directory %s: %s", run.directory, status.problem
            )

    async def open_output(self, run: ProcessRun, name: str) -> AReadStream:
        return await asyncio.to_thread(self._read, run, name)

    def _read(self, run: ProcessRun, name: str) -> LocalReadStream:
        path = str(run.directory / name)
        with manager_errors(f"read {path!r}"):
            return LocalReadStream(path, self._open(run, name))

    def _open(self, run: ProcessRun, name: str) -> int:
        """Open a stream of a run, or an archived one, which has two links while the run exists."""
        other = None if run.held is None else str(run.held / name)
        with OpenRun.opened(str(run.directory)) as place:
            return place.require().open(name, max_links=2 if run.is_held else 1, other_link=other)

    async def open_input(self, run: ProcessRun, name: str) -> AWriteStream:
        return await in_thread(self._write, str(run.directory), name)

    def _write(self, place: str, name: str) -> LocalWriteStream:
        path = os.path.join(place, name)
        with manager_errors(f"write {path!r}"), OpenRun.opened(place) as found:
            directory = found.require()
            directory.remove(name)
            return LocalWriteStream(path, directory.create_fd(name))

    async def terminate(self, run: ProcessRun, reason: str, *, force: bool) -> bool:
        return await in_thread(self._stop, str(run.directory), reason, force)

    def _stop(self, path: str, reason: str, force: bool) -> bool:
        with manager_errors(f"terminate the job in {path!r}"), OpenRun.opened(path) as opened:
            content, entry = opened.read_entry(), opened.entry
            if entry is None:
                return False
            if content.identity is None:
                # Not started yet: revoke it. A process that starts meanwhile is stopped next time.
                if content.is_ready:
                    with contextlib.suppress(OSError):  # as below
                        entry.save_stop_reason(reason)
                return entry.revoke()
            if content.return_code is not None:
                return False
            self.manager.check_is_local(content.identity, path)
            if not opened.is_alive(content, self.manager):
                return False
            # A full disk must not prevent the termination.
            with contextlib.suppress(OSError):
                entry.save_stop_reason(reason)
            return self.manager.signal(
                content.identity, signal.SIGKILL if force else signal.SIGTERM
            )

    async def remove(self, run: ProcessRun) -> Leftover | None:
        path, entry = str(run.directory), run.entry
        if (
            (entry is not None and run.created)
            and self.manager.is_quick
            and await run_blocking(True, remove_small_run, path, entry)
        ):
            return None
        return await in_thread(self._remove, run)

    def _remove(self, run: ProcessRun) -> Leftover | None:
        place = str(run.directory)
        with manager_errors(f"remove the run directory {place!r}"):
            same = False
            if run.entry is not None:
                with contextlib.suppress(FileNotFoundError):
                    same = run.entry.inode == os.lstat(place).st_ino
                run.entry.discard()
            return remove_run_directory(place, created=run.created and same)

    async def remove_leftovers(self, folder: Path) -> list[Leftover]:
        with manager_errors(f"remove the leftovers in {str(folder)!r}"):
            return await in_thread(self._remove_leftovers, str(folder))

    def _remove_leftovers(self, folder: str) -> list[Leftover]:
        for entry in find_orphans(folder):
            with contextlib.suppress(RunFileError):
                identity = entry.read().identity
                if identity is None or not self.manager.is_alive(identity):
                    entry.discard()
        return remove_leftovers(folder)

    async def read_tail(self, run: ProcessRun, name: str, length: int) -> bytes:
        with manager_errors(f"read {str(run.directory / name)!r}"):
            return await in_thread(self._tail, run, name, length)

    def _tail(self, run: ProcessRun, name: str, length: int) -> bytes:
        fd = self._open(run, name)
        try:
            return read_tail(fd, length)
        finally:
            os.close(fd)

    async def archive(self, run: ProcessRun, names: Collection[str], place: Path) -> None:
        source, target = str(run.directory), str(place)
        with manager_errors(f"archive the output of {source!r} in {target!r}"):
            await in_thread(self._archive, source, tuple(names), target)
        run.held = place

    def _archive(self, source: str, names: tuple[str, ...], place: str) -> None:
        os.makedirs(os.path.dirname(place), 0o700, exist_ok=True)
        os.makedirs(place, 0o700, exist_ok=True)
        with OpenRun.opened(source) as run, RunDirectory(place) as target:
            for name in names:
                run.require().link(name, target)

    async def remove_archive(self, run: ProcessRun) -> None:
        place = str(run.directory)
        with manager_errors(f"remove the archived output in {place!r}"):
            await in_thread(self._unarchive, place)

    def _unarchive(self, place: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            with RunDirectory(place) as held:
                for name in held.names():
                    if name.rstrip("~") in (STDOUT_FILE, STDERR):
                        held.remove(name)
            os.rmdir(place)

    async def list_archives(self, folder: Path) -> dict[str, float] | None:
        with manager_errors(f"list the archived output in {str(folder)!r}"):
            return await in_thread(self._archived, str(folder))

    def _archived(self, folder: str) -> dict[str, float]:
        now = time.time()
        try:
            with os.scandir(folder) as entries:
                ages = {entry.name: now - os.lstat(entry.path).st_mtime for entry in entries}
        except FileNotFoundError:
            return {}
        return {original_name(name): age for name, age in ages.items()}

    async def list_directories(self, folder: Path) -> set[str] | None:
        with manager_errors(f"list the run directories in {str(folder)!r}"):
            return await asyncio.to_thread(self._found, str(folder))

    def _found(self, folder: str) -> set[str]:
        try:
            names = os.listdir(folder)
        except FileNotFoundError:
            return set()
        return {original_name(name) for name in names if name != JOURNAL and not is_leftover(name)}

    async def save_note(self, run: ProcessRun, memo: str | None) -> None:
        if run.note_path is not None:
            with manager_errors(f"save a note in {str(run.note_path)!r}"):
                await in_thread(self._remember, str(run.note_path), memo)

    def _remember(self, place: str, memo: str | None) -> None:
        if memo is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(place)
            return
        folder, name = os.path.split(place)
        os.makedirs(folder, 0o700, exist_ok=True)
        with RunDirectory(folder) as directory:
            directory.replace(name, memo.encode())


def _streams(spec: LaunchSpec) -> tuple[bytes | None, bytes | None, bytes | None, bool]:
    """Return the files of the standard streams of a run, relative to its directory."""
    joined = spec.stderr is STDOUT
    return (
        STDIN.encode() if spec.has_stdin else None,
        STDOUT_FILE.encode() if spec.stdout else None,
        STDERR.encode() if spec.stderr and not joined else None,
        joined,
    )
