"""The conformance suites, for repositories in buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from pydatatask_core.testing import (
    BlobRepositoryContract,
    MetadataRepositoryContract,
    RepositoryHooks,
)
from pydatatask_s3 import S3BucketRepository, YamlMetadataS3Repository

from .clients import Requests, connected, emptied, new_bucket_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.s3 import S3Server

MEBIBYTE = 1 << 20


class InBucket(RepositoryHooks):
    """Shared hooks: a bucket that can be missing, unreachable or contain foreign objects."""

    kind: Any
    prefix: ClassVar[str] = ""
    suffix: ClassVar[str] = ""
    counts_requests = True

    def made(self, client: Any, bucket: str) -> Any:
        return self.kind(lambda: client, bucket, self.prefix, self.suffix)

    @pytest.fixture
    async def repo(self, client: Any, bucket: str) -> Any:
        self.sent = Requests(client).sent
        repo = self.made(client, bucket)
        await repo.validate()
        return repo

    @pytest.fixture
    async def broken(self, server: S3Server, unused_tcp_port: int) -> AsyncIterator[Any]:
        async with connected(server, f"http://127.0.0.1:{unused_tcp_port}") as client:
            yield self.made(client, "bucket")

    @pytest.fixture
    async def missing(self, client: Any) -> AsyncIterator[Any]:
        repo = self.made(client, new_bucket_name())
        yield repo
        if not await repo.is_missing():
            await emptied(client, repo.bucket)

    async def reopen(self, repo: Any) -> Any:
        return self.made(repo.client, repo.bucket)

    async def litter(self, repo: Any, name: str) -> None:
        key = f"{repo.prefix}{name}{repo.suffix}"
        await repo.client.put_object(Bucket=repo.bucket, Key=key, Body=b"{}")

    async def corrupt(self, repo: Any, job: str) -> None:
        key = repo.object_name(job)
        await repo.client.put_object(Bucket=repo.bucket, Key=key, Body=b"{ this: [is neither")

    async def requests(self, repo: Any) -> int:
        return len(self.sent)

    def entries(self, repo: Any) -> Any:
        return {**super().entries(repo), "object_name": repo.object_name}


class TestBlobs(InBucket, BlobRepositoryContract):
    kind = S3BucketRepository
    prefix = "books/"
    suffix = ".txt"
    # Parts of 8 MiB: one being filled and three in transit.
    large = 200 * MEBIBYTE
    memory_bound = 64 * MEBIBYTE


class TestBlobsInABucketOfTheirOwn(InBucket, BlobRepositoryContract):
    """Without prefix and suffix; on one server, because the server makes no difference here."""

    kind = S3BucketRepository
    memory_bound = 64 * MEBIBYTE

    @pytest.fixture
    def server(self, s3_real: S3Server) -> S3Server:
        return s3_real


class TestYaml(InBucket, MetadataRepositoryContract):
    kind = YamlMetadataS3Repository
    prefix = "results/"
    suffix = ".yaml"


class TestYamlAsBlobs(InBucket, BlobRepositoryContract):
    kind = YamlMetadataS3Repository
    prefix = "results-"
    suffix = "/output.yaml"
    memory_bound = 64 * MEBIBYTE

    @pytest.fixture
    def server(self, s3_moto: S3Server) -> S3Server:
        return s3_moto
