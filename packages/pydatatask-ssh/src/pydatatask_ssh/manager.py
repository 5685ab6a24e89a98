"""Processes of another machine."""

from __future__ import annotations

import logging
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.proc_manager import AbstractProcessManager
from pydatatask_core.proc_manager.identity import BOOT_ID, Identity, parse_identity
from pydatatask_core.proc_manager.shell import parse_shell
from pydatatask_core.proc_manager.supervisor import RESERVED_STATUS, safe_name
from pydatatask_core.utils import AReadText, AWriteText

from .answers import parsing
from .folder import DEFAULT_ROOT, choose_root, prepare_private_folder
from .launching import launch_text
from .reach import Reach
from .rubbish import remove_tree
from .script import words
from .script_files import JOURNAL
from .streams import SSHReadStream, SSHWriteStream
from .watching import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import asyncssh

    from pydatatask_core.proc_manager.base import OpenMode, _StderrIsStdout

    from .connection import SSHConnection
    from .ssh_runs import SSHRuns
    from .target import Target

__all__ = ["SSHLinuxManager"]

log = logging.getLogger("pydatatask.proc_manager")
T = TypeVar("T")

_TRIES = 3


class SSHLinuxManager(AbstractProcessManager):
    """A process manager that runs its processes on a remote linux machine, accessed over SSH.

    Nothing has to be installed there but Linux with ``/proc``, a POSIX shell, coreutils,
    ``setsid`` and sshd with SFTP. Four channels of the connection are used, however many jobs
    there are. Processes go on when the connection breaks or the driver ends, and are found again.

    With a connection that you made yourself nothing can be made again: when it breaks, the state
    of the jobs is unknown until the pipeline is opened with another one. One that
    :func:`ssh_connection` gives is made again by itself.

    :param app: tells one program's processes from another's; two that share it must not have
        tasks of one name with the same ``pids``.
    :param ssh: a callable that gives the connection, such as a resource of a session.
    :param remote_path: a directory of the remote machine in which to store data; below it, each
        app of each user has a private one. One machine only may use it as its own. Each directory
        on the way to it has to be root's or the user's, and not writable by others unless sticky.
        Where the default is another user's, ``/tmp/pydatatask-UID`` is used in its place, and where
        that name is taken as well, a folder below ``~/.local/state/pydatatask``.
    :param boot_id: the file that tells one boot of the machine from the next.
    :param shell: the command line of the interpreter of scripts without a first line ``#!``, such
        as ``sh`` or ``bash -e``; by default ``bash -euo pipefail``, or ``sh -eu`` where the machine
        has no bash.
    """

    posix_shell = "/bin/sh"
    """The POSIX shell of the machine, for all that this class does there itself."""

    def __init__(
        self,
        app: str,
        ssh: Callable[[], asyncssh.SSHClientConnection | SSHConnection],
        remote_path: Path | str = "/tmp/pydatatask",
        *,
        boot_id: str = BOOT_ID,
        shell: str | None = None,
    ) -> None:
        if not isinstance(app, str) or not app:
            raise ProcessManagerError(
                f"the app of an SSHLinuxManager has to be a name, not {app!r}"
            )
        if not callable(ssh):
            raise ProcessManagerError(
                f"`ssh` has to be a callable that gives a connection, such as a resource of a "
                f"session, not {ssh!r}"
            )
        place = PurePosixPath(remote_path)
        if not place.is_absolute() or set(str(place)) & {"\n", "\0"}:
            raise ProcessManagerError(
                f"remote_path has to be an absolute path of the remote machine, not {remote_path!r}"
            )
        try:
            self.shell = parse_shell(shell)
        except ValueError as e:
            raise ProcessManagerError(f"SSHLinuxManager: {e}") from e
        self.app = app
        self._given_path = Path(place)
        self._chosen_path: Path | None = None
        self.reach = Reach(ssh, self.posix_shell, boot_id, self._prepare)
        self.watch = Watch(self.reach, self.ended_among)
        self._runs: SSHRuns | None = None

    # -- the connection --------------------------------------------------------------------------

    @property
    def ssh(self) -> asyncssh.SSHClientConnection:
        """The ``asyncssh.SSHClientConnection`` instance associated.

        :raises SessionError: if the connection is provided by an unopened Session.
        :raises SSHConnectionError: if there is none at the moment.
        """
        return self.reach.raw

    async def _prepare(self, target: Target) -> None:
        if str(self._given_path) == DEFAULT_ROOT and self._chosen_path is None:
            self._chosen_path = Path(await choose_root(target, self.basedir.name))
        await self.prepare_folder(target)
        await target.ask(f"mkdir -p -m 700 -- {words(self.basedir / JOURNAL, self.rubbish)}")
        target.pins = self.rubbish
        await target.rubbish.sweep(self.rubbish)
        await target.report_ends(self.ends, self.watch.heard, str(self.basedir / ".probe"))

    # -- places ----------------------------------------------------------------------------------

    @property
    def remote_path(self) -> Path:
        """The directory below which each app of each user has its private one."""
        return self._chosen_path or self._given_path

    async def prepare_folder(self, target: Target) -> None:
        """Make the directory of this app where it is missing, and check that it is safe.

        :param target: the machine.
        :raises ProcessManagerError: if it is not.
        """
        root = self.remote_path
        shared = root == self._given_path
        await prepare_private_folder(target, str(root), str(self.basedir), shared=shared)

    @property
    def basedir(self) -> Path:
        return self.remote_path / f"{safe_name(self.app)}-{safe_name(self.reach.user)}"

    @property
    def ends(self) -> str:
        """The file to which supervisors add a line at their end."""
        return str(self.basedir / ".ends")

    def journal(self, directory: str) -> str:
        """Return the file with the status of a run, which jobs in containers do not reach.

        :param directory: the run directory.
        """
        base = str(self.basedir)
        return f"{base}/{JOURNAL}{directory.removeprefix(base)}"

    @property
    def rubbish(self) -> str:
        """The directory of what is to be removed."""
        return str(self.basedir / ".rubbish")

    @property
    def runs(self) -> SSHRuns:
        if self._runs is None:
            from .ssh_runs import SSHRuns

            self._runs = SSHRuns(self)
        return self._runs

    async def validate(self) -> None:
        """Make the directory, and check that it is safe and that the machine will do.

        :raises ProcessManagerError: if it is not.
        """
        await self.reach.target()

    # -- processes -------------------------------------------------------------------------------

    async def get_live_pids(self, hint: set[str]) -> set[str]:
        found = {handle: Identity.parse(handle) for handle in hint}
        asked = [(handle, identity) for handle, identity in found.items() if identity]
        if not asked:
            return set()
        command = "; ".join(
            f"! lives {_facts(identity)} || tell {number}"
            for number, (_, identity) in enumerate(asked)
        )
        lines = await self.reach.perform("look for processes", lambda target: target.ask(command))
        with parsing("lives", lines):
            return {asked[int(line)][0] for line in lines}

    async def ended_among(self, directories: Iterable[str]) -> dict[str, bool]:
        """Give those of the run directories of which the run may have ended, all in one question.

        :param directories: the directories.
        :return: with each, whether its script has begun, or never will.
        """
        asked = list(directories)
        if not asked:
            return {}
        count = "pdt_i=$((pdt_i + 1))"
        asking = f'over {words(self.basedir)} "$pdt_run" $pdt_i; {count}'
        command = f"pdt_i=0; for pdt_run in {words(*asked)}; do {asking}; done"
        lines = await self.reach.perform(
            "look for runs that have ended", lambda it: it.ask(command)
        )
        with parsing("over", lines):
            return {asked[int(line.rstrip("-"))]: not line.endswith("-") for line in lines}

    async def spawn(
        self,
        args: list[str],
        environ: dict[str, str],
        cwd: str,
        return_code: str,
        stdin: str | None,
        stdout: str | None,
        stderr: str | _StderrIsStdout | None,
    ) -> str:
        def text(target: Target) -> str:
            place, reserved = words(return_code), words(RESERVED_STATUS.decode())
            launch = launch_text(
                target,
                args,
                environ,
                cwd,
                (stdin, stdout, stderr),
                journal="/dev/fd/3",
                begun="/dev/null",
                status=return_code,
                line="",
                ends="/dev/null",
            )
            # What it writes about its process is read here, where its stdout ends otherwise.
            return (
                f"rm -f -- {place} && printf %s {reserved} >{place} && {{ {launch}\n}} 3>&1 | "
                '{ read -r _; IFS= read -r a; IFS= read -r b && tell "$a" && tell "$b"; }'
            )

        action = f"launch {args[0]!r} in {cwd!r}"
        lines = await self.reach.perform(action, lambda it: it.ask(text(it)), repeat=False)
        identity = parse_identity("\n".join(["", *lines, ""]).encode())
        if identity is None:
            raise ProcessManagerError(f"could not {action}: its supervisor ended before it began")
        return str(identity)

    async def kill(self, pid: str) -> None:
        """Kill the process and its whole process group."""
        identity = Identity.parse(pid)
        if identity is not None:
            await self.reach.perform(
                f"kill process {identity.process.pid}",
                lambda target: target.ask(f"strike KILL {_facts(identity)}"),
            )

    # -- files -----------------------------------------------------------------------------------

    async def open(self, path: Path, mode: OpenMode) -> Any:
        if mode not in ("r", "rb", "w", "wb"):
            raise ValueError(f"{mode!r} is no mode; there are 'r', 'rb', 'w' and 'wb'")
        place, reads = str(path), mode in ("r", "rb")

        async def opened(target: Target) -> Any:
            if reads:
                file = await target.sftp.open(place, "rb")
                return SSHReadStream(file, place, target.host)
            return SSHWriteStream(self.reach, target, await target.sftp.open(place, "wb"), place)

        stream = await self.reach.perform(f"open {place!r}", opened, path=None if reads else place)
        if mode in ("rb", "wb"):
            return stream
        return AReadText(stream) if reads else AWriteText(stream)

    async def mkdir(self, path: Path) -> None:
        await self.reach.perform(
            f"make the directory {str(path)!r}",
            lambda target: target.ask(f"mkdir -p -- {words(path)}"),
        )

    async def rmtree(self, path: Path) -> None:
        await self.reach.perform(
            f"remove the directory {str(path)!r}", lambda target: remove_tree(target, str(path))
        )

    def __repr__(self) -> str:
        return f"SSHLinuxManager({self.app!r}, {self.reach.ssh!r}, {str(self.remote_path)!r})"


def _facts(identity: Identity) -> str:
    process = identity.process
    return words(process.pid, process.start, identity.supervisor, identity.boot)
