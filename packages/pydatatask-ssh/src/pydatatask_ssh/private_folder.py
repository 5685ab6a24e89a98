"""The folders on another machine in which jobs run."""

from __future__ import annotations

import posixpath
import secrets
import stat
from typing import TYPE_CHECKING

import asyncssh

from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.proc_manager.local.private_folder import (
    find_private_folder_problem,
    find_root_problem,
)
from pydatatask_core.utils.ownership import PathWalk, component_problem

from .remote.shell_functions import shell_join

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from .remote.host import RemoteHost

__all__ = ["DEFAULT_ROOT", "choose_root", "prepare_private_folder"]

DEFAULT_ROOT = "/tmp/pydatatask"
"""The documented default, a name that any user of the machine can take."""


async def choose_root(remote: RemoteHost, private: str) -> str:
    """Return the folder to use as the default for this user of the machine.

    As on the driver's own machine, this is the default, one with the user id in its name, or one in
    the user's home; the first that contains the private folder of the app stays in use.

    :param remote: the machine.
    :param private: the name of the private folder of the app.
    :raises ProcessManagerError: if none of them can be used.
    """
    home = str(await remote.sftp.realpath("."))
    roots = [DEFAULT_ROOT, f"{DEFAULT_ROOT}-{remote.user}"]
    if home != "/":
        roots.append(posixpath.join(home, ".local/state/pydatatask/processes"))
    troubles: dict[str, str] = {}
    usable: list[str] = []
    for root in roots:
        trouble = await _trouble(remote, root, private)
        if trouble is None:
            usable.append(root)
        else:
            troubles[root] = trouble
    for root in usable:
        if await _lstat(remote, f"{root}/{private}") is not None:
            return root
    if usable:
        return usable[0]
    reasons = "; ".join(f"{root!r}: {trouble}" for root, trouble in troubles.items())
    raise ProcessManagerError(
        f"there is no safe folder for processes of user {remote.user} on {remote.host}: {reasons}. "
        "Set `remote_path` of the manager to a folder of your own there"
    )


async def _trouble(remote: RemoteHost, root: str, private: str) -> str | None:
    """Return why a root cannot hold the private folder of an app; None if it can, or is missing."""
    problem = await _root_problem(remote, root)
    if problem is not None or await _lstat(remote, root) is None:
        return problem
    attributes = await _lstat(remote, f"{root}/{private}")
    if attributes is None:
        lines = await remote.ask(f"[ ! -w {shell_join(root)} ] || emit writable")
        return None if lines else f"user {remote.user} may not write to it"
    problem = find_private_folder_problem(
        _mode(attributes), _owner(attributes), remote.user, "remote_path"
    )
    return problem and f"{private!r} in it cannot be used: {problem}"


async def prepare_private_folder(
    remote: RemoteHost, root: str, folder: str, *, shared: bool = True
) -> None:
    """Create a private folder inside a root that several users may share, and check both.

    :param remote: the machine.
    :param root: the root; if it is missing, it is created with its parents.
    :param folder: the folder in it.
    :param shared: whether other users may use the root if this call creates it.
    :raises ProcessManagerError: if one of them is not safe.
    """
    try:
        await _prepare(remote, root, folder, shared=shared)
    except asyncssh.SFTPNoSuchFile as e:  # although the shell has created it
        raise ProcessManagerError(
            f"the SFTP server of {remote.host} cannot see {folder!r}, which the shell has just "
            "created: they have different root folders; set `remote_path` to a folder that has the "
            "same path in both"
        ) from e


async def _prepare(remote: RemoteHost, root: str, folder: str, *, shared: bool) -> None:
    quoted, where = shell_join(root), f"{folder!r} of {remote.host}"
    await _check_root(remote, root)
    # Another user may create it first; it is checked below in any case. The parents need the umask.
    mode = "1777" if shared else "700"
    await remote.ask(
        f"[ -e {quoted} ] || [ -L {quoted} ] || (umask 022; mkdir -p -m {mode} -- {quoted}) "
        f"|| [ -e {quoted} ]"
    )
    await _check_root(remote, root)
    quoted_folder = shell_join(folder)
    await remote.ask(
        f"[ -d {quoted_folder} ] || mkdir -m 700 -- {quoted_folder} || [ -e {quoted_folder} ]"
    )
    attributes = await remote.sftp.lstat(folder)
    problem = find_private_folder_problem(
        _mode(attributes), _owner(attributes), remote.user, "remote_path"
    )
    if problem:
        raise ProcessManagerError(f"processes cannot run in {where}: {problem}")
    # Check that it is writable too: the file system may be mounted read-only.
    probe = f"{folder}/.probe"
    passing = f"{probe}-{secrets.token_hex(8)}"
    await remote.ask(f"chmod 700 -- {quoted_folder} && true >{shell_join(passing)}")
    try:
        await remote.sftp.posix_rename(passing, probe)
    except asyncssh.SFTPOpUnsupported as e:
        raise ProcessManagerError(
            f"the SFTP server of {remote.host} cannot replace a file by a rename ({e}); pydatatask "
            "needs the extension posix-rename@openssh.com, which OpenSSH supports"
        ) from e


async def _check_root(remote: RemoteHost, root: str) -> None:
    problem = await _root_problem(remote, root)
    if problem:
        raise ProcessManagerError(
            f"{root!r} of {remote.host} cannot hold the folders of processes: {problem}"
        )


async def _root_problem(remote: RemoteHost, root: str) -> str | None:
    """Return why a root, or one of its parents, is not safe; None if they are, or are missing."""
    async for component, attributes in _way_to(remote, root):
        mode, owner = _mode(attributes), _owner(attributes)
        if attributes.gid == owner == remote.user:
            mode &= ~stat.S_IWGRP  # the group that many systems create for each user alone
        trusted = owner in (0, remote.user)
        problem = component_problem(component, mode, owner, trusted=trusted)
        if problem is not None:
            return problem
    link = await _lstat(remote, root)
    if link is None:
        return None
    trusted = stat.S_ISLNK(_mode(link)) and link.uid in (0, remote.user)
    try:
        attributes = await remote.sftp.stat(root) if trusted else link
    except asyncssh.SFTPNoSuchFile:
        return "it is a dangling symbolic link; remove it"
    return find_root_problem(_mode(attributes), _owner(attributes), remote.user, "remote_path")


async def _way_to(
    remote: RemoteHost, path: str
) -> AsyncGenerator[tuple[str, asyncssh.SFTPAttrs], None]:
    """Yield the directories and links on the path to a file, up to the first missing one."""
    walk = PathWalk(path)
    while (step := walk.next_step()) is not None:
        directory = await _lstat(remote, walk.directory)
        if directory is None:
            return
        yield walk.directory, directory
        attributes = await _lstat(remote, step)
        if attributes is None:
            return
        if stat.S_ISLNK(_mode(attributes)):
            yield step, attributes
            walk.follow(str(await remote.sftp.readlink(step)))
        else:
            walk.enter(step)


async def _lstat(remote: RemoteHost, path: str) -> asyncssh.SFTPAttrs | None:
    """Return the attributes of an entry; None if it is missing or inaccessible."""
    try:
        return await remote.sftp.lstat(path)
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPNotADirectory):
        return None
    except asyncssh.SFTPPermissionDenied:
        return None  # creating or entering it fails as well, with an error message


def _mode(attributes: asyncssh.SFTPAttrs) -> int:
    return attributes.permissions or 0


def _owner(attributes: asyncssh.SFTPAttrs) -> int:
    return -1 if attributes.uid is None else attributes.uid
