"""A folder whose names match ignoring case, on a file system that tells them apart."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from .folder import Folder, SeveralFound
from .listing import Kind, is_there, list_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

__all__ = ["FoldedFolder"]


class FoldedFolder(Folder):
    """A folder in which an entry is found by any spelling of its name, extension included.

    The spelling as given goes first. For another one the names of the last listing are asked;
    what they say is looked at before it is believed, and if it does not hold, the folder is
    listed anew. So a job that is not there costs a listing.
    """

    def __init__(self, path: str, extension: str, kind: Kind) -> None:
        super().__init__(path, extension, kind)
        self._names: dict[str, list[str]] = {}
        self._lock = threading.RLock()

    def find(self, job: str) -> str:
        exact = self.plain_path(job)
        if is_there(exact, self.kind):
            return exact
        found = self._remembered(job)
        if len(found) != 1:
            self.jobs()
            found = self._remembered(job)
        if len(found) > 1:
            raise SeveralFound(found)
        return found[0] if found else exact

    def jobs(self) -> tuple[list[str], bool]:
        cut, folded = len(self.extension), self.extension.casefold()
        names, linked = list_folder(
            self.path, self.kind, lambda name: name[len(name) - cut :].casefold() == folded
        )
        jobs = [name[: len(name) - cut] for name in names]
        found: dict[str, list[str]] = {}
        for job, name in zip(jobs, names, strict=True):
            found.setdefault(job.casefold(), []).append(name)
        self._names = found  # in one step, since other threads look
        return list(dict.fromkeys(jobs)), linked

    def twins(self, is_job: Callable[[str], bool]) -> list[str]:
        self.jobs()
        cut = len(self.extension)
        for names in self._names.values():
            twins = [name for name in names if is_job(name[: len(name) - cut])]
            if len(twins) > 1:
                return sorted(twins)
        return []

    def changing(self) -> AbstractContextManager[object]:
        # Without this, two writers of different spellings could both find that there is none.
        return self._lock

    def _remembered(self, job: str) -> list[str]:
        names = self._names.get(job.casefold(), ())
        paths = [os.path.join(self.path, name) for name in names]
        return [path for path in paths if is_there(path, self.kind)]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.extension, self.kind)
