"""Tests of the repository: the laws of every metadata repository."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlite_repository import SqliteMetadataRepository

from pydatatask_core.testing import MetadataRepositoryContract


class TestSqlite(MetadataRepositoryContract):
    """The contract, with fixtures for SQLite."""

    @pytest.fixture
    async def repo(self, tmp_path: Path) -> SqliteMetadataRepository:
        repo = SqliteMetadataRepository(tmp_path / "jobs.sqlite")
        await repo.validate()
        return repo

    @pytest.fixture
    def missing(self, tmp_path: Path) -> SqliteMetadataRepository:
        return SqliteMetadataRepository(tmp_path / "missing.sqlite")

    @pytest.fixture
    def broken(self, tmp_path: Path) -> SqliteMetadataRepository:
        return SqliteMetadataRepository(tmp_path)  # a folder is not a database

    async def reopen(self, repo: SqliteMetadataRepository) -> SqliteMetadataRepository:
        return SqliteMetadataRepository(repo.path)

    async def litter(self, repo: Any, name: str) -> None:
        self.insert(repo, name, b"{}")

    async def corrupt(self, repo: Any, job: str) -> None:
        self.insert(repo, job, b"a: [")

    def insert(self, repo: SqliteMetadataRepository, job: str, value: bytes) -> None:
        with sqlite3.connect(repo.path) as database:
            database.execute("INSERT OR REPLACE INTO jobs VALUES (?, ?)", (job, value))
        database.close()
