"""The backend for processes on another machine."""

from __future__ import annotations

import contextlib
import secrets
import time
from typing import TYPE_CHECKING, Any

import asyncssh

from pydatatask_core.proc_manager import STDOUT, ProcessBackend, ProcessState, ProcessStatus
from pydatatask_core.proc_manager.backend import LOST_TIMEOUT_SECONDS
from pydatatask_core.proc_manager.process import TAIL_BYTES, Leftover, Output
from pydatatask_core.proc_manager.protocol.run_directory import (
    BEGUN,
    NOT_A_RUN_DIRECTORY,
    SCRIPT,
    STDERR,
    STDIN,
    STDOUT_FILE,
    command_line,
    is_leftover,
    original_name,
)
from pydatatask_core.proc_manager.protocol.status import classify
from pydatatask_core.proc_manager.shell import strict_shell

from .errors import OutputError, SSHConnectionError, UncertainStartError
from .launch import launch_command
from .remote.answers import parsing
from .remote.files import SSHReadStream, write_new_file
from .remote.replies import parse_memo, parse_now, parse_observation
from .remote.run_files import open_output, parse_outputs, read_output, twin_of
from .remote.shell_functions import shell_join
from .remote.trash import remove_leftovers
from .run_directory import create_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from pathlib import Path

    from pydatatask_core.proc_manager import LaunchSpec, ProcessRun
    from pydatatask_core.proc_manager.protocol.status import Observation
    from pydatatask_core.utils import AReadStream

    from .manager import SSHLinuxManager
    from .remote.host import RemoteHost

__all__ = ["SSHBackend"]


class SSHBackend(ProcessBackend):
    """The protocol of ``protocol.run_directory``, implemented with a remote shell and SFTP.

    :param manager: the manager.
    """

    atomic_create = True
    manager: SSHLinuxManager

    @property
    def host(self) -> str:
        return self.manager.session.host

    @property
    def is_up(self) -> bool:
        return self.manager.session.is_up

    @property
    def configured_shell(self) -> tuple[str, ...] | None:
        return self.manager.shell

    async def lacks_bash(self) -> bool:
        return (await self.manager.session.remote()).bash is None

    async def validate(self) -> None:
        await self.manager.validate()

    # -- launch ----------------------------------------------------------------------------------

    async def create(self, run: ProcessRun, spec: LaunchSpec) -> None:
        path = str(run.directory)
        await self.manager.session.run(
            f"create the run directory {path!r}",
            lambda remote: create_directory(self.manager, remote, path, spec),
            path=path,
            repeat=False,
        )
        run.created = True

    async def start(self, run: ProcessRun, spec: LaunchSpec) -> None:
        path = str(run.directory)
        script, shell = f"{path}/{SCRIPT}", spec.shell or self.configured_shell

        def text(remote: RemoteHost) -> str:
            return launch_command(
                remote,
                command_line(spec.script, script, shell or strict_shell(remote.bash)),
                spec.environ,
                path,
                (
                    f"{path}/{STDIN}" if spec.has_stdin else None,
                    f"{path}/{STDOUT_FILE}" if spec.stdout else None,
                    f"{path}/{STDERR}"
                    if spec.stderr is True
                    else STDOUT
                    if spec.stderr is STDOUT
                    else None,
                ),
                journal=self.manager.journal(path),
                begun=BEGUN,
                status=self.manager.journal(path),
                line=path,
                ends=self.manager.ends,
            )

        remote = await self.manager.session.remote()
        self.manager.watch.expect(path)
        run.unconfirmed_since = time.monotonic()
        try:
            async with self.manager.session.translate_errors(remote, f"start {script!r}", None):
                await remote.ask(text(remote))
        except SSHConnectionError as e:
            raise UncertainStartError(f"{e}; checking whether the job is running") from e

    # -- monitoring ------------------------------------------------------------------------------

    def watch(self, run: ProcessRun, ended: Callable[[], None]) -> Callable[[], None] | None:
        return self.manager.watch.add(str(run.directory), ended)

    async def exited(self, process_runs: Collection[ProcessRun]) -> list[ProcessRun]:
        result = await self.manager.ended_among(str(run.directory) for run in process_runs)

        def may_have_ended(run: ProcessRun) -> bool:
            begun = result.get(str(run.directory))
            return begun is True or (begun is False and not self._is_starting(run))

        return [run for run in process_runs if may_have_ended(run)]

    async def inspect(
        self, run: ProcessRun, outputs: Iterable[str] = (), *, fence: bool = True
    ) -> ProcessStatus:
        path, names = str(run.directory), tuple(outputs)
        return await self.manager.session.run(
            f"inspect the run directory {path!r}",
            lambda remote: self._report(remote, run, path, names, fence),
        )

    def _is_starting(self, run: ProcessRun) -> bool:
        """Return whether a run was launched a moment ago, so that its script may still begin."""
        if (
            run.unconfirmed_since is None
            or self.manager.watch.began(str(run.directory)) is not None
        ):
            return False
        return time.monotonic() - run.unconfirmed_since < LOST_TIMEOUT_SECONDS

    async def _report(
        self, remote: RemoteHost, run: ProcessRun, path: str, names: tuple[str, ...], fence: bool
    ) -> ProcessStatus:
        starting = self._is_starting(run)
        ended = self.manager.watch.ended(path)
        observation, lines = await self._observe(
            remote, path, dated=ended is None, run=run, names=names
        )
        if observation.started is None:
            observation.started = self.manager.watch.began(path)
        status = classify(observation)
        if status.state is ProcessState.EXITED and status.end_time is None:
            status.end_time = ended
        if status.state is ProcessState.CREATED and starting:
            status.state = ProcessState.RUNNING
        elif status.state is ProcessState.CREATED and fence:
            if not await remote.ask(f"revoke {shell_join(path)}"):
                return await self._report(remote, run, path, names, fence)
            status.state = ProcessState.NEVER_STARTED
        if status.state in (ProcessState.RUNNING, ProcessState.CREATED):
            return status
        status.note = parse_memo(lines)
        if status.state not in (ProcessState.NEVER_STARTED, ProcessState.MISSING):
            await _add_outputs(remote, run, status, lines)
        return status

    async def _observe(
        self,
        remote: RemoteHost,
        path: str,
        *,
        dated: bool = False,
        run: ProcessRun | None = None,
        names: Sequence[str] = (),
    ) -> tuple[Observation, list[str]]:
        """Inspect a run directory and outputs in it.

        :param dated: whether to read the modification time of its status.
        :param run: the run, if its note is requested.
        :param names: the outputs.
        """
        here = shell_join(self.manager.basedir, path)
        asked = [f"look {here}", *([f"written {here}"] if dated else [])]
        if names and run is not None:
            asked.append(f"outputs {shell_join(path, twin_of(run), *names)}")
        if run is not None and run.note_path is not None:
            asked.append(f"memo {shell_join(run.note_path)}")
        lines = await remote.ask(" && ".join(asked))
        with parsing("look", lines):
            observation = parse_observation(lines, path, remote.boot)
        if not observation.exists:
            # A shell cannot distinguish a missing directory from an inaccessible one.
            with contextlib.suppress(asyncssh.SFTPNoSuchFile):
                await remote.sftp.lstat(path)
                return await self._observe(remote, path, dated=dated, run=run, names=names)
        return observation, lines

    async def open_output(self, run: ProcessRun, name: str) -> AReadStream:
        path = str(run.directory / name)
        file = await self.manager.session.run(
            f"open {path!r}", lambda remote: open_output(remote, run, name)
        )
        return SSHReadStream(file, path, self.host)

    # -- termination and removal -----------------------------------------------------------------

    async def terminate(self, run: ProcessRun, reason: str, *, force: bool) -> bool:
        path = str(run.directory)
        return await self.manager.session.run(
            f"terminate the job in {path!r}",
            lambda remote: self._stop(remote, path, reason, force),
        )

    async def _stop(self, remote: RemoteHost, path: str, reason: str, force: bool) -> bool:
        note = f"note {shell_join(self.manager.basedir, path, reason)}"
        observation, _ = await self._observe(remote, path)
        identity = observation.identity
        if identity is None:
            # Not started yet: revoke it. A process that starts meanwhile is stopped next time.
            return bool(
                observation.exists and await remote.ask(f"{note}; revoke {shell_join(path)}")
            )
        if not observation.is_alive:
            return False
        process = identity.process
        facts = shell_join(process.pid, process.start, identity.supervisor, identity.boot)
        signals = ["KILL"] if force else ["TERM", "CONT"]  # a suspended process ignores SIGTERM
        strikes = "; ".join(f"strike {signal} {facts}" for signal in signals)
        # A full disk must not prevent the termination.
        return bool(await remote.ask(f"{note}; {strikes}"))

    async def remove(self, run: ProcessRun) -> Leftover | None:
        path = str(run.directory)
        return await self.manager.session.run(
            f"remove the run directory {path!r}",
            lambda remote: self._remove(remote, path, run.created),
        )

    async def _remove(self, remote: RemoteHost, path: str, made: bool) -> Leftover | None:
        here = shell_join(self.manager.basedir, path)
        if not made and not await remote.ask(f"marked {here}"):
            return Leftover(path, NOT_A_RUN_DIRECTORY)
        folder, more = self.manager.trash, self.manager.watch.waits
        journal = self.manager.journal(path)
        return await remote.trash.move_to_trash(path, folder, more=more, journal=journal)

    async def remove_leftovers(self, folder: Path) -> list[Leftover]:
        async def removed(remote: RemoteHost) -> list[Leftover]:
            names = filter(is_leftover, await _names_in(remote, str(folder)))
            return await remove_leftovers(remote, str(folder), list(names))

        return await self.manager.session.run(f"remove the leftovers in {str(folder)!r}", removed)

    async def read_tail(self, run: ProcessRun, name: str, length: int) -> bytes:
        return await self.manager.session.run(
            f"read {str(run.directory / name)!r}",
            lambda remote: _tail(remote, run, name, length),
        )

    async def archive(self, run: ProcessRun, names: Collection[str], path: Path) -> None:
        source = str(run.directory)
        await self.manager.session.run(
            f"archive the output of {source!r} in {str(path)!r}",
            lambda remote: _archive(remote, source, str(path), names),
        )
        run.held = path

    async def remove_archive(self, run: ProcessRun) -> None:
        path = str(run.directory)
        await self.manager.session.run(
            f"remove the archived output in {path!r}",
            lambda remote: remote.ask(f"unarchive {shell_join(path, STDOUT_FILE, STDERR)}"),
        )

    async def list_archives(self, folder: Path) -> dict[str, float] | None:
        return await self.manager.session.run(
            f"list the archived output in {str(folder)!r}",
            lambda remote: _archived(remote, str(folder)),
        )

    async def list_directories(self, folder: Path) -> set[str] | None:
        async def listed(remote: RemoteHost) -> set[str]:
            journal = self.manager.journal(str(folder))
            kept = await _names_in(remote, journal)  # first, because directories are created first
            names = await _names_in(remote, str(folder))
            for name in set(kept) - set(names):
                with contextlib.suppress(asyncssh.SFTPNoSuchFile):  # its directory was removed
                    await remote.sftp.remove(f"{journal}/{name}")
            return {original_name(name) for name in names if not is_leftover(name)}

        return await self.manager.session.run(
            f"list the run directories in {str(folder)!r}", listed
        )

    async def save_note(self, run: ProcessRun, memo: str | None) -> None:
        if run.note_path is None:
            return
        path = str(run.note_path)
        await self.manager.session.run(
            f"save a note in {path!r}",
            lambda remote: _remember(remote, path, memo),
            path=path,
        )


async def _names_in(remote: RemoteHost, folder: str) -> list[str]:
    try:
        names = await remote.sftp.listdir(folder)
    except asyncssh.SFTPNoSuchFile:
        return []
    return [str(name) for name in names if name not in (".", "..")]


async def _add_outputs(
    remote: RemoteHost, run: ProcessRun, status: ProcessStatus, lines: list[str]
) -> None:
    """Add to a status the outputs of a finished run, or why one of them cannot be read."""
    with parsing("outputs", lines):
        contents = parse_outputs(lines, remote.user)
    for name, it in contents.items():
        if it.problem is not None:
            status.problem = status.problem or it.problem
        elif it.data is not None:
            status.outputs[name] = Output(it.size, it.data, it.data[-TAIL_BYTES:])
        else:
            try:
                output = await read_output(remote, run, name)
            except OutputError as e:
                status.problem = status.problem or str(e)
            else:
                if output is not None:
                    status.outputs[name] = output


async def _tail(remote: RemoteHost, run: ProcessRun, name: str, length: int) -> bytes:
    async with await open_output(remote, run, name) as file:
        size = (await file.stat()).size or 0
        data: Any = await file.read(length, max(0, size - length))
        return bytes(data)


async def _archive(remote: RemoteHost, source: str, path: str, names: Collection[str]) -> None:
    """Link files into a private directory, or copy them if they cannot be linked."""
    arguments = shell_join(source, path, *names)
    if not await remote.ask(f"archive {arguments}"):
        await remote.ask_slowly(f"copy {arguments}")


async def _archived(remote: RemoteHost, folder: str) -> dict[str, float]:
    try:
        entries = await remote.sftp.readdir(folder)
    except asyncssh.SFTPNoSuchFile:
        return {}
    made = {
        str(entry.filename): entry.attrs.mtime or 0
        for entry in entries
        if entry.filename not in (".", "..")
    }
    if not made:
        return {}
    now = parse_now(await remote.ask("now"))
    return {original_name(name): now - time for name, time in made.items()}


async def _remember(remote: RemoteHost, path: str, memo: str | None) -> None:
    if memo is None:
        try:
            await remote.sftp.remove(path)
        except asyncssh.SFTPNoSuchFile:
            return
        return
    passing = f"{path}.{secrets.token_hex(8)}~"
    try:
        await write_new_file(remote.sftp, passing, memo.encode())
    except asyncssh.SFTPNoSuchFile:
        await remote.ask(f"mkdir -p -m 700 -- {shell_join(path.rpartition('/')[0])}")
        await write_new_file(remote.sftp, passing, memo.encode())
    await remote.sftp.posix_rename(passing, path)
