"""A custom repository: metadata in a table of SQLite."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path
from typing import Any

from pydatatask_core import MetadataRepository, StoreError
from pydatatask_core.repository import decode_metadata, encode_metadata
from pydatatask_core.utils import run_to_completion


class SqliteMetadataRepository(MetadataRepository):
    """A repository whose jobs are the rows of a table."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()

    @property
    def identity(self) -> str:  # two drivers of the same data are detected by it
        return f"sqlite:{self.path}"

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        for (job,) in await self._do("list the jobs", "SELECT job FROM jobs"):
            yield job

    async def contains(self, item: str) -> bool:
        return self.is_valid_job_id(item) and bool(await self._find(item))

    async def info(self, job: str) -> Any:
        rows = await self._find(job)
        return decode_metadata(job, self, rows[0][0]) if rows else {}

    async def dump(self, job: str, data: Any) -> None:
        data = encode_metadata(job, self, data)  # refuses values that would change
        await self._do(f"write {job!r}", "REPLACE INTO jobs VALUES (?, ?)", job, data)

    async def delete(self, job: str) -> None:
        await self._do(f"delete {job!r}", "DELETE FROM jobs WHERE job = ?", job)

    async def validate(self) -> None:
        await self._do("create table", "CREATE TABLE IF NOT EXISTS jobs (job PRIMARY KEY, value)")

    async def _find(self, job: str) -> list[Any]:
        return await self._do(f"read {job!r}", "SELECT value FROM jobs WHERE job = ?", job)

    async def _do(self, action: str, query: str, *values: Any) -> list[Any]:
        return await run_to_completion(asyncio.to_thread(self._execute, action, query, values))

    def _execute(self, action: str, query: str, values: tuple[Any, ...]) -> list[Any]:
        if values:
            self.check_job_id(values[0])  # before anything reaches the store
        if query.startswith(("SELECT", "DELETE")) and not self.path.exists():
            return []  # reading creates no database
        try:
            with closing(sqlite3.connect(self.path, timeout=30)) as database, database:
                return database.execute(query, values).fetchall()
        except sqlite3.Error as e:  # an error is not an answer
            raise StoreError(action, self, e) from e
