"""Repositories whose members are directories."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydatatask_core.repository.job_scope import current_scope
from pydatatask_core.utils import in_thread
from pydatatask_core.utils.call_log import self_reporting
from pydatatask_core.utils.contexts import async_context
from pydatatask_core.utils.streams import discard_on_error

from .base import FileRepositoryBase
from .fs.arguments import check_flags
from .fs.atomic_file import make_folder, sync_folder
from .fs.listing import EntryKind, check_no_link, has_entries
from .fs.removal import remove_directory
from .fs.staging import StagedDirectory

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["DirectoryRepository"]


class DirectoryRepository(FileRepositoryBase):
    """A file repository whose members are directories.

    Files are neither members nor removed. ``follow_links=False`` applies to links in place of a
    directory, not to links inside of it. Data that is written through a path of :meth:`fullpath` or
    :meth:`info` is visible immediately; use :meth:`build` to publish a directory as a whole.

    :param discard_empty: whether only directories containing at least one member should be
        considered as "present" in the repository.
    """

    _KIND: ClassVar[EntryKind] = EntryKind.DIRECTORY

    def __init__(self, *args: Any, discard_empty: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        check_flags(type(self).__name__, discard_empty=discard_empty)
        self.discard_empty = discard_empty

    @self_reporting
    async def mkdir(self, job: str) -> None:
        """Create an empty directory corresponding to job.

        No-op if the directory already exists.

        :param job: the key.
        """
        self.check_job_id(job)
        scope = current_scope()
        if scope is not None:
            scope.check_publication(self, job)
        await in_thread(self._mkdir, job)
        if scope is not None and not self.discard_empty:
            scope.record_publication(self)

    @async_context
    async def build(self, job: str) -> AsyncGenerator[Path, None]:
        """Return a context manager with an empty directory that is published at its end.

        It replaces the job's directory, if there is one, which is unchanged until then; for a
        moment between two renames neither exists. If the block raises, the new directory is
        discarded. Mounted file systems are never removed: a discarded directory that contains a
        mount is left under its hidden name, with a warning.

        :param job: the key.
        :raises StoreError: if a file system is mounted in the directory that would be replaced.
        """
        self.check_job_id(job)
        scope = current_scope()
        staged = await in_thread(self._new_staged, job)
        try:
            yield Path(staged.path or "")
            if scope is not None:
                scope.check_publication(self, job)
            await in_thread(self._publish, job, staged)
            if scope is not None:
                scope.record_publication(self)
        except BaseException as error:
            discard = in_thread(self._discard, job, staged)
            await discard_on_error(error, discard, staged)
            raise

    async def delete(self, job: str) -> None:
        """Remove the job's directory with its contents.

        It disappears at once, before its content is removed; content that cannot be removed is
        left under a hidden name, with a warning. Symbolic links are removed, not followed.

        :param job: the key.
        :raises StoreError: if a file system is mounted in the directory; then nothing in it is
            removed.
        """
        self.check_job_id(job)
        await in_thread(self._delete, job)

    def _contains(self, job: str) -> bool:
        is_present = super()._contains(job)
        if is_present and self.discard_empty:
            with self._errors("look into", job):
                return has_entries(self._path(job), self._kind)
        return is_present

    def _list(self) -> tuple[list[str], bool]:
        jobs, may_change = super()._list()
        if self.discard_empty:
            with self._errors("list"):
                return [job for job in jobs if self._is_member(job)], True
        return jobs, may_change

    def _is_member(self, job: str) -> bool:
        # Invalid job ids are kept, because the caller logs them.
        return not self._is_allowed(job) or has_entries(self._path(job), self._kind)

    def _mkdir(self, job: str) -> None:
        with self._errors("create the directory of", job), self._folder.write_lock():
            if not self.follow_links:
                check_no_link(self._path(job))
            make_folder(self._path(job), self.durable)

    def _new_staged(self, job: str) -> StagedDirectory:
        with self._errors("build the directory of", job):
            return StagedDirectory(self._path(job), self.durable)

    def _publish(self, job: str, staged: StagedDirectory) -> None:
        with self._errors("publish the directory of", job), self._folder.write_lock():
            staged.publish(self._path(job))

    def _discard(self, job: str, staged: StagedDirectory) -> None:
        with self._errors("discard the new directory of", job):
            staged.discard()

    def _delete(self, job: str) -> None:
        with self._errors("delete", job), self._folder.write_lock():
            path = self._path(job)
            if remove_directory(path, self._kind) and self.durable:
                sync_folder(str(Path(path).parent))

    def _options(self) -> tuple[str, ...]:
        return (*super()._options(), "discard_empty")
