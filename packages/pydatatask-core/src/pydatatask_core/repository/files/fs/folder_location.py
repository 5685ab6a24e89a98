"""Identification of a folder, existing or not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pydatatask_core.repository.location import Location

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["folder_location"]


def folder_location(
    folder: str, extension: str, *, ignores_case: bool, holds_folders: bool
) -> Location:
    """Return the location of the entries of a folder that end with an extension.

    The folder is identified by device and inode. A folder that does not exist is identified by its
    deepest existing parent, and its path from there.

    :param folder: the path, absolute or relative to the working directory.
    :param extension: the suffix of the entry names.
    :param ignores_case: whether the repository ignores case, independent of the file system.
    :param holds_folders: whether a folder in it can be a job.
    """
    path = os.path.realpath(folder)
    existing, missing = path, list[str]()
    while (key := _device_and_inode(existing)) is None:
        above, name = os.path.split(existing)
        missing.insert(0, name)
        existing = above
    folds = _file_system_ignores_case(existing)
    if folds:
        missing = [name.casefold() for name in missing]
    store = (*key, *missing)
    inside = [((*key, *missing[:depth]), missing[depth]) for depth in range(len(missing))]
    parents = (*inside, *_parents(existing))
    return Location(store, "", extension, ignores_case or folds, holds_folders, parents)


def _device_and_inode(path: str) -> tuple[int, int] | None:
    try:
        info = os.stat(path)
    except OSError:  # inaccessible folders are identified by their path
        return None if os.path.dirname(path) != path else (0, 0)
    return info.st_dev, info.st_ino


def _parents(path: str) -> Iterator[tuple[tuple[int, int], str]]:
    above, name = os.path.split(path)
    while above != path:
        key = _device_and_inode(above)
        if key is not None:
            yield key, name
        path = above
        above, name = os.path.split(path)


def _file_system_ignores_case(path: str) -> bool:
    """Return True if the folder, or a parent, is found by another spelling of its name."""
    above, name = os.path.split(path)
    while name and name == name.swapcase():
        above, name = os.path.split(above)
    try:
        return bool(name) and os.path.samefile(
            os.path.join(above, name), os.path.join(above, name.swapcase())
        )
    except OSError:
        return False
