"""A folder tree of texts as a repository: an example of using your own data in a pipeline."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pydatatask

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

SUFFIXES = frozenset({".c", ".h", ".html", ".md", ".py", ".rst", ".txt"})


class TextTree(pydatatask.FileRepository):
    """A read-only repository of all texts below a folder.

    A job is the path of a text below the folder. Paths have dots and slashes, which job ids must
    not have, so ``encode_job_id`` encodes each path.

    :param folder: the folder.
    :param skip: names of folders to skip.
    """

    MAX_JOB_ID_LENGTH = 240

    def __init__(self, folder: Path, skip: frozenset[str] = frozenset()) -> None:
        super().__init__(folder)
        self.skip = skip

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        """Iterate the texts below the folder."""
        for path in await asyncio.to_thread(self._walk):
            yield pydatatask.encode_job_id(path)

    def _walk(self) -> list[str]:
        found = []
        for folder, below, names in os.walk(self.basedir):
            below[:] = [name for name in below if name not in self.skip]
            found += [Path(folder, name) for name in names if Path(name).suffix in SUFFIXES]
        return [str(path.relative_to(self.basedir)) for path in found if path.is_file()]

    def fullpath(self, job: str) -> Path:
        """Return the path of a text."""
        self.check_job_id(job)
        return self.basedir / pydatatask.decode_job_id(job)

    async def delete(self, job: str) -> None:
        """Raise an error, because the pipeline must not delete the user's texts."""
        raise PermissionError(f"{self.fullpath(job)} is read-only here and cannot be deleted")


class Results(pydatatask.YamlMetadataFileRepository):
    """Results as YAML files, with room for the long job ids of :class:`TextTree`."""

    MAX_JOB_ID_LENGTH = 240


class Reports(pydatatask.FileRepository):
    """Reports as text files, with room for the long job ids of :class:`TextTree`."""

    MAX_JOB_ID_LENGTH = 240
