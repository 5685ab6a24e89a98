"""The folders of this machine in which jobs run. Everything here blocks."""

from __future__ import annotations

import contextlib
import os
import stat

from pydatatask_core.errors import ProcessManagerError, describe
from pydatatask_core.utils.files import check_no_mounts, remove_tree
from pydatatask_core.utils.ownership import parent_problem

from .run import Leftover
from .run_files import RunDirectory, RunFileError
from .streams import manager_errors
from .supervisor import BEGUN, UNMARKED, is_leftover, is_mark, leftover_name

__all__ = [
    "discard_directory",
    "prepare_private_folder",
    "private_problem",
    "remove_leftovers",
    "root_problem",
    "root_trouble",
]

_SHARED = 0o1777
_PRIVATE = 0o700
_PARENT = 0o755


def prepare_private_folder(root: str, folder: str, *, shared: bool = True) -> None:
    """Make a private folder below a root that several users may share, or say what is wrong.

    Whoever may rename or replace either of them could have this user run what he likes.

    :param root: the root, made with its parents if it is missing.
    :param folder: the folder in it.
    :param shared: whether other users may have theirs in a root that this makes.
    :raises ProcessManagerError: if one of them is not what it has to be.
    """
    action = f"make the folder {folder!r}, in which local processes run"
    try:
        with manager_errors(action):
            _prepare(root, folder, shared)
    except FileNotFoundError as e:  # a file system that makes none, or somebody removes them
        raise ProcessManagerError(f"could not {action}: {describe(e)}") from e


def _prepare(root: str, folder: str, shared: bool) -> None:
    _check_parents(root)
    if not os.path.lexists(root):
        _make_parents(root)
        _check_parents(root)  # those that were missing may have been created by another user
        try:
            os.mkdir(root, _PRIVATE)
        except FileExistsError:
            pass  # somebody else's; it is checked like any other
        else:
            if shared:
                os.chmod(root, _SHARED)  # mkdir would heed the umask
    _check_root(root)
    try:
        os.mkdir(folder, _PRIVATE)
    except FileExistsError:
        _check_private(folder)


def _make_parents(path: str) -> None:
    """Make the directories on the way to a path, not writable by others whatever the umask is."""
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
        found = os.stat(root) if stat.S_ISLNK(link.st_mode) and trusted else link
    except FileNotFoundError:
        return "it is a symbolic link that leads nowhere; remove it"
    return root_problem(found.st_mode, found.st_uid, os.geteuid(), "local_path")


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
            f"it belongs to user {owner}, who could replace what is in it (mode "
            f"{stat.S_IMODE(mode):04o}); have root own it, with mode 1777, or give `{parameter}` a "
            "folder of your own"
        )
    if mode & 0o022 and not mode & stat.S_ISVTX:
        return (
            f"others may write to it and so replace what is in it (mode {stat.S_IMODE(mode):04o}, "
            f"owner {owner}); `chmod +t` makes it safe to share"
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


def discard_directory(place: str, *, made: bool) -> Leftover | None:
    """Remove a run directory; if that fails, give it another name, so that its own is free.

    :param place: the directory; it may be gone. A link in its place is removed itself.
    :param made: whether it is known to be a run directory, without the marks of one.
    :return: where something is left and why; None if nothing is.
    """
    if not made and (problem := _foreign(place)) is not None:
        return Leftover(place, problem)
    try:
        remove_tree(place)
    except OSError as e:
        aside = leftover_name(place)
        try:
            os.rename(place, aside)
        except OSError:
            return Leftover(place, describe(e))
        return Leftover(aside, _why(aside) or describe(e))
    return None


def _why(place: str) -> str | None:
    """Return the name that a mount in a directory has after the directory was renamed."""
    try:
        check_no_mounts(place)
    except OSError as e:
        return describe(e)
    return None


def _foreign(place: str) -> str | None:
    """Return why a directory is not taken for a run directory; None if it is, or is gone."""
    try:
        with RunDirectory(place) as directory:
            # As a directory it may have been made to look at this one.
            found = [
                name
                for name in directory.names()
                if name != BEGUN or not stat.S_ISDIR(directory.mode(name) or 0)
            ]
    except (FileNotFoundError, RunFileError):
        return None
    except OSError as e:
        return describe(e)
    if not found or any(is_mark(name) for name in found):
        return None
    return UNMARKED


def remove_leftovers(folder: str) -> list[Leftover]:
    """Try again to remove what :func:`discard_directory` has left in a folder.

    :param folder: the folder of run directories.
    :return: what is still there.
    """
    left = []
    try:
        names = [name for name in os.listdir(folder) if is_leftover(name)]
    except FileNotFoundError:
        return []
    for name in names:
        place = os.path.join(folder, name)
        try:
            remove_tree(place)
        except OSError as e:
            left.append(Leftover(place, describe(e)))
    return left
