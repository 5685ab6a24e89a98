"""Creation of run directories on another machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncssh

from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.proc_manager import RunExistsError
from pydatatask_core.proc_manager.protocol.run_directory import SCRIPT, STDIN

from .errors import SSHConnectionError
from .remote.files import write_new_file
from .remote.shell_functions import shell_join

if TYPE_CHECKING:
    from pydatatask_core.proc_manager import LaunchSpec

    from .manager import SSHLinuxManager
    from .remote.host import RemoteHost

__all__ = ["create_directory"]

_MAX_INLINE_BYTES = 8192
_PLAIN_BYTES = frozenset(b"\t\n" + bytes(range(32, 127)))
"""The bytes that every shell passes on unchanged."""


async def create_directory(
    manager: SSHLinuxManager, remote: RemoteHost, path: str, spec: LaunchSpec
) -> None:
    """Create a run directory with all files of the spec, or nothing.

    :param manager: the manager of the run.
    :param remote: the machine.
    :param path: the directory.
    :param spec: the script to run.
    :raises RunExistsError: if the directory exists.
    """
    try:
        remote.cork.hold()
        await remote.sftp.mkdir(path, asyncssh.SFTPAttrs(permissions=0o700))
    except asyncssh.SFTPNoSuchFile:
        await _make_folder(manager, remote, path)
        return await create_directory(manager, remote, path, spec)
    except asyncssh.SFTPFailure:
        if await remote.sftp.lexists(path):
            raise RunExistsError(
                f"the run directory {path!r} on {remote.host} exists already"
            ) from None
        raise
    if (arguments := _as_arguments(spec)) is not None:
        await remote.ask(f"fill {shell_join(manager.basedir, path, *arguments)}")
    else:
        await _write_by_sftp(manager, remote, path, spec)


async def _write_by_sftp(
    manager: SSHLinuxManager, remote: RemoteHost, path: str, spec: LaunchSpec
) -> None:
    """Fill the directory through SFTP, which accepts any bytes."""
    script = f"{path}/{SCRIPT}"
    try:
        async with manager.session.translate_errors(remote, f"write {script!r}", script):
            await remote.ask(f"fresh {shell_join(manager.basedir, path)}")
            await write_new_file(remote.sftp, script, spec.script or b"\n", 0o700)
            if spec.stdin is not None:
                await write_new_file(remote.sftp, f"{path}/{STDIN}", spec.stdin)
    except SSHConnectionError:
        raise
    except ProcessManagerError:
        await remote.trash.move_to_trash(path, manager.trash)
        raise


async def _make_folder(manager: SSHLinuxManager, remote: RemoteHost, path: str) -> None:
    """Create the parent of a run directory, even if all its parents were removed."""
    await manager.prepare_folder(remote)
    await remote.ask(f"mkdir -p -m 700 -- {shell_join(path.rpartition('/')[0])}")


def _as_arguments(spec: LaunchSpec) -> list[str] | None:
    """Return script and stdin as words, if they are short plain text, or None."""
    parts = [spec.script or b"\n", *([] if spec.stdin is None else [spec.stdin])]
    if sum(map(len, parts)) > _MAX_INLINE_BYTES or not all(
        set(part) <= _PLAIN_BYTES for part in parts
    ):
        return None
    return [part.decode("ascii") for part in parts]
