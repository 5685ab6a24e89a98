"""The contract of every process manager."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal, overload

if TYPE_CHECKING:
    from pathlib import Path

    from pydatatask_core.utils import AReadStream, AReadText, AWriteStream, AWriteText

    from .backend import ProcessBackend

__all__ = ["STDOUT", "AbstractProcessManager", "OpenMode"]

OpenMode = Literal["r", "rb", "w", "wb"]


class _StderrIsStdout:
    """The type of :data:`STDOUT`."""

    def __repr__(self) -> str:
        return "STDOUT"

    def __reduce__(self) -> str:
        return "STDOUT"


STDOUT = _StderrIsStdout()
"""Passed as ``stderr``: interleave stderr into the stdout stream."""


class AbstractProcessManager(ABC):
    """The base class for process managers.

    Processes are managed through arbitrary "process identifier" handle strings. To write a
    manager, implement the abstract methods; a task then polls for the live processes. Override
    :attr:`backend` to offer more than that. ``pydatatask_core.testing`` contains conformance tests
    for managers.
    """

    @abstractmethod
    async def get_live_pids(self, hint: set[str]) -> set[str]:
        """Get a set of the live process identifiers.

        This may include processes which are not part of the current app or task, but MUST include
        all the processes in ``hint`` which are still alive.

        :param hint: the identifiers to check.
        :raises ProcessManagerError: if the target cannot be asked, so that the result is unknown.
        """

    @abstractmethod
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
        """Launch a process on the target system.

        This function MUST NOT wait until the process has terminated before returning.

        :param args: the command line of the process; ``args[0]`` is the executable to run.
        :param environ: variables to add to the target process' environment.
        :param cwd: the directory to launch the process in.
        :param return_code: a filepath in which to store the process exit code, as an ascii integer.
            It is whole once the process is not live any more.
        :param stdin: a filepath from which to read the process' stdin, or None for a null file.
        :param stdout: a filepath to which to write the process' stdout, or None for a null file.
        :param stderr: a filepath to which to write the process' stderr, None for a null file, or
            the constant :data:`STDOUT` to interleave it into the stdout stream.
        :return: the process identifier of the process spawned.
        :raises ProcessManagerError: if it was not launched.
        """

    @abstractmethod
    async def kill(self, pid: str) -> None:
        """Terminate the process with the given identifier.

        This does nothing if the process is not currently running, and does not prevent e.g. the
        ``return_code`` file from being populated.

        :param pid: the identifier.
        """

    @property
    @abstractmethod
    def basedir(self) -> Path:
        """A path on the target system to a directory which can be freely manipulated by the app."""

    @overload
    async def open(self, path: Path, mode: Literal["r"]) -> AReadText: ...
    @overload
    async def open(self, path: Path, mode: Literal["rb"]) -> AReadStream: ...
    @overload
    async def open(self, path: Path, mode: Literal["w"]) -> AWriteText: ...
    @overload
    async def open(self, path: Path, mode: Literal["wb"]) -> AWriteStream: ...
    @abstractmethod
    async def open(self, path: Path, mode: OpenMode) -> Any:
        """Open the file on the target system for reading or writing, in text or binary mode.

        :param path: the file.
        :param mode: ``r`` and ``w`` for text, ``rb`` and ``wb`` for bytes.
        :raises FileNotFoundError: if the file is opened for reading and does not exist.
        """

    @abstractmethod
    async def mkdir(self, path: Path) -> None:
        """Create a directory with the given path on the target system.

        This has the semantics of ``mkdir -p``: it creates any necessary parent directories, and
        succeeds if the directory already exists.

        :param path: the directory.
        """

    @abstractmethod
    async def rmtree(self, path: Path) -> None:
        """Remove a directory and all its children with the given path on the target system.

        Jobs have had access to the directory. So this MUST NOT follow symbolic links, and MUST NOT
        remove anything from a file system that is mounted inside it; it fails instead.

        :param path: the directory.
        """

    @property
    def backend(self) -> ProcessBackend:
        """The backend of ``ProcessTask``; the default uses only the methods above."""
        from .backend import ProcessBackend

        return ProcessBackend(self)
