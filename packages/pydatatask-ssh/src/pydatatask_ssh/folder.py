"""The folders of the other machine in which jobs run."""

from __future__ import annotations

import asyncio
import secrets
import stat
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import asyncssh

from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.proc_manager.folder import private_problem, root_problem

from .script import words

if TYPE_CHECKING:
    from .target import Target

__all__ = ["prepare_private_folder"]


async def prepare_private_folder(target: Target, root: str, folder: str) -> None:
    """Make a private folder below a root that several users may share, or say what is wrong.

    :param target: the machine.
    :param root: the root, made with its parents if it is missing.
    :param folder: the folder in it.
    :raises ProcessManagerError: if one of them is not what it has to be.
    """
    try:
        await _prepare(target, root, folder)
    except asyncssh.SFTPNoSuchFile as e:  # the shell has made it
        raise ProcessManagerError(
            f"the SFTP of {target.host} does not see {folder!r}, which its shell has just made: "
            "they have different root folders; give `remote_path` a folder that has the same path "
            "in both"
        ) from e


async def _prepare(target: Target, root: str, folder: str) -> None:
    here, where = words(root), f"{folder!r} of {target.host}"
    # Whoever is faster, it is checked like any other.
    await target.ask(
        f"[ -e {here} ] || [ -L {here} ] || mkdir -p -m 1777 -- {here} || [ -e {here} ]"
    )
    link = await target.sftp.lstat(root)
    trusted = stat.S_ISLNK(_mode(link)) and link.uid in (0, target.user)
    found = await target.sftp.stat(root) if trusted else link
    problem = root_problem(_mode(found), _owner(found), target.user, "remote_path")
    if problem:
        raise ProcessManagerError(
            f"{root!r} of {target.host} cannot hold the folders of processes: {problem}"
        )
    await _check_parents(target, root)
    it = words(folder)
    await target.ask(f"[ -d {it} ] || mkdir -m 700 -- {it} || [ -e {it} ]")
    found = await target.sftp.lstat(folder)
    problem = private_problem(_mode(found), _owner(found), target.user, "remote_path")
    if problem:
        raise ProcessManagerError(f"processes cannot run in {where}: {problem}")
    # Beside what we own, what we may write: a file system may be mounted for reading only.
    probe = f"{folder}/.probe"
    passing = f"{probe}-{secrets.token_hex(8)}"
    await target.ask(f"chmod 700 -- {it} && true >{words(passing)}")
    try:
        await target.sftp.posix_rename(passing, probe)
    except asyncssh.SFTPOpUnsupported as e:
        raise ProcessManagerError(
            f"the SFTP of {target.host} cannot rename a file over another ({e}); pydatatask needs "
            "the extension posix-rename@openssh.com, which OpenSSH has"
        ) from e


async def _check_parents(target: Target, root: str) -> None:
    """Raise an error if another user could replace the root, as sshd does for its own files."""
    parents = PurePosixPath(str(await target.sftp.realpath(root))).parents
    statuses = await asyncio.gather(*(target.sftp.lstat(str(path)) for path in parents))
    for path, status in zip(parents, statuses, strict=True):
        problem = root_problem(_mode(status), _owner(status), target.user, "remote_path")
        if problem:
            raise ProcessManagerError(
                f"{root!r} of {target.host} cannot hold the folders of processes: it is in "
                f"{str(path)!r}, and {problem}"
            )


def _mode(attributes: asyncssh.SFTPAttrs) -> int:
    return attributes.permissions or 0


def _owner(attributes: asyncssh.SFTPAttrs) -> int:
    return -1 if attributes.uid is None else attributes.uid
