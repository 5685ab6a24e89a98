"""The runs of jobs on another machine."""

from __future__ import annotations

import contextlib
import secrets
import time
from typing import TYPE_CHECKING, Any

import asyncssh

from pydatatask_core.proc_manager import STDOUT, Report, Runs, State
from pydatatask_core.proc_manager.identity import parse_identity
from pydatatask_core.proc_manager.judging import judge
from pydatatask_core.proc_manager.run import TAIL, Leftover, Output
from pydatatask_core.proc_manager.runs import PATIENCE
from pydatatask_core.proc_manager.shell import strict_shell
from pydatatask_core.proc_manager.supervisor import (
    BEGUN,
    SCRIPT,
    STDERR,
    STDIN,
    STDOUT_FILE,
    UNMARKED,
    command_line,
    is_leftover,
    original_name,
)

from .answers import parsing
from .errors import OutputError, SSHConnectionError, UncertainStartError
from .launching import launch_text
from .making import make_directory
from .rubbish import remove_leftovers
from .run_files import open_output, parse_outputs, read_output, twin_of
from .script import words
from .sight import parse_memo, parse_now, parse_sight
from .streams import SSHReadStream, write_new

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from pathlib import Path

    from pydatatask_core.proc_manager import Plan, Run
    from pydatatask_core.proc_manager.judging import Seen
    from pydatatask_core.utils import AReadStream

    from .manager import SSHLinuxManager
    from .target import Target

__all__ = ["SSHRuns"]


class SSHRuns(Runs):
    """Keeps the protocol of ``supervisor`` through a helper shell and SFTP.

    :param manager: the manager.
    """

    exclusive = True
    manager: SSHLinuxManager

    @property
    def host(self) -> str:
        return self.manager.reach.host

    @property
    def is_up(self) -> bool:
        return self.manager.reach.is_up

    @property
    def chosen_shell(self) -> tuple[str, ...] | None:
        return self.manager.shell

    async def lacks_bash(self) -> bool:
        return (await self.manager.reach.target()).bash is None

    async def validate(self) -> None:
        await self.manager.validate()

    # -- beginning -------------------------------------------------------------------------------

    async def make(self, run: Run, plan: Plan) -> None:
        place = str(run.directory)
        await self.manager.reach.perform(
            f"make the run directory {place!r}",
            lambda target: make_directory(self.manager, target, place, plan),
            path=place,
            repeat=False,
        )
        run.made = True

    async def start(self, run: Run, plan: Plan) -> None:
        place = str(run.directory)
        script, shell = f"{place}/{SCRIPT}", plan.shell or self.chosen_shell

        def text(target: Target) -> str:
            return launch_text(
                target,
                command_line(plan.script, script, shell or strict_shell(target.bash)),
                plan.environ,
                place,
                (
                    f"{place}/{STDIN}" if plan.has_stdin else None,
                    f"{place}/{STDOUT_FILE}" if plan.stdout else None,
                    f"{place}/{STDERR}"
                    if plan.stderr is True
                    else STDOUT
                    if plan.stderr is STDOUT
                    else None,
                ),
                journal=self.manager.journal(place),
                begun=BEGUN,
                status=self.manager.journal(place),
                line=place,
                ends=self.manager.ends,
            )

        target = await self.manager.reach.target()
        self.manager.watch.expect(place)
        run.missed = time.monotonic()
        try:
            async with self.manager.reach.explaining(target, f"start {script!r}", None):
                await target.ask(text(target))
        except SSHConnectionError as e:
            raise UncertainStartError(f"{e}; whether the job runs is looked up") from e

    # -- watching --------------------------------------------------------------------------------

    def watch(self, run: Run, ended: Callable[[], None]) -> Callable[[], None] | None:
        return self.manager.watch.add(str(run.directory), ended)

    async def poll(self, runs: Collection[Run]) -> list[Run]:
        found = await self.manager.ended_among(str(run.directory) for run in runs)

        def may_have_ended(run: Run) -> bool:
            begun = found.get(str(run.directory))
            return begun is True or (begun is False and not self._is_starting(run))

        return [run for run in runs if may_have_ended(run)]

    async def report(self, run: Run, outputs: Iterable[str] = (), *, claim: bool = True) -> Report:
        place, names = str(run.directory), tuple(outputs)
        return await self.manager.reach.perform(
            f"look into the run directory {place!r}",
            lambda target: self._report(target, run, place, names, claim),
        )

    def _is_starting(self, run: Run) -> bool:
        """Tell whether a run was started a moment ago, so that it is yet to begin."""
        if run.missed is None or self.manager.watch.began(str(run.directory)) is not None:
            return False
        return time.monotonic() - run.missed < PATIENCE

    async def _report(
        self, target: Target, run: Run, place: str, names: tuple[str, ...], claim: bool
    ) -> Report:
        starting = self._is_starting(run)
        ended = self.manager.watch.ended(place)
        seen, lines = await self._look(target, place, dated=ended is None, run=run, names=names)
        if seen.begun is None:
            seen.begun = self.manager.watch.began(place)
        report = judge(seen)
        if report.state is State.ENDED and report.ended is None:
            report.ended = ended
        if report.state is State.PREPARED and starting:
            report.state = State.RUNNING
        elif report.state is State.PREPARED and claim:
            if not await target.ask(f"revoke {words(place)}"):
                return await self._report(target, run, place, names, claim)
            report.state = State.NOT_STARTED
        if report.state in (State.RUNNING, State.PREPARED):
            return report
        report.memo = parse_memo(lines)
        if report.state not in (State.NOT_STARTED, State.ABSENT):
            await _add_outputs(target, run, report, lines)
        return report

    async def _look(
        self,
        target: Target,
        place: str,
        *,
        dated: bool = False,
        run: Run | None = None,
        names: Sequence[str] = (),
    ) -> tuple[Seen, list[str]]:
        """Find out about a run directory and outputs in it.

        :param dated: whether to find out when its status was written.
        :param run: the run, if its memo is wanted.
        :param names: the outputs.
        """
        here = words(self.manager.basedir, place)
        asked = [f"look {here}", *([f"written {here}"] if dated else [])]
        if names and run is not None:
            asked.append(f"outputs {words(place, twin_of(run), *names)}")
        if run is not None and run.memo is not None:
            asked.append(f"memo {words(run.memo)}")
        lines = await target.ask(" && ".join(asked))
        with parsing("look", lines):
            seen = parse_sight(lines, place, target.boot)
        if not seen.exists:
            # A shell does not tell what is not there from what it may not see.
            with contextlib.suppress(asyncssh.SFTPNoSuchFile):
                await target.sftp.lstat(place)
                return await self._look(target, place, dated=dated, run=run, names=names)
        return seen, lines

    async def read(self, run: Run, name: str) -> AReadStream:
        path = str(run.directory / name)
        file = await self.manager.reach.perform(
            f"open {path!r}", lambda target: open_output(target, run, name)
        )
        return SSHReadStream(file, path, self.host)

    # -- ending ----------------------------------------------------------------------------------

    async def stop(self, run: Run, reason: str, *, force: bool) -> bool:
        place = str(run.directory)
        return await self.manager.reach.perform(
            f"end what runs in {place!r}",
            lambda target: self._stop(target, place, reason, force),
        )

    async def _stop(self, target: Target, place: str, reason: str, force: bool) -> bool:
        note = f"note {words(self.manager.basedir, place, reason)}"
        seen, _ = await self._look(target, place)
        identity = parse_identity(seen.status)
        if identity is None:
            # Whoever has not begun, need not. Whoever is just beginning is told next time.
            return bool(seen.exists and await target.ask(f"{note}; revoke {words(place)}"))
        if not seen.lives:
            return False
        process = identity.process
        facts = words(process.pid, process.start, identity.supervisor, identity.boot)
        signals = ["KILL"] if force else ["TERM", "CONT"]  # who is suspended would not notice
        strikes = "; ".join(f"strike {signal} {facts}" for signal in signals)
        # Without room for the reason, the process has to end all the same.
        return bool(await target.ask(f"{note}; {strikes}"))

    async def remove(self, run: Run) -> Leftover | None:
        place = str(run.directory)
        return await self.manager.reach.perform(
            f"remove the run directory {place!r}",
            lambda target: self._remove(target, place, run.made),
        )

    async def _remove(self, target: Target, place: str, made: bool) -> Leftover | None:
        here = words(self.manager.basedir, place)
        if not made and not await target.ask(f"marked {here}"):
            return Leftover(place, UNMARKED)
        bin_, more = self.manager.rubbish, self.manager.watch.waits
        journal = self.manager.journal(place)
        return await target.rubbish.throw_away(place, bin_, more=more, journal=journal)

    async def remove_leftovers(self, folder: Path) -> list[Leftover]:
        async def removed(target: Target) -> list[Leftover]:
            names = filter(is_leftover, await _names_in(target, str(folder)))
            return await remove_leftovers(target, str(folder), list(names))

        return await self.manager.reach.perform(f"remove what is left in {str(folder)!r}", removed)

    async def tail(self, run: Run, name: str, length: int) -> bytes:
        return await self.manager.reach.perform(
            f"read {str(run.directory / name)!r}",
            lambda target: _tail(target, run, name, length),
        )

    async def archive(self, run: Run, names: Collection[str], place: Path) -> None:
        source = str(run.directory)
        await self.manager.reach.perform(
            f"hold the output of {source!r} in {str(place)!r}",
            lambda target: _archive(target, source, str(place), names),
        )
        run.held = place

    async def unarchive(self, run: Run) -> None:
        place = str(run.directory)
        await self.manager.reach.perform(
            f"remove the held output in {place!r}",
            lambda target: target.ask(f"unarchive {words(place, STDOUT_FILE, STDERR)}"),
        )

    async def archived(self, folder: Path) -> dict[str, float] | None:
        return await self.manager.reach.perform(
            f"list the held output in {str(folder)!r}",
            lambda target: _archived(target, str(folder)),
        )

    async def found(self, folder: Path) -> set[str] | None:
        async def listed(target: Target) -> set[str]:
            journal = self.manager.journal(str(folder))
            kept = await _names_in(target, journal)  # first, because a directory is made first
            names = await _names_in(target, str(folder))
            for name in set(kept) - set(names):
                with contextlib.suppress(asyncssh.SFTPNoSuchFile):  # its directory was removed
                    await target.sftp.remove(f"{journal}/{name}")
            return {original_name(name) for name in names if not is_leftover(name)}

        return await self.manager.reach.perform(
            f"list the run directories in {str(folder)!r}", listed
        )

    async def remember(self, run: Run, memo: str | None) -> None:
        if run.memo is None:
            return
        place = str(run.memo)
        await self.manager.reach.perform(
            f"make a note in {place!r}",
            lambda target: _remember(target, place, memo),
            path=place,
        )


async def _names_in(target: Target, folder: str) -> list[str]:
    try:
        names = await target.sftp.listdir(folder)
    except asyncssh.SFTPNoSuchFile:
        return []
    return [str(name) for name in names if name not in (".", "..")]


async def _add_outputs(target: Target, run: Run, report: Report, lines: list[str]) -> None:
    """Add to a report the outputs of a run that is over, or why one of them cannot be read."""
    with parsing("outputs", lines):
        contents = parse_outputs(lines, target.user)
    for name, it in contents.items():
        if it.problem is not None:
            report.problem = report.problem or it.problem
        elif it.data is not None:
            report.outputs[name] = Output(it.size, it.data, it.data[-TAIL:])
        else:
            try:
                output = await read_output(target, run, name)
            except OutputError as e:
                report.problem = report.problem or str(e)
            else:
                if output is not None:
                    report.outputs[name] = output


async def _tail(target: Target, run: Run, name: str, length: int) -> bytes:
    async with await open_output(target, run, name) as file:
        size = (await file.stat()).size or 0
        data: Any = await file.read(length, max(0, size - length))
        return bytes(data)


async def _archive(target: Target, source: str, place: str, names: Collection[str]) -> None:
    """Link files into a private directory, or copy them where that cannot be done."""
    arguments = words(source, place, *names)
    if not await target.ask(f"archive {arguments}"):
        await target.ask_slowly(f"copy {arguments}")


async def _archived(target: Target, folder: str) -> dict[str, float]:
    try:
        entries = await target.sftp.readdir(folder)
    except asyncssh.SFTPNoSuchFile:
        return {}
    made = {
        str(entry.filename): entry.attrs.mtime or 0
        for entry in entries
        if entry.filename not in (".", "..")
    }
    if not made:
        return {}
    now = parse_now(await target.ask("now"))
    return {original_name(name): now - time for name, time in made.items()}


async def _remember(target: Target, place: str, memo: str | None) -> None:
    if memo is None:
        try:
            await target.sftp.remove(place)
        except asyncssh.SFTPNoSuchFile:
            return
        return
    passing = f"{place}.{secrets.token_hex(8)}~"
    try:
        await write_new(target.sftp, passing, memo.encode())
    except asyncssh.SFTPNoSuchFile:
        await target.ask(f"mkdir -p -m 700 -- {words(place.rpartition('/')[0])}")
        await write_new(target.sftp, passing, memo.encode())
    await target.sftp.posix_rename(passing, place)
