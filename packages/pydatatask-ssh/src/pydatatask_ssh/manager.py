"""Processes on another machine."""

from __future__ import annotations

import logging
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.proc_manager import AbstractProcessManager
from pydatatask_core.proc_manager.protocol.identity import BOOT_ID, Identity, parse_identity
from pydatatask_core.proc_manager.protocol.run_directory import RESERVED_STATUS, safe_name
from pydatatask_core.proc_manager.shell import parse_shell
from pydatatask_core.utils import AReadText, AWriteText

from .launch import launch_command
from .private_folder import DEFAULT_ROOT, choose_root, prepare_private_folder
from .remote.answers import parsing
from .remote.exit_events import ExitEvents
from .remote.files import SSHReadStream, SSHWriteStream
from .remote.session import RemoteSession
from .remote.shell_file_functions import JOURNAL
from .remote.shell_functions import shell_join
from .remote.trash import remove_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import asyncssh

    from pydatatask_core.proc_manager.base import OpenMode, _StderrIsStdout

    from .backend import SSHBackend
    from .connection import SSHConnection
    from .remote.host import RemoteHost

__all__ = ["SSHLinuxManager"]

log = logging.getLogger("pydatatask.proc_manager")
T = TypeVar("T")

_MAX_ATTEMPTS = 3


class SSHLinuxManager(AbstractProcessManager):
    """A process manager that runs its processes on a remote linux machine, accessed over SSH.

    The machine needs Linux with ``/proc``, a POSIX shell, coreutils, ``setsid`` and sshd with SFTP;
    nothing else has to be installed there. Four channels of the connection are used, regardless of
    the number of jobs. Processes continue when the connection breaks or the driver exits, and are
    found again.

    A connection that you opened yourself cannot be re-established: when it breaks, the state of the
    jobs is unknown until the pipeline is opened with another one. A connection from
    :func:`ssh_connection` is re-established automatically.

    :param app: distinguishes the processes of one program from those of another. Two programs with
        the same ``app`` must not have tasks of the same name with the same ``pids``.
    :param ssh: a callable that returns the connection, such as a resource of a session.
    :param remote_path: a directory on the remote machine in which to store data; inside it, each
        app of each user has a private one. It must not be shared by several machines. Each of its
        parents must belong to root or to the user, and must not be writable by others unless it is
        sticky. If the default belongs to another user, ``/tmp/pydatatask-UID`` is used instead, and
        if that name is taken as well, a folder below ``~/.local/state/pydatatask``.
    :param boot_id: the file that identifies the current boot of the machine.
    :param shell: the command line of the interpreter for scripts without a ``#!`` line, such as
        ``sh`` or ``bash -e``; by default ``bash -euo pipefail``, or ``sh -eu`` if the machine does
        not have bash.
    """

    posix_shell = "/bin/sh"
    """The POSIX shell of the machine that runs the commands of this class."""

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
                f"the app of an SSHLinuxManager must be a non-empty string, not {app!r}"
            )
        if not callable(ssh):
            raise ProcessManagerError(
                f"`ssh` must be a callable that returns a connection, such as a resource of a "
                f"session, not {ssh!r}"
            )
        path = PurePosixPath(remote_path)
        if not path.is_absolute() or set(str(path)) & {"\n", "\0"}:
            raise ProcessManagerError(
                f"remote_path must be an absolute path on the remote machine, not {remote_path!r}"
            )
        try:
            self.shell = parse_shell(shell)
        except ValueError as e:
            raise ProcessManagerError(f"SSHLinuxManager: {e}") from e
        self.app = app
        self._given_path = Path(path)
        self._chosen_path: Path | None = None
        self.session = RemoteSession(ssh, self.posix_shell, boot_id, self._prepare)
        self.watch = ExitEvents(self.session, self.ended_among)
        self._backend: SSHBackend | None = None

    # -- the connection --------------------------------------------------------------------------

    @property
    def ssh(self) -> asyncssh.SSHClientConnection:
        """The ``asyncssh.SSHClientConnection`` instance associated.

        :raises SessionError: if the connection is provided by an unopened Session.
        :raises SSHConnectionError: if the connection is down.
        """
        return self.session.raw

    async def _prepare(self, remote: RemoteHost) -> None:
        if str(self._given_path) == DEFAULT_ROOT and self._chosen_path is None:
            self._chosen_path = Path(await choose_root(remote, self.basedir.name))
        await self.prepare_folder(remote)
        await remote.ask(f"mkdir -p -m 700 -- {shell_join(self.basedir / JOURNAL, self.trash)}")
        remote.pins = self.trash
        await remote.trash.sweep(self.trash)
        await remote.report_ends(self.ends, self.watch.on_event, str(self.basedir / ".probe"))

    # -- paths -----------------------------------------------------------------------------------

    @property
    def remote_path(self) -> Path:
        """The directory that contains the private directory of each app of each user."""
        return self._chosen_path or self._given_path

    async def prepare_folder(self, remote: RemoteHost) -> None:
        """Create the directory of this app if it is missing, and check that it is safe.

        :param remote: the machine.
        :raises ProcessManagerError: if it is not safe.
        """
        root = self.remote_path
        shared = root == self._given_path
        await prepare_private_folder(remote, str(root), str(self.basedir), shared=shared)

    @property
    def basedir(self) -> Path:
        return self.remote_path / f"{safe_name(self.app)}-{safe_name(self.session.user)}"

    @property
    def ends(self) -> str:
        """The file to which supervisors append a line when they exit."""
        return str(self.basedir / ".ends")

    def journal(self, directory: str) -> str:
        """Return the file with the status of a run, which jobs in containers cannot access.

        :param directory: the run directory.
        """
        base = str(self.basedir)
        return f"{base}/{JOURNAL}{directory.removeprefix(base)}"

    @property
    def trash(self) -> str:
        """The directory of everything that waits for its removal."""
        return str(self.basedir / ".rubbish")

    @property
    def backend(self) -> SSHBackend:
        if self._backend is None:
            from .backend import SSHBackend

            self._backend = SSHBackend(self)
        return self._backend

    async def validate(self) -> None:
        """Create the directory, and check that it is safe and that the machine is supported.

        :raises ProcessManagerError: if either is not the case.
        """
        await self.session.remote()

    # -- processes -------------------------------------------------------------------------------

    async def get_live_pids(self, hint: set[str]) -> set[str]:
        identities = {handle: Identity.parse(handle) for handle in hint}
        asked = [(handle, identity) for handle, identity in identities.items() if identity]
        if not asked:
            return set()
        command = "; ".join(
            f"! lives {_identity_arguments(identity)} || emit {number}"
            for number, (_, identity) in enumerate(asked)
        )
        lines = await self.session.run("look for processes", lambda remote: remote.ask(command))
        with parsing("lives", lines):
            return {asked[int(line)][0] for line in lines}

    async def ended_among(self, directories: Iterable[str]) -> dict[str, bool]:
        """Return those of the run directories whose run may have ended, in one request.

        :param directories: the directories.
        :return: for each, whether its script has begun, or never will.
        """
        asked = list(directories)
        if not asked:
            return {}
        count = "pdt_i=$((pdt_i + 1))"
        asking = f'over {shell_join(self.basedir)} "$pdt_run" $pdt_i; {count}'
        command = f"pdt_i=0; for pdt_run in {shell_join(*asked)}; do {asking}; done"
        lines = await self.session.run(
            "look for runs that have ended", lambda remote: remote.ask(command)
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
        def text(remote: RemoteHost) -> str:
            path, reserved = shell_join(return_code), shell_join(RESERVED_STATUS.decode())
            launch = launch_command(
                remote,
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
            # The identity of its process, which it writes to 3, is read here.
            return (
                f"rm -f -- {path} && printf %s {reserved} >{path} && {{ {launch}\n}} 3>&1 | "
                '{ read -r _; IFS= read -r a; IFS= read -r b && emit "$a" && emit "$b"; }'
            )

        action = f"launch {args[0]!r} in {cwd!r}"
        lines = await self.session.run(action, lambda it: it.ask(text(it)), repeat=False)
        identity = parse_identity("\n".join(["", *lines, ""]).encode())
        if identity is None:
            raise ProcessManagerError(
                f"could not {action}: its supervisor exited before it started"
            )
        return str(identity)

    async def kill(self, pid: str) -> None:
        """Kill the process and its whole process group."""
        identity = Identity.parse(pid)
        if identity is not None:
            await self.session.run(
                f"kill process {identity.process.pid}",
                lambda remote: remote.ask(f"strike KILL {_identity_arguments(identity)}"),
            )

    # -- files -----------------------------------------------------------------------------------

    async def open(self, path: Path, mode: OpenMode) -> Any:
        if mode not in ("r", "rb", "w", "wb"):
            raise ValueError(f"{mode!r} is not a valid mode; use 'r', 'rb', 'w' or 'wb'")
        file_path, reads = str(path), mode in ("r", "rb")

        async def opened(remote: RemoteHost) -> Any:
            if reads:
                file = await remote.sftp.open(file_path, "rb")
                return SSHReadStream(file, file_path, remote.host)
            return SSHWriteStream(
                self.session, remote, await remote.sftp.open(file_path, "wb"), file_path
            )

        stream = await self.session.run(
            f"open {file_path!r}", opened, path=None if reads else file_path
        )
        if mode in ("rb", "wb"):
            return stream
        return AReadText(stream) if reads else AWriteText(stream)

    async def mkdir(self, path: Path) -> None:
        await self.session.run(
            f"create the directory {str(path)!r}",
            lambda remote: remote.ask(f"mkdir -p -- {shell_join(path)}"),
        )

    async def rmtree(self, path: Path) -> None:
        await self.session.run(
            f"remove the directory {str(path)!r}", lambda remote: remove_tree(remote, str(path))
        )

    def __repr__(self) -> str:
        return f"SSHLinuxManager({self.app!r}, {self.session.ssh!r}, {str(self.remote_path)!r})"


def _identity_arguments(identity: Identity) -> str:
    process = identity.process
    return shell_join(process.pid, process.start, identity.supervisor, identity.boot)
