"""The folders of this machine in which jobs run. Everything here blocks."""

from __future__ import annotations

import os
import shutil
import stat

from pydatatask_core.errors import ProcessManagerError, describe

from .streams import manager_errors

__all__ = [
    "prepare_private_folder",
    "private_problem",
    "remove_flat",
    "remove_tree",
    "root_problem",
    "write_new",
]

_SHARED = 0o1777
_PRIVATE = 0o700


def prepare_private_folder(root: str, folder: str) -> None:
    """Make a private folder below a root that several users may share, or say what is wrong.

    Whoever may rename or replace either of them could have this user run what he likes.

    :param root: the root, made with its parents if it is missing.
    :param folder: the folder in it.
    :raises ProcessManagerError: if one of them is not what it has to be.
    """
    action = f"make the folder {folder!r}, in which local processes run"
    try:
        with manager_errors(action):
            _prepare(root, folder)
    except FileNotFoundError as e:  # a file system that makes none, or somebody removes them
        raise ProcessManagerError(f"could not {action}: {describe(e)}") from e


def _prepare(root: str, folder: str) -> None:
    if not os.path.lexists(root):
        os.makedirs(os.path.dirname(root) or ".", exist_ok=True)
        try:
            os.mkdir(root, _PRIVATE)
        except FileExistsError:
            pass  # somebody else's; it is checked like any other
        else:
            os.chmod(root, _SHARED)  # mkdir would heed the umask
    _check_root(root)
    try:
        os.mkdir(folder, _PRIVATE)
    except FileExistsError:
        _check_private(folder)


def _check_root(root: str) -> None:
    link = os.lstat(root)
    trusted = link.st_uid in (0, os.geteuid())
    found = os.stat(root) if stat.S_ISLNK(link.st_mode) and trusted else link
    problem = root_problem(found.st_mode, found.st_uid, os.geteuid(), "local_path")
    if problem:
        raise ProcessManagerError(f"{root!r} cannot hold the folders of local processes: {problem}")


def root_problem(mode: int, owner: int, user: int, parameter: str) -> str | None:
    """Tell what keeps a root from being shared safely, if anything does.

    :param mode: its type and permissions, those of the target of a link if the link can be trusted.
    :param owner: the user who owns it.
    :param user: the user whose processes are to run in it.
    :param parameter: which parameter of the manager names it.
    """
    if stat.S_ISLNK(mode):
        return f"it is a symbolic link that user {owner} made"
    if not stat.S_ISDIR(mode):
        return "it is no directory"
    if owner not in (0, user):
        return (
            f"it belongs to user {owner}, who could replace what is in it; have root own it, with "
            f"mode 1777, or give `{parameter}` a folder of your own"
        )
    if mode & 0o022 and not mode & stat.S_ISVTX:
        return (
            "others may write to it and so replace what is in it; `chmod +t` makes it safe to share"
        )
    return None


def _check_private(folder: str) -> None:
    found = os.lstat(folder)
    problem = private_problem(found.st_mode, found.st_uid, os.geteuid(), "local_path")
    if problem:
        raise ProcessManagerError(f"local processes cannot run in {folder!r}: {problem}")
    if found.st_mode & 0o077:
        os.chmod(folder, _PRIVATE)


def private_problem(mode: int, owner: int, user: int, parameter: str) -> str | None:
    """Tell what keeps a folder from being private to a user, if anything but permissions does.

    :param mode: its type and permissions; a link is not followed.
    :param owner: the user who owns it.
    :param user: the user whose processes are to run in it.
    :param parameter: which parameter of the manager names the folder that it is in.
    """
    if stat.S_ISDIR(mode) and owner == user:
        return None
    kind = "it is somebody else's" if stat.S_ISDIR(mode) else "it is no directory"
    return f"{kind} (user {owner}); remove it or give the manager another `app` or `{parameter}`"


def write_new(path: str, data: bytes, mode: int = 0o600) -> None:
    """Write a file that does not exist yet.

    :param path: the file.
    :param data: what it is to hold.
    :param mode: its permissions.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
    finally:
        os.close(fd)


def remove_flat(directory: str) -> None:
    """Remove a directory that holds files only, as most do, or anything else; it may be gone."""
    try:
        with os.scandir(directory) as entries:
            names = [entry.path for entry in entries]
        for name in names:
            os.unlink(name)
        os.rmdir(directory)
    except FileNotFoundError:
        if os.path.lexists(directory):
            remove_tree(directory)
    except OSError:
        remove_tree(directory)


def remove_tree(directory: str) -> None:
    """Remove a directory and all its children; it may be gone, or be removed by others as well.

    What a job leaves may forbid its own removal; such permissions are widened.

    :param directory: the directory. A symbolic link is not followed, but removed itself.
    """
    if os.path.islink(directory):
        os.unlink(directory)
    while os.path.lexists(directory):
        try:
            shutil.rmtree(directory)
        except FileNotFoundError:
            continue
        except PermissionError:
            _widen(directory)
            shutil.rmtree(directory)


def _widen(tree: str) -> None:
    folders = [tree]
    while folders:
        folder = folders.pop()
        os.chmod(folder, _PRIVATE)
        with os.scandir(folder) as entries:
            folders += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
