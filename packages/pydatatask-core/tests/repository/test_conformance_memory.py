"""Conformance of the repositories in memory."""

from __future__ import annotations

from typing import Any

import pytest

from pydatatask_core.repository import InProcessBlobRepository, InProcessMetadataRepository
from pydatatask_core.testing import BlobRepositoryContract, MetadataRepositoryContract


class TestInProcessMetadataRepository(MetadataRepositoryContract):
    persistent = False
    breakable = False
    creates = False
    absent_info = None
    accepts_any_object = True
    parses = False

    @pytest.fixture
    def repo(self) -> InProcessMetadataRepository:
        return InProcessMetadataRepository()

    async def litter(self, repo: Any, name: str) -> None:
        repo.data[name] = {}


class TestInProcessBlobRepository(BlobRepositoryContract):
    persistent = False
    breakable = False
    creates = False
    memory_bound = 0

    @pytest.fixture
    def repo(self) -> InProcessBlobRepository:
        return InProcessBlobRepository()

    async def litter(self, repo: Any, name: str) -> None:
        repo.data[name] = b""
