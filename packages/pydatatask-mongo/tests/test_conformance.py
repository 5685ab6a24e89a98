"""The conformance suite, for collections of both clients."""

from __future__ import annotations

from typing import Any

import pytest

from pydatatask_core.testing import (
    JOBS,
    MetadataRepositoryContract,
    for_all,
    metadata_values,
    same_metadata,
)
from pydatatask_mongo import MongoMetadataRepository


class MongoContract(MetadataRepositoryContract):
    counts_requests = True
    bulk_info = True

    @pytest.fixture(autouse=True)
    def _count(self, commands: Any) -> None:
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
    def broken(self, refused: Any) -> MongoMetadataRepository:
        return self.made(refused["database"]["jobs"])

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

    async def test_any_value_comes_back_as_it_was(self, repo: Any) -> None:
        """Delete each generated value before the next one.

        FerretDB 1 ignores the replacement of 0 by 0.0, because they are equal.
        """
        job = JOBS[0]

        async def check(value: Any) -> None:
            await repo.delete(job)
            await repo.dump(job, value)
            found = await repo.info(job)
            assert same_metadata(found, value), f"{value!r} came back as {found!r}"
            assert same_metadata((await repo.info_all())[job], found)

        await for_all(metadata_values(), check)


class TestCollection(MongoContract):
    pass


class TestSubcollection(MongoContract):
    def made(self, collection: Any) -> MongoMetadataRepository:
        return MongoMetadataRepository(lambda: collection, "part.of_it")

    async def reopen(self, repo: Any) -> MongoMetadataRepository:
        whole = repo.collection.database[repo.collection.name.removesuffix(".part.of_it")]
        return self.made(whole)


class TestView(MongoContract):
    """A view of a collection that contains other documents as well."""

    @pytest.fixture
    async def repo(self, collection: Any) -> MongoMetadataRepository:
        await collection.insert_one({"_id": "absent", "hidden": True})
        repo = self.made(collection)
        await repo.validate()
        return repo

    def made(self, collection: Any) -> MongoMetadataRepository:
        return MongoMetadataRepository(lambda: collection).query({"hidden": {"$ne": True}})
