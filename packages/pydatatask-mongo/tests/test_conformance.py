"""The suite over collections of both clients."""

from __future__ import annotations

from typing import Any

import pytest
from pydatatask_core.testing import MetadataRepositoryContract
from pydatatask_mongo import MongoMetadataRepository

from .conftest import Commands


class MongoContract(MetadataRepositoryContract):
    counts_requests = True
    bulk_info = True

    @pytest.fixture(autouse=True)
    def _count(self, commands: Commands) -> None:
        self.commands = commands

    @pytest.fixture
    async def repo(self, collection: Any) -> MongoMetadataRepository:
        repo = self.made(collection)
        await repo.validate()
        return repo

    @pytest.fixture
    def missing(self, collection: Any) -> MongoMetadataRepository:
        return self.made(collection["missing"])

    @pytest.fixture
    def broken(self, unreachable: Any) -> MongoMetadataRepository:
        return self.made(unreachable["database"]["jobs"])

    def made(self, collection: Any) -> MongoMetadataRepository:
        return MongoMetadataRepository(lambda: collection)

    async def reopen(self, repo: Any) -> MongoMetadataRepository:
        return self.made(repo.collection)

    async def litter(self, repo: Any, name: str) -> None:
        await repo.collection.insert_one({"_id": name})

    async def corrupt(self, repo: Any, job: str) -> None:
        await repo.collection.insert_one({"_id": job, "_pydatatask": "of the future", "value": 1})

    async def requests(self, repo: Any) -> int:
        return len(self.commands.sent)


class TestCollection(MongoContract):
    pass


class TestSubcollection(MongoContract):
    def made(self, collection: Any) -> MongoMetadataRepository:
        return MongoMetadataRepository(lambda: collection, "part.of_it")

    async def reopen(self, repo: Any) -> MongoMetadataRepository:
        whole = repo.collection.database[repo.collection.name.removesuffix(".part.of_it")]
        return self.made(whole)


class TestView(MongoContract):
    """A view of a collection in which there are documents that it does not show."""

    @pytest.fixture
    async def repo(self, collection: Any) -> MongoMetadataRepository:
        await collection.insert_one({"_id": "absent", "hidden": True})
        return await super().repo.__wrapped__(self, collection)

    def made(self, collection: Any) -> MongoMetadataRepository:
        return MongoMetadataRepository(lambda: collection).query({"hidden": {"$ne": True}})
