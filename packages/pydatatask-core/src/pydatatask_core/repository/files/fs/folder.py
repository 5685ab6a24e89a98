"""A folder in which each job is an entry called after it."""

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
    """Several entries are one job but for the case, and none is spelled as asked.

    :param paths: the entries.
    """

    def __init__(self, paths: list[str]) -> None:
        super().__init__(*paths)
        self.paths = paths


class Folder:
    """Turns jobs into paths, and what is in the folder into jobs.

    :param path: where it is.
    :param extension: what follows the job in an entry's name.
    :param kind: which entries count.
    """

    def __init__(self, path: str, extension: str, kind: EntryKind) -> None:
        self.path = path
        self.extension = extension
        self.kind = kind

    def plain_path(self, job: str) -> str:
        """Give the path that a job has if it is spelled as it is given."""
        return os.path.join(self.path, job + self.extension)

    def find(self, job: str) -> str:
        """Give the path of the entry of a job, or of the one to make.

        :raises AmbiguousName: if there are several that could be meant.
        """
        return self.plain_path(job)

    def case_collisions(self, is_job: Callable[[str], bool]) -> list[str]:
        """Give the names, of one job only, that are the same but for the case.

        :param is_job: whether the name without the extension counts at all.
        """
        return []

    def jobs(self) -> tuple[list[str], bool]:
        """List the entries with the extension, without it; some may be no job ids.

        Tell as well whether there are links, which may lead to something else the next time.
        """
        is_wanted = methodcaller("endswith", self.extension)
        names, has_links = list_folder(self.path, self.kind, is_wanted)
        extension_length = len(self.extension)
        return [
            name[:-extension_length] for name in names
        ] if extension_length else names, has_links

    def write_lock(self) -> AbstractContextManager[object]:
        """Keep an entry's place from becoming another one while it is filled."""
        return contextlib.nullcontext()
