"""The folders on this machine in which jobs run. Everything here blocks."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

from pydatatask_core.errors import ProcessManagerError, describe
from pydatatask_core.proc_manager.process import Leftover
from pydatatask_core.proc_manager.protocol.run_directory import (
    NOT_A_RUN_DIRECTORY,
    RUN_FILES,
    is_leftover,
    is_run_file,
    leftover_name,
)
from pydatatask_core.utils.files import check_no_mounts, remove_tree
from pydatatask_core.utils.ownership import parent_problem

from .files import manager_errors
from .run_files import RunDirectory, RunFileError

if TYPE_CHECKING:
    from .journal import Entry

__all__ = [
    "find_private_folder_problem",
    "find_root_problem",
    "prepare_private_folder",
    "remove_leftovers",
    "remove_run_directory",
    "remove_small_run",
    "root_trouble",
]

_SHARED_MODE = 0o1777
_PRIVATE_MODE = 0o700
_PARENT = 0o755

_RUN_FILES = frozenset(RUN_FILES)


def prepare_private_folder(root: str, folder: str, *, shared: bool = True) -> None:
    """Create a private folder inside a root that several users may share, and check both.

    Another user able to rename or replace either of them could run programs as this user.

    :param root: the root; if it is missing, it is created with its parents.
    :param folder: the folder in it.
    :param shared: whether other users may use the root if this call creates it.
    :raises ProcessManagerError: if one of them is not safe.
    """
    action = f"create the folder {folder!r}, in which local processes run"
    try:
        with manager_errors(action):
            _create_folders(root, folder, shared)
    except FileNotFoundError as e:  # read-only file system, or removed concurrently
        raise ProcessManagerError(f"could not {action}: {describe(e)}") from e


def _create_folders(root: str, folder: str, shared: bool) -> None:
    _check_parents(root)
    if not os.path.lexists(root):
        _make_parents(root)
        _check_parents(root)  # another user may have created the missing ones
        try:
            os.mkdir(root, _PRIVATE_MODE)
        except FileExistsError:
            pass  # created by another process; it is checked like any other
        else:
            if shared:
                os.chmod(root, _SHARED_MODE)  # mkdir applies the umask
    _check_root(root)
    try:
        os.mkdir(folder, _PRIVATE_MODE)
    except FileExistsError:
        _check_private(folder)


def _make_parents(path: str) -> None:
    """Create the parents of a path, not writable by others regardless of the umask."""
    parent = os.path.dirname(path)
    if parent == path or os.path.lexists(parent):
        return
    _make_parents(parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(parent, _PARENT)


def _check_parents(root: str) -> None:
    problem = parent_problem(root)
    if problem is not None:
        raise ProcessManagerError(f"{root!r} cannot hold the folders of local processes: {problem}")


def _check_root(root: str) -> None:
    problem = _root_problem(root)
    if problem is not None:
        raise ProcessManagerError(f"{root!r} cannot hold the folders of local processes: {problem}")


def root_trouble(root: str) -> str | None:
    """Return why a root cannot hold private folders safely; None if it can, or is missing.

    :param root: an absolute path.
    """
    problem = parent_problem(root)
    if problem is not None or not os.path.lexists(root):
        return problem
    return _root_problem(root)


def _root_problem(root: str) -> str | None:
    link = os.lstat(root)
    trusted = link.st_uid in (0, os.geteuid())
    try:
        result = os.stat(root) if stat.S_ISLNK(link.st_mode) and trusted else link
    except FileNotFoundError:
        return "it is a dangling symbolic link; remove it"
    return find_root_problem(result.st_mode, result.st_uid, os.geteuid(), "local_path")


def find_root_problem(mode: int, owner: int, user: int, parameter: str) -> str | None:
    """Return why it is not safe to share a root, or None if it is.

    :param mode: its type and permissions, those of the target of a link if the link can be trusted.
    :param owner: the user id of its owner.
    :param user: the user id under which processes will run in it.
    :param parameter: the parameter of the manager that names it.
    """
    if stat.S_ISLNK(mode):
        return f"it is a symbolic link that user {owner} created"
    if not stat.S_ISDIR(mode):
        return "it is not a directory"
    if owner not in (0, user):
        return (
            f"it belongs to user {owner}, and its owner could replace its contents (mode "
            f"{stat.S_IMODE(mode):04o}); change its owner to root and its mode to 1777, or set "
            f"`{parameter}` to a folder of your own"
        )
    if mode & 0o022 and not mode & stat.S_ISVTX:
        return (
            f"others can write to it and replace its contents (mode {stat.S_IMODE(mode):04o}, "
            f"owner {owner}); `chmod +t` makes it safe to share"
        )
    return None


def _check_private(folder: str) -> None:
    result = os.lstat(folder)
    problem = find_private_folder_problem(result.st_mode, result.st_uid, os.geteuid(), "local_path")
    if problem:
        raise ProcessManagerError(f"local processes cannot run in {folder!r}: {problem}")
    if result.st_mode & 0o077:
        os.chmod(folder, _PRIVATE_MODE)


def find_private_folder_problem(mode: int, owner: int, user: int, parameter: str) -> str | None:
    """Return why a folder cannot be made private to a user by its permissions, or None if it can.

    :param mode: its type and permissions; a link is not followed.
    :param owner: the user id of its owner.
    :param user: the user id under which processes will run in it.
    :param parameter: the parameter of the manager that names its parent.
    """
    if stat.S_ISDIR(mode) and owner == user:
        return None
    kind = "it belongs to another user" if stat.S_ISDIR(mode) else "it is not a directory"
    return f"{kind} (user {owner}); remove it or use another `app` or `{parameter}`"


def remove_run_directory(path: str, *, created: bool) -> Leftover | None:
    """Remove a run directory; if that fails, rename it, so that its name is free.

    :param path: the directory; it may not exist. If it is a link, the link is removed.
    :param created: whether it is known to be a run directory, so that its files are not checked.
    :return: the directory that remains and the reason; None if it was removed.
    """
    if not created and (problem := _find_foreign_file(path)) is not None:
        return Leftover(path, problem)
    try:
        remove_tree(path)
    except OSError as e:
        aside = leftover_name(path)
        try:
            os.rename(path, aside)
        except OSError:
            return Leftover(path, describe(e))
        return Leftover(aside, _find_mount(aside) or describe(e))
    return None


def remove_small_run(path: str, entry: Entry) -> bool:
    """Remove a run directory that contains only files of this project, and its entry.

    :param path: the directory.
    :param entry: its entry, which this process has created.
    :return: False if the general way is needed, although something may have been removed.
    """
    try:
        with RunDirectory(path) as directory:
            names = directory.names()
            if directory.status.st_ino != entry.inode or not _RUN_FILES.issuperset(names):
                return False
            entry.discard()
            for name in names:
                directory.remove(name)
        os.rmdir(path)
    except (OSError, ProcessManagerError):
        return False  # the general way reports the reason
    return True


def _find_mount(path: str) -> str | None:
    """Return the error about a mount inside a directory, with its path after a rename."""
    try:
        check_no_mounts(path)
    except OSError as e:
        return describe(e)
    return None


def _find_foreign_file(path: str) -> str | None:
    """Return why a directory is not considered a run directory; None if it is, or is gone."""
    try:
        with RunDirectory(path) as directory:
            result = directory.names()
    except (FileNotFoundError, RunFileError):
        return None
    except OSError as e:
        return describe(e)
    if not result or any(is_run_file(name) for name in result):
        return None
    return NOT_A_RUN_DIRECTORY


def remove_leftovers(folder: str) -> list[Leftover]:
    """Retry the removal of directories that :func:`remove_run_directory` left in a folder.

    :param folder: the folder of run directories.
    :return: the directories that still exist.
    """
    left = []
    try:
        names = [name for name in os.listdir(folder) if is_leftover(name)]
    except FileNotFoundError:
        return []
    for name in names:
        path = os.path.join(folder, name)
        try:
            remove_tree(path)
        except OSError as e:
            left.append(Leftover(path, describe(e)))
    return left
