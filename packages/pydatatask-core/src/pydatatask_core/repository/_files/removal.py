"""Removing what a repository holds, and nothing else that has its name."""

from __future__ import annotations

import contextlib
import os
import stat

from .listing import Kind, is_there
from .names import temporary_name

__all__ = ["remove_any", "remove_directory", "remove_file"]


def remove_file(path: str) -> bool:
    """Remove a regular file, or a symbolic link to one or to nowhere.

    :returns: whether there was one.
    """
    try:
        if not _is_kind(path, Kind.FILE):
            return False
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def remove_directory(path: str) -> bool:
    """Remove a directory with all in it, or a symbolic link to one or to nowhere.

    A link is removed itself, nothing that it leads to. A directory gets a temporary name first,
    so that none is ever seen that is half gone.

    :returns: whether there was one.
    """
    folder, name = os.path.split(path)
    aside = os.path.join(folder, temporary_name(name))
    try:
        if not _is_kind(path, Kind.DIRECTORY):
            return False
        os.rename(path, aside)
    except FileNotFoundError:
        return False
    remove_any(aside)
    return True


def remove_any(path: str) -> None:
    """Remove whatever is there, following no link; succeed if it is gone already.

    What a job leaves may forbid its own removal (a folder without write permission); such
    permissions are widened, where they are ours to widen.
    """
    import shutil  # with all its compressors, too much for who removes nothing

    if os.path.islink(path) or not os.path.isdir(path):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        return
    while os.path.lexists(path):
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            continue  # somebody else is removing it as well
        except PermissionError:
            _widen(path)
            shutil.rmtree(path)


def _is_kind(path: str, kind: Kind) -> bool:
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        return is_there(path, kind) or not is_there(path, Kind.ANY)
    return kind.matches(mode)


def _widen(tree: str) -> None:
    folders = [tree]
    while folders:
        folder = folders.pop()
        with contextlib.suppress(PermissionError):
            os.chmod(folder, stat.S_IRWXU)
        with os.scandir(folder) as entries:
            folders += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
