"""Processes on the machine of the driver."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import ProcessManagerError, describe
from pydatatask_core.proc_manager.base import STDOUT, AbstractProcessManager, OpenMode
from pydatatask_core.proc_manager.protocol.identity import (
    BOOT_ID,
    Identity,
    Origin,
    Process,
    read_boot_id,
)
from pydatatask_core.proc_manager.protocol.run_directory import RESERVED_STATUS, safe_name
from pydatatask_core.proc_manager.shell import parse_shell, strict_shell
from pydatatask_core.utils import AReadText, AWriteText, in_thread
from pydatatask_core.utils.file_systems import is_local
from pydatatask_core.utils.files import remove_tree

from .files import LocalReadStream, LocalWriteStream, manager_errors
from .private_folder import prepare_private_folder
from .root_folder import DEFAULT_ROOT, choose_root
from .supervisor.procfs import signal_session
from .supervisors import Supervisors, check_program

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from pydatatask_core.proc_manager.base import _StderrIsStdout

    from .backend import LocalBackend

__all__ = ["LocalLinuxManager"]

log = logging.getLogger("pydatatask.proc_manager")


class LocalLinuxManager(AbstractProcessManager):
    """A process manager to run tasks on the local linux machine.

    It creates a directory in which to store data; inside it, each app of each user has a private
    one. Processes outlive the driver, even if it is killed, and the next driver finds them again.

    :param app: distinguishes the processes of one program from those of another. Two programs with
        the same ``app`` must not have tasks of the same name with the same ``pids``.
    :param local_path: a directory on a file system of this machine. If it is missing, it is created
        with mode 1777, as ``/tmp`` has, so that other users can use it as well. Each of its parents
        must belong to root or to this user, and must not be writable by others unless it is sticky.
        If the default belongs to another user, ``/tmp/pydatatask-UID`` is used instead, and if
        that name is taken as well, a folder below ``~/.local/state/pydatatask``.
    :param boot_id: the file that identifies the current boot of the machine.
    :param shell: the command line of the interpreter for scripts without a ``#!`` line, such as
        ``sh`` or ``bash -e``; by default ``bash -euo pipefail``, or ``sh -eu`` if bash is not
        installed.
    """

    def __init__(
        self,
        app: str,
        local_path: Path | str = "/tmp/pydatatask",
        *,
        boot_id: str = BOOT_ID,
        shell: str | None = None,
    ) -> None:
        if not isinstance(app, str) or not app:
            raise ProcessManagerError(
                f"the app of a LocalLinuxManager must be a non-empty string, not {app!r}"
            )
        self.app = app
        self._given_path = Path(local_path).absolute()
        self._chosen_path: Path | None = None
        self._prepared = False
        self.is_quick = False
        """True if operations on small files in :attr:`basedir` take well below a millisecond."""
        self._boot_id_path = boot_id
        self._boot_id: str | None = None
        self._origin: Origin | None = None
        self._warned_identities: set[Identity] = set()
        try:
            self.shell = parse_shell(shell)
        except ValueError as e:
            raise ProcessManagerError(f"LocalLinuxManager: {e}") from e
        self._default_shell: tuple[str, ...] | None = None
        self._private = f"{safe_name(app)}-{os.geteuid()}"
        self._backend: LocalBackend | None = None
        self._supervisors: dict[AbstractEventLoop, Supervisors] = {}

    @property
    def local_path(self) -> Path:
        """The directory that contains the private directory of each app.

        :raises ProcessManagerError: if neither the default nor any of its substitutes is usable.
        """
        if str(self._given_path) != DEFAULT_ROOT:
            return self._given_path
        if self._chosen_path is None:
            self._chosen_path = Path(choose_root(self._private))
        return self._chosen_path

    @property
    def basedir(self) -> Path:
        return self.local_path / self._private

    @property
    def backend(self) -> LocalBackend:
        if self._backend is None:
            from .backend import LocalBackend

            self._backend = LocalBackend(self)
        return self._backend

    async def validate(self) -> None:
        """Create the directory, and check that it is safe and that this machine is supported.

        :raises ProcessManagerError: if either is not the case.
        """
        await in_thread(self.prepare)

    def prepare(self) -> None:
        """Do the work of :meth:`validate`, blocking briefly."""
        if sys.platform != "linux" or not os.path.exists("/proc/self/stat"):
            raise ProcessManagerError(
                "local processes need Linux with /proc mounted: without it, a process cannot be "
                "distinguished from a later one with the same process id"
            )
        if os.readlink("/proc/self") != str(os.getpid()):
            raise ProcessManagerError(
                "local processes need a /proc that shows the process ids of this pid namespace, "
                "not those of another one: mount one (as `unshare --mount-proc` does)"
            )
        self._default_shell = _find_shell()
        try:
            self._prepare_folder()
        except ProcessManagerError:
            before, self._chosen_path = self._chosen_path, None
            if self._prepared or self.local_path == before:
                self._chosen_path = before  # it may contain jobs
                raise
            self._prepare_folder()  # another user has taken the chosen one in the meantime
        self._prepared = True
        self.is_quick = is_local(str(self.basedir))

    def _prepare_folder(self) -> None:
        shared = self.local_path == self._given_path
        prepare_private_folder(str(self.local_path), str(self.basedir), shared=shared)

    @property
    def supervisors(self) -> Supervisors:
        """The supervisors of this process for the running loop."""
        loop = asyncio.get_running_loop()
        result = self._supervisors.get(loop)
        if result is None or not result.is_usable:
            for other in list(self._supervisors):  # loops of other threads keep theirs
                if other.is_closed():
                    self._supervisors.pop(other, None)
            result = self._supervisors[loop] = Supervisors()
        return result

    async def get_live_pids(self, hint: set[str]) -> set[str]:
        return await asyncio.to_thread(self._live_handles, list(hint))

    def _live_handles(self, handles: list[str]) -> set[str]:
        result = {handle: Identity.parse(handle) for handle in handles}
        return {
            handle for handle, identity in result.items() if identity and self.is_alive(identity)
        }

    def is_alive(self, identity: Identity) -> bool:
        """Return whether a process is alive, or its exit status is not written yet.

        This blocks briefly. Processes of other machines and pid namespaces count as alive, because
        they may be.

        :param identity: the process.
        """
        if self.origin.is_elsewhere(identity.origin):
            self._warn_elsewhere(identity)
            return True
        if identity.boot != self.boot_id:
            return False
        return identity.process.exists()  # its status is written before it is reaped

    @property
    def boot_id(self) -> str:
        """The id of the current boot of the machine. The first access blocks."""
        if self._boot_id is None:
            self._boot_id = read_boot_id(self._boot_id_path)
        return self._boot_id

    @property
    def origin(self) -> Origin:
        """The boot, machine and pid namespace of this process. The first access blocks."""
        if self._origin is None:
            self._origin = Origin.current(self.boot_id)
        return self._origin

    async def find_origin(self) -> Origin:
        """Return :attr:`origin` without blocking the loop."""
        if self._origin is None:
            await in_thread(lambda: self.origin)
        return self.origin

    def check_is_local(self, identity: Identity, path: str) -> None:
        """Check that a process can be signalled from here.

        :param identity: the process.
        :param path: its run directory.
        :raises ProcessManagerError: if it runs on another machine or in another pid namespace.
        """
        if self.origin.is_elsewhere(identity.origin):
            raise ProcessManagerError(
                f"the job in {path!r} was started {_describe_origin(identity, self.origin)} and "
                "can only be terminated from there; if that is gone for good, remove the "
                "directory, and the job is recorded as lost"
            )

    def _warn_elsewhere(self, identity: Identity) -> None:
        if identity not in self._warned_identities:
            self._warned_identities.add(identity)
            log.warning(
                "process %d was started %s and is left alone: its state cannot be seen from here",
                identity.process.pid,
                _describe_origin(identity, self.origin),
            )

    async def find_shell(self) -> tuple[str, ...]:
        """Return the command line of the strict interpreter of this machine, cached."""
        if self._default_shell is None:
            self._default_shell = await in_thread(_find_shell)
        return self._default_shell

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
        action = f"launch {args[0]!r} in {cwd!r}"
        check_program(args, environ)
        try:
            cwd, fds = await in_thread(
                _prepare_program, action, cwd, return_code, stdin, stdout, stderr
            )
            try:
                with manager_errors(action):
                    pid, start, supervisor = await self.supervisors.start_program(
                        args, environ, fds, cwd, os.path.join(cwd, return_code)
                    )
            finally:
                for fd in fds:
                    os.close(fd)
        except FileNotFoundError as e:
            raise ProcessManagerError(f"could not {action}: {describe(e)}") from e
        return str(Identity(Process(pid, start), supervisor, await self.find_origin()))

    async def kill(self, pid: str) -> None:
        """Kill the process and all other processes of its session."""
        identity = Identity.parse(pid)
        if identity is not None:
            await asyncio.to_thread(self.signal, identity, signal.SIGKILL)

    def signal(self, identity: Identity, number: signal.Signals) -> bool:
        """Send a signal to a process and all other processes of its session; this blocks briefly.

        :param identity: the process.
        :param number: the signal.
        :return: whether one of them was alive.
        """
        # The id of the session is not reused while its leader is alive, or a zombie that the
        # supervisor has not waited for.
        if self.origin.is_elsewhere(identity.origin) or identity.boot != self.boot_id:
            return False
        return identity.may_be_signalled() and signal_session(identity.process.pid, number) > 0

    async def open(self, path: Path, mode: OpenMode) -> Any:
        if mode not in ("r", "rb", "w", "wb"):
            raise ValueError(f"{mode!r} is not a valid mode; use 'r', 'rb', 'w' or 'wb'")
        if mode in ("r", "rb"):
            source = await asyncio.to_thread(LocalReadStream, str(path))
            return AReadText(source) if mode == "r" else source
        target = await asyncio.to_thread(LocalWriteStream, str(path))
        return AWriteText(target) if mode == "w" else target

    async def mkdir(self, path: Path) -> None:
        with manager_errors(f"create the directory {str(path)!r}"):
            await asyncio.to_thread(os.makedirs, path, 0o777, exist_ok=True)

    async def rmtree(self, path: Path) -> None:
        with manager_errors(f"remove the directory {str(path)!r}"):
            await in_thread(remove_tree, str(path))

    def __repr__(self) -> str:
        return f"LocalLinuxManager({self.app!r}, {str(self._chosen_path or self._given_path)!r})"


def _prepare_program(
    action: str,
    cwd: str,
    status: str,
    stdin: str | None,
    stdout: str | None,
    stderr: str | _StderrIsStdout | None,
) -> tuple[str, list[int]]:
    """Reserve the file for the exit status of a program, and open its standard streams.

    :return: the absolute path of its working directory, and the descriptors of the streams.
    """
    fds: list[int] = []
    cwd = os.path.abspath(cwd)
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    try:
        with manager_errors(action):
            path = os.path.join(cwd, status)
            if os.path.lexists(path):
                os.unlink(path)
            write = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            fds.append(os.open(path, write, 0o600))
            os.write(fds[0], RESERVED_STATUS)
            os.close(fds.pop())
            fds.append(os.open(os.path.join(cwd, stdin or os.devnull), os.O_RDONLY | os.O_CLOEXEC))
            fds.append(os.open(os.path.join(cwd, stdout or os.devnull), append, 0o600))
            if stderr is STDOUT:
                fds.append(os.dup(fds[1]))
            else:
                name = stderr if isinstance(stderr, str) else os.devnull
                fds.append(os.open(os.path.join(cwd, name), append, 0o600))
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    return cwd, fds


def _find_shell() -> tuple[str, ...]:
    bash = shutil.which("bash")
    return strict_shell(None if bash is None else os.path.abspath(bash))


def _describe_origin(identity: Identity, here: Origin) -> str:
    if identity.origin.machine != here.machine:
        return f"on machine {identity.origin.machine}"
    return f"in pid namespace {identity.origin.namespace} of this machine (another container)"
