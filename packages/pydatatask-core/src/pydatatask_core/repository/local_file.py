"""Values of blob repositories as local files, for code that does not await."""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pydatatask_core.errors import (
    LocalFileMissingError,
    PydatataskError,
    StoreError,
    describe,
)
from pydatatask_core.utils import in_thread
from pydatatask_core.utils.files import remove_tree

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from .blob import BlobMode, BlobRepository

__all__ = ["check_local_file", "download", "open_local", "upload"]

log = logging.getLogger("pydatatask.repository")

CHUNK_SIZE_BYTES = 1 << 18
"""Number of bytes that are copied at once."""


@asynccontextmanager
async def download(repo: BlobRepository, job: str) -> AsyncGenerator[Path, None]:
    """Return a context manager with a private copy of a value, which is removed at the end.

    :param repo: the repository.
    :param job: the key.
    :raises JobNotFoundError: if the value does not exist.
    """
    async with _private_folder(repo, job) as folder:
        path = folder / repo.local_name(job)
        async with await repo.open(job, "rb") as source:
            with _errors(repo, f"copy job {job!r} to a local file"):
                async with _open(path, "wb") as file:
                    while data := await source.read(CHUNK_SIZE_BYTES):
                        await in_thread(file.write, data)
        yield path


@asynccontextmanager
async def upload(repo: BlobRepository, job: str) -> AsyncGenerator[Path, None]:
    """Return a context manager with a path, whose file is written to the repository at the end.

    If the block raises, nothing is written.

    :param repo: the repository.
    :param job: the key.
    :raises LocalFileMissingError: if the block did not create the file.
    """
    async with _private_folder(repo, job) as folder:
        path = folder / repo.local_name(job)
        target = await repo.open(job, "wb")
        async with target:
            yield path
            with _errors(repo, f"write job {job!r} from a local file"):
                await in_thread(check_local_file, path, repo, job)
                async with _open(path, "rb") as file:
                    while data := await in_thread(file.read, CHUNK_SIZE_BYTES):
                        await target.write(data)


@asynccontextmanager
async def open_local(repo: BlobRepository, job: str, mode: BlobMode) -> AsyncGenerator[Any, None]:
    """Open the local file of a value as an ordinary Python file."""
    async with repo.local_file(job, mode) as path, _open(path, mode) as file:
        yield file


@asynccontextmanager
async def _open(path: Path, mode: BlobMode) -> AsyncGenerator[IO[Any], None]:
    """Open a file, and close it even if cancelled while it is being opened."""
    files: list[IO[Any]] = []

    def open_file() -> None:
        if mode.endswith("b"):
            files.append(path.open(mode))
        else:  # as in all text streams: UTF-8, newlines not translated
            files.append(path.open(mode, encoding="utf-8", newline="\n"))

    try:
        await in_thread(open_file)
        yield files[0]
    finally:
        for file in files:
            await in_thread(file.close)


def check_local_file(path: Path, repo: BlobRepository, job: str) -> None:
    """Raise if a block did not create its file.

    :param path: the file.
    :param repo: the repository for which the file is meant.
    :param job: the key.
    :raises LocalFileMissingError: if it is missing or not a regular file.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        others = sorted(os.listdir(path.parent))
        problem = f"; there is {', '.join(map(repr, others[:3]))} instead" if others else ""
        raise LocalFileMissingError(job, repo, f"{path.name!r} was not created{problem}") from None
    if not stat.S_ISREG(mode):
        raise LocalFileMissingError(job, repo, f"{path.name!r} is not a regular file")


@asynccontextmanager
async def _private_folder(repo: BlobRepository, job: str) -> AsyncGenerator[Path, None]:
    # The name is chosen here, so the folder is removed even if cancelled while it is created.
    folder = Path(tempfile.gettempdir(), f"pydatatask-{os.urandom(16).hex()}")
    try:
        with _errors(repo, f"create a local file for job {job!r}"):
            await in_thread(folder.mkdir, 0o700)
        yield folder
    finally:
        await in_thread(_remove, folder)


def _remove(folder: Path) -> None:
    try:
        remove_tree(str(folder))
    except OSError as e:
        log.warning("%s could not be removed (%s); it is left behind", folder, describe(e))


@contextmanager
def _errors(repo: BlobRepository, action: str) -> Iterator[None]:
    try:
        yield
    except PydatataskError:
        raise
    except OSError as e:
        raise StoreError(action, repo, e) from e
