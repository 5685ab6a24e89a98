"""A folder in which each job is an entry named after it."""

from __future__ import annotations

import contextlib
import os
from contextlib import AbstractContextManager
from operator import methodcaller
from typing import TYPE_CHECKING

from .listing import EntryKind, list_folder

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AmbiguousName", "Folder"]


class AmbiguousName(Exception):
    """Several entries match a job except for case, and none matches exactly.

    :param paths: the entries.
    """

    def __init__(self, paths: list[str]) -> None:
        super().__init__(*paths)
        self.paths = paths


class Folder:
    """Maps jobs to paths, and entries of the folder to jobs.

    :param path: its path.
    :param extension: the suffix of the entry names after the job id.
    :param kind: the kind of entries that are members.
    """

    def __init__(self, path: str, extension: str, kind: EntryKind) -> None:
        self.path = path
        self.extension = extension
        self.kind = kind

    def plain_path(self, job: str) -> str:
        """Return the path of a job with exactly this spelling."""
        return os.path.join(self.path, job + self.extension)

    def find(self, job: str) -> str:
        """Return the path of a job's entry, existing or not.

        :raises AmbiguousName: if several entries match.
        """
        return self.plain_path(job)

    def case_collisions(self, is_job: Callable[[str], bool]) -> list[str]:
        """Return the names of entries of one job that differ only in case; empty without any.

        :param is_job: returns True if the name without extension can be a job.
        """
        return []

    def jobs(self) -> tuple[list[str], bool]:
        """Return the names without extension, which may be invalid job ids, and if there are links.

        The targets of links may change without a change of the folder.
        """
        is_wanted = methodcaller("endswith", self.extension)
        names, has_links = list_folder(self.path, self.kind, is_wanted)
        extension_length = len(self.extension)
        return [
            name[:-extension_length] for name in names
        ] if extension_length else names, has_links

    def write_lock(self) -> AbstractContextManager[object]:
        """Return a lock that keeps the path of an entry from changing while it is written."""
        return contextlib.nullcontext()
