"""A folder with case-insensitive names on a case-sensitive file system."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from .folder import AmbiguousName, Folder
from .listing import EntryKind, entry_exists, list_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

__all__ = ["CasefoldedFolder"]


class CasefoldedFolder(Folder):
    """A folder in which an entry is found by any spelling of its name, including the extension.

    The exact spelling is tried first. Other spellings are looked up among the names of the last
    listing, and checked on disk; if that fails, the folder is listed again. So looking up a missing
    job costs a listing.
    """

    def __init__(self, path: str, extension: str, kind: EntryKind) -> None:
        super().__init__(path, extension, kind)
        self._names: dict[str, list[str]] = {}
        self._lock = threading.RLock()

    def find(self, job: str) -> str:
        exact_path = self.plain_path(job)
        if entry_exists(exact_path, self.kind):
            return exact_path
        paths = self._cached_paths(job)
        if len(paths) != 1:
            self.jobs()
            paths = self._cached_paths(job)
        if len(paths) > 1:
            raise AmbiguousName(paths)
        return paths[0] if paths else exact_path

    def jobs(self) -> tuple[list[str], bool]:
        extension_length, folded = len(self.extension), self.extension.casefold()
        names, has_links = list_folder(
            self.path,
            self.kind,
            lambda name: name[len(name) - extension_length :].casefold() == folded,
        )
        jobs = [name[: len(name) - extension_length] for name in names]
        names_by_folded_job: dict[str, list[str]] = {}
        for job, name in zip(jobs, names, strict=True):
            names_by_folded_job.setdefault(job.casefold(), []).append(name)
        self._names = names_by_folded_job  # in one step, because other threads read it
        return list(dict.fromkeys(jobs)), has_links

    def case_collisions(self, is_job: Callable[[str], bool]) -> list[str]:
        self.jobs()
        extension_length = len(self.extension)
        for names in self._names.values():
            collisions = [name for name in names if is_job(name[: len(name) - extension_length])]
            if len(collisions) > 1:
                return sorted(collisions)
        return []

    def write_lock(self) -> AbstractContextManager[object]:
        # Otherwise two writers of different spellings could both find no existing entry.
        return self._lock

    def _cached_paths(self, job: str) -> list[str]:
        names = self._names.get(job.casefold(), ())
        paths = [os.path.join(self.path, name) for name in names]
        return [path for path in paths if entry_exists(path, self.kind)]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.extension, self.kind)
