"""A pipeline as a file system: ``/TASK/LINK/JOB``.

FUSE calls these operations from its own threads; each passes its work to the pipeline's event
loop. An open file is a temporary file, so that a value of any size takes no memory and any part
of it can be read or written in any order; closing it publishes the changes.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import mfusepy  # type: ignore[import-untyped]

from pydatatask_core.errors import InvalidJobIdError, PydatataskError

from .byte_streams import CHUNK_BYTES, FileInput
from .commands.inject import put
from .errors import CommandLineError
from .write_checks import check_deletable

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from pydatatask_core.pipeline import Pipeline
    from pydatatask_core.repository import Repository

__all__ = ["RepositoryFiles"]

T = TypeVar("T")

_JOB_DEPTH = 3


@dataclass
class _OpenFile:
    """An open file."""

    repo: Repository
    data: str
    job: str
    descriptor: int
    path: str
    changed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class RepositoryFiles(mfusepy.Operations):  # type: ignore[misc] # mfusepy has no types
    """The FUSE operations on the repositories of a pipeline.

    :param pipeline: the open pipeline.
    :param loop: its event loop.
    """

    use_ns = True

    def __init__(self, pipeline: Pipeline, loop: asyncio.AbstractEventLoop) -> None:
        self._pipeline = pipeline
        self._loop = loop
        self._open: dict[int, _OpenFile] = {}
        self._mounted_at = time.time_ns()
        self._folder = Path.cwd()

    def init(self, path: str) -> None:
        """Restore the working directory, which libfuse has changed to the root directory."""
        os.chdir(self._folder)

    # -- paths -----------------------------------------------------------------------------------

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the event loop; raise FuseOSError with an errno for its error."""
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except mfusepy.FuseOSError:
            raise
        except FileNotFoundError as e:
            raise mfusepy.FuseOSError(errno.ENOENT) from e
        except PermissionError as e:
            raise mfusepy.FuseOSError(errno.EACCES) from e
        except (PydatataskError, ValueError) as e:
            invalid = isinstance(e, ValueError)
            raise mfusepy.FuseOSError(errno.EINVAL if invalid else errno.EIO) from e
        except Exception as e:
            raise mfusepy.FuseOSError(getattr(e, "errno", None) or errno.EIO) from e

    def _resolve(self, path: str) -> tuple[Repository, str, str]:
        """Return the repository of a path, its name, and the job."""
        parts = path.strip("/").split("/")
        if len(parts) != _JOB_DEPTH:
            raise mfusepy.FuseOSError(errno.EISDIR if len(parts) < _JOB_DEPTH else errno.ENOENT)
        task, link, job = parts
        return self._repository(task, link), f"{task}.{link}", job

    def _repository(self, task: str, link: str) -> Repository:
        try:
            return self._pipeline.tasks[task].links[link].repo
        except KeyError as e:
            raise mfusepy.FuseOSError(errno.ENOENT) from e

    # -- folders ---------------------------------------------------------------------------------

    def readdir(self, path: str, fh: int) -> list[str]:
        """List a folder."""
        parts = [part for part in path.split("/") if part]
        if not parts:
            return [".", "..", *self._pipeline.tasks]
        if len(parts) == 1:
            task = self._pipeline.tasks.get(parts[0])
            if task is None:
                raise mfusepy.FuseOSError(errno.ENOENT)
            return [".", "..", *task.links]
        repo = self._repository(*parts)

        async def listed() -> list[str]:
            return sorted(await repo.keys())

        return [".", "..", *self._call(listed())]

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        """Return the attributes of a folder or file; the size is known for open files only."""
        parts = [part for part in path.split("/") if part]
        times = {
            "st_ctime": self._mounted_at,
            "st_mtime": self._mounted_at,
            "st_atime": self._mounted_at,
        }
        owner = {"st_uid": os.getuid(), "st_gid": os.getgid()}
        if len(parts) < _JOB_DEPTH:
            if len(parts) > 1:
                self._repository(*parts)
            elif parts and parts[0] not in self._pipeline.tasks:
                raise mfusepy.FuseOSError(errno.ENOENT)
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2, **times, **owner}
        repo, _, job = self._resolve(path)
        opened = next(
            (o for o in list(self._open.values()) if o.repo is repo and o.job == job), None
        )
        if opened is None and not self._call(repo.contains(job)):
            raise mfusepy.FuseOSError(errno.ENOENT)
        size = 0 if opened is None else os.fstat(opened.descriptor).st_size
        return {
            "st_mode": stat.S_IFREG | 0o644,
            "st_nlink": 1,
            "st_size": size,
            **times,
            **owner,
        }

    # -- files -----------------------------------------------------------------------------------

    def open(self, path: str, flags: int) -> int:
        """Open an existing file."""
        repo, data, job = self._resolve(path)
        opened = self._opened(repo, data, job)
        if flags & os.O_TRUNC:
            opened.changed = True
        else:
            self._call(self._download(opened))
        self._open[opened.descriptor] = opened
        return opened.descriptor

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        """Create a file, which appears in the repository when it is closed."""
        repo, data, job = self._resolve(path)
        try:
            repo.check_job_id(job)
        except InvalidJobIdError as e:
            raise mfusepy.FuseOSError(errno.EINVAL) from e
        opened = self._opened(repo, data, job)
        opened.changed = True
        self._open[opened.descriptor] = opened
        return opened.descriptor

    def _opened(self, repo: Repository, data: str, job: str) -> _OpenFile:
        descriptor, path = tempfile.mkstemp(prefix="pydatatask-fuse-")
        return _OpenFile(repo, data, job, descriptor, path)

    async def _download(self, opened: _OpenFile) -> None:
        from pydatatask_core.repository import BlobRepository, encode_metadata

        try:
            if isinstance(opened.repo, BlobRepository):
                async with await opened.repo.open(opened.job, "rb") as stream:
                    while block := await stream.read(CHUNK_BYTES):
                        await asyncio.to_thread(_write_all, opened.descriptor, block)
            else:
                value = await opened.repo.info(opened.job)
                value = encode_metadata(opened.job, opened.repo, value)
                await asyncio.to_thread(_write_all, opened.descriptor, value)
        except BaseException:
            _discard(opened)
            raise

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Read a part of a file."""
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        """Write a part of a file."""
        opened = self._open[fh]
        with opened.lock:
            opened.changed = True
            return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        """Change the length of a file."""
        own = fh is None
        handle = self.open(path, os.O_WRONLY) if fh is None else fh
        os.ftruncate(handle, length)
        self._open[handle].changed = True
        if own:
            self.flush(path, handle)
            self.release(path, handle)
        return 0

    def flush(self, path: str, fh: int) -> int:
        """Publish the changes; an invalid value is an error of closing the file."""
        opened = self._open[fh]
        with opened.lock:
            if opened.changed:
                opened.changed = False
                self._call(self._upload(opened))
        return 0

    async def _upload(self, opened: _OpenFile) -> None:
        async with FileInput(opened.path) as source:
            await put(opened.repo, opened.data, opened.job, source)

    def release(self, path: str, fh: int) -> int:
        """Delete the temporary file of a closed file."""
        _discard(self._open.pop(fh))
        return 0

    def unlink(self, path: str) -> int:
        """Delete a job from its repository; views without ``allow_deletes`` are read-only."""
        repo, data, job = self._resolve(path)
        try:
            check_deletable(repo, data)
        except CommandLineError as e:
            raise mfusepy.FuseOSError(errno.EROFS) from e
        self._call(repo.delete(job))
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        """Return the block size and the maximum length of names."""
        return {"f_bsize": 4096, "f_namemax": 255}

    def chmod(self, path: str, mode: int) -> int:
        """Ignore a change of permissions."""
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        """Ignore a change of owner."""
        return 0

    def utimens(self, path: str, times: Any = None) -> int:
        """Ignore a change of times."""
        return 0


def _write_all(descriptor: int, data: bytes) -> None:
    remaining = memoryview(data)
    while remaining:
        remaining = remaining[os.write(descriptor, remaining) :]


def _discard(opened: _OpenFile) -> None:
    os.close(opened.descriptor)
    os.unlink(opened.path)
