"""Values of blob repositories as local files, for code that does not await."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pydatatask_core.errors import LocalFileMissingError, PydatataskError, StoreError
from pydatatask_core.utils import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from .blob import BlobMode, BlobRepository

__all__ = ["check_local_file", "downloaded", "opened", "uploaded"]

CHUNK_BYTES = 1 << 18
"""How much of a value is copied at once."""


@asynccontextmanager
async def downloaded(repo: BlobRepository, job: str) -> AsyncGenerator[Path, None]:
    """Copy a value to a private file, which is removed afterwards.

    :param repo: the repository.
    :param job: the key.
    :raises JobNotFoundError: if it is not there.
    """
    async with await repo.open(job, "rb") as source, _private_folder(repo, job) as folder:
        path = folder / repo.local_name(job)
        with _errors(repo, f"copy job {job!r} to a local file"):
            file: IO[bytes] = await in_thread(path.open, "wb")
            try:
                while data := await source.read(CHUNK_BYTES):
                    await in_thread(file.write, data)
            finally:
                await in_thread(file.close)
        yield path


@asynccontextmanager
async def uploaded(repo: BlobRepository, job: str) -> AsyncGenerator[Path, None]:
    """Write what a block leaves in a private file to a repository, unless the block raises.

    :param repo: the repository.
    :param job: the key.
    :raises LocalFileMissingError: if the block has not created the file.
    """
    async with _private_folder(repo, job) as folder:
        path = folder / repo.local_name(job)
        target = await repo.open(job, "wb")
        async with target:
            yield path
            with _errors(repo, f"write job {job!r} from a local file"):
                await in_thread(check_local_file, path, repo, job)
                file: IO[bytes] = await in_thread(path.open, "rb")
                try:
                    while data := await in_thread(file.read, CHUNK_BYTES):
                        await target.write(data)
                finally:
                    await in_thread(file.close)


@asynccontextmanager
async def opened(repo: BlobRepository, job: str, mode: BlobMode) -> AsyncGenerator[Any, None]:
    """Open the local file of a value as a file of Python."""
    async with repo.local_file(job, mode) as path:
        file: IO[Any] = await in_thread(_open, path, mode)
        try:
            yield file
        finally:
            await in_thread(file.close)


def _open(path: Path, mode: BlobMode) -> IO[Any]:
    if mode.endswith("b"):
        return path.open(mode)
    # Text as everywhere: UTF-8, newlines as they are.
    return path.open(mode, encoding="utf-8", newline="\n")


def check_local_file(path: Path, repo: BlobRepository, job: str) -> None:
    """Check that a block has created its file.

    :param path: the file.
    :param repo: the repository that it is for.
    :param job: the key.
    :raises LocalFileMissingError: if it has not.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        others = sorted(os.listdir(path.parent))
        found = f"; there is {', '.join(map(repr, others[:3]))} instead" if others else ""
        raise LocalFileMissingError(job, repo, f"{path.name!r} was not created{found}") from None
    if not stat.S_ISREG(mode):
        raise LocalFileMissingError(job, repo, f"{path.name!r} is not a regular file")


@asynccontextmanager
async def _private_folder(repo: BlobRepository, job: str) -> AsyncGenerator[Path, None]:
    with _errors(repo, f"create a local file for job {job!r}"):
        folder = Path(await in_thread(tempfile.mkdtemp, prefix="pydatatask-"))
    try:
        yield folder
    finally:
        await in_thread(shutil.rmtree, folder, ignore_errors=True)


@contextmanager
def _errors(repo: BlobRepository, action: str) -> Iterator[None]:
    try:
        yield
    except PydatataskError:
        raise
    except OSError as e:
        raise StoreError(action, repo, e) from e
