"""Base class of repositories whose members are the entries of a local folder."""

from __future__ import annotations

import asyncio
import logging
import os
from abc import ABC
from typing import TYPE_CHECKING, Any, ClassVar

from pydatatask_core.errors import (
    AmbiguousJobError,
    InvalidJobIdError,
    RepositoryConfigurationError,
)
from pydatatask_core.repository.base import Repository

from .fs.arguments import check_basedir, check_extension, check_flags
from .fs.folder import AmbiguousName, Folder
from .fs.listing import EntryKind, check_no_link, entry_exists
from .fs.os_errors import store_errors
from .fs.stamp import detects_changes, read_stamp
from .fs.temporary_names import NAME_MAX, PATH_MAX, is_temporary, temporary_name

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from pydatatask_core.repository.location import Location

    from .fs.stamp import Stamp

__all__ = ["FileRepositoryBase"]

_NO_LISTING: tuple[None, frozenset[str]] = (None, frozenset())

log = logging.getLogger("pydatatask.repository")


class FileRepositoryBase(Repository, ABC):
    """A local directory where each job is an entry: its name, then optionally an extension.

    This is an abstract base class; subclasses define the kind and content of the entries. A folder
    that does not exist is an empty repository; writing creates it. A relative path is relative to
    the working directory at the time of each operation.

    A symbolic link counts as its target, and is ignored if the target does not exist, unless
    ``follow_links`` is False. Entries whose names begin with a dot are ignored silently; unfinished
    values have such names.

    :param basedir: the folder.
    :param extension: the suffix of the entry names after the job id, including the dot.
    :param case_insensitive: whether names match ignoring case, including the extension. The
        spelling on disk is the job id; other spellings find it as well, and writing to another
        spelling replaces its value. :meth:`validate` rejects two entries that differ only in case.
        A lookup of a missing job costs a listing.
    :param durable: whether written values, and deletions, survive a power failure.
    :param follow_links: whether a symbolic link in the folder counts as its target. If False, links
        are not members and are never opened or removed; a new value replaces a link. Use False if
        others may write to the folder, because they could make this process read any file. The
        folder itself may be a link in any case.
    :raises TypeError: if an argument has the wrong type.
    :raises RepositoryConfigurationError: if an argument can never work.
    """

    looks_up_locally = True

    _KIND: ClassVar[EntryKind] = EntryKind.ANY
    _DEFAULT_EXTENSION: ClassVar[str] = ""

    def __init__(
        self,
        basedir: str | os.PathLike[str],
        extension: str = "",
        case_insensitive: bool = False,
        *,
        durable: bool = False,
        follow_links: bool = True,
    ) -> None:
        owner = type(self).__name__
        self._raw_basedir = check_basedir(owner, basedir)
        check_extension(owner, extension)
        check_flags(
            owner, case_insensitive=case_insensitive, durable=durable, follow_links=follow_links
        )
        # Importing pathlib takes longer than all of this module. Modules that only operations need
        # are imported there, here and in `file`: this is a seventh of `import pydatatask`.
        from pathlib import Path

        self.basedir = Path(self._raw_basedir)
        self.extension = extension
        self.case_insensitive = case_insensitive
        self.durable = durable
        self.follow_links = follow_links
        self._kind = self._KIND if follow_links else self._KIND.unlinked
        folder = Folder
        if case_insensitive:
            from .fs.casefold import CasefoldedFolder as folder
        self._folder = folder(str(self.basedir), extension, self._kind)
        # Leaves room for the temporary name of an entry while it is written.
        longest = PATH_MAX - len(os.fsencode(self._raw_basedir)) - len(temporary_name(""))
        self._max_job_id_bytes = min(NAME_MAX, longest) - len(os.fsencode(extension))
        self._last_listing: tuple[Stamp | None, frozenset[str]] = _NO_LISTING
        self._is_quick = False
        """True if writing a small value takes well below a millisecond as a rule."""

    def check_job_id(self, job: str) -> None:
        super().check_job_id(job)
        if len(job) > self._max_job_id_bytes or len(os.fsencode(job)) > self._max_job_id_bytes:
            rule = f"with the extension {self.extension!r}, its file name or path is too long"
            raise InvalidJobIdError(job, self, rule)
        if not job or "/" in job or "\0" in job:
            raise InvalidJobIdError(
                job, self, "a file name must not be empty, nor contain '/' or NUL"
            )
        if job + self.extension in (".", ".."):
            raise InvalidJobIdError(job, self, "it has a special meaning as a path")
        if job[0] == "." and is_temporary(job + self.extension):
            raise InvalidJobIdError(job, self, "such names are reserved for unfinished values")

    @property
    def plain_job_id_length(self) -> int:
        length = self._plain_length(FileRepositoryBase.check_job_id)
        return length if length <= self._max_job_id_bytes else 0

    async def contains(self, item: str) -> bool:
        return self._is_allowed(item) and await asyncio.to_thread(self._contains, item)

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        jobs, _ = await asyncio.to_thread(self._list)
        for job in jobs:
            yield job

    async def keys(self) -> frozenset[str]:
        return await asyncio.to_thread(self._keys)

    def fullpath(self, job: str) -> Path:
        """Return the full local path of the file corresponding to job.

        With ``case_insensitive`` this searches the folder, which may be slow.

        :param job: the key; it need not exist.
        """
        from pathlib import Path

        self.check_job_id(job)
        return Path(self._find(job))

    def _find(self, job: str) -> str:
        try:
            return self._folder.find(job)
        except AmbiguousName as e:
            names = " and ".join(repr(os.path.basename(path)) for path in e.paths)
            raise AmbiguousJobError(
                f"{self!r}: job {job!r} is ambiguous: it matches {names}; use one of these names"
            ) from e

    async def info(self, job: str) -> Any:
        """Return the absolute path of the corresponding file as a string.

        It is absolute because commands in templates run in a folder of their own.

        :raises StoreError: if the path is a symbolic link and links are not followed.
        """
        if self.case_insensitive or not self.follow_links or not os.path.isabs(self._raw_basedir):
            return (await asyncio.to_thread(self._paths, [job]))[job]
        return str(self.fullpath(job))

    async def info_many(self, jobs: Iterable[str]) -> dict[str, Any]:
        return await asyncio.to_thread(self._paths, list(jobs))

    async def is_missing(self) -> bool:
        return await asyncio.to_thread(self._is_missing)

    async def visibility_delay(self) -> float:
        """Return 60 if the folder is on a shared or remote file system (NFS, sshfs), else 0.

        Clients of such file systems cache the content of a folder for up to a minute.
        """
        from .fs.shared_fs import VISIBILITY_DELAY_SECONDS, is_shared

        shared = await asyncio.to_thread(is_shared, str(self.basedir))
        return VISIBILITY_DELAY_SECONDS if shared else 0.0

    async def validate(self) -> None:
        """Create the folder, check that it is usable, and remove the remains of dead writers.

        :raises RepositoryConfigurationError: if the folder cannot be listed or written to.
        :raises AmbiguousJobError: if two names differ only in case and ``case_insensitive`` is set.
        """
        await asyncio.to_thread(self._validate)

    @property
    def identity(self) -> str:
        path = os.path.join(os.fsdecode(os.getcwdb()), self._raw_basedir)
        return f"{self._KIND.value}:{os.path.normpath(path)}/*{self.extension}"

    @property
    def location(self) -> Location:
        from .fs.folder_location import folder_location

        return folder_location(
            self._raw_basedir,
            self.extension,
            ignores_case=self.case_insensitive,
            holds_folders=self._KIND is not EntryKind.FILE,
        )

    def _errors(self, action: str, job: str | None = None) -> AbstractContextManager[None]:
        return store_errors(self, action if job is None else f"{action} job {job!r}")

    def _is_allowed(self, job: str) -> bool:
        try:
            self.check_job_id(job)
        except InvalidJobIdError:
            return False
        return True

    def _path(self, job: str) -> str:
        with self._errors("look for", job):
            # A path object costs more than the operation on the file.
            plain = type(self).fullpath is FileRepositoryBase.fullpath
            return self._find(job) if plain else str(self.fullpath(job))

    def _is_missing(self) -> bool:
        with self._errors("look for the folder"):
            return read_stamp(str(self.basedir)) is None

    def _paths(self, jobs: list[str]) -> dict[str, str]:
        with self._errors("look for jobs"):
            working_directory = os.fsdecode(os.getcwdb())
            paths = {job: os.path.join(working_directory, self.fullpath(job)) for job in jobs}
            if not self.follow_links:
                for path in paths.values():
                    check_no_link(path)
            return paths

    def _contains(self, job: str) -> bool:
        try:
            with self._errors("look for", job):
                return entry_exists(str(self.fullpath(job)), self._kind)
        except AmbiguousJobError:
            return True

    def _list(self) -> tuple[list[str], bool]:
        """Return possible job ids, and whether they can change while the names stay the same."""
        with self._errors("list"):
            jobs, has_links = self._folder.jobs()
        # "" and names with a dot sort before letters and digits, so this check usually suffices.
        if jobs and min(jobs) < "/":
            jobs = [job for job in jobs if not _is_hidden(job) or self._is_allowed(job)]
        return jobs, has_links

    def _keys(self) -> frozenset[str]:
        with self._errors("list"):
            stamp = read_stamp(str(self.basedir))
            last_stamp, last_keys = self._last_listing
            if stamp is not None and stamp == last_stamp:
                return last_keys
            certain = stamp is not None and detects_changes(stamp)
        jobs, may_change = self._list()
        unknown = [job for job in jobs if job not in last_keys]
        refused = set(unknown).difference(self.valid_names(unknown))
        keys = frozenset(jobs).difference(refused)
        self._last_listing = (stamp if certain and not may_change else None, keys)
        return keys

    def _validate(self) -> None:
        from pydatatask_core.utils.file_systems import is_local

        from .fs.folder_setup import prepare_folder
        from .fs.locking import remove_stale

        problem = prepare_folder(str(self.basedir), self.durable)
        if problem is not None:
            raise RepositoryConfigurationError(f"{self!r} cannot be used: {problem}")
        with self._errors("list"):
            names = self._folder.case_collisions(self._is_allowed)
        if names:
            raise AmbiguousJobError(
                f"{self!r}: {names[0]!r} and {names[1]!r} differ only in case, so they would "
                "be the same job; rename or remove one of them"
            )
        with self._errors("sweep"):
            removed_count = remove_stale(str(self.basedir), self._is_entry_name)
        self._is_quick = not (self.durable or self.case_insensitive) and is_local(str(self.basedir))
        if removed_count:
            log.info("%r: removed %d unfinished values of dead writers", self, removed_count)

    def _is_entry_name(self, name: str) -> bool:
        return name.endswith(self.extension) and self._is_allowed(
            name[: len(name) - len(self.extension)]
        )

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the cached listing; a copy lists the folder again."""
        return self.__dict__ | {"_last_listing": _NO_LISTING}

    def __repr__(self) -> str:
        arguments = [repr(self._raw_basedir)]
        if self.extension != self._DEFAULT_EXTENSION:
            arguments.append(repr(self.extension))
        arguments += [f"{option}=True" for option in self._options() if getattr(self, option)]
        arguments += [] if self.follow_links else ["follow_links=False"]
        return f"{type(self).__name__}({', '.join(arguments)})"

    def _options(self) -> tuple[str, ...]:
        return ("case_insensitive", "durable")


def _is_hidden(job: str) -> bool:
    """Return True for names that are valid only in a class with other rules for job ids."""
    return not job or job[0] == "."
