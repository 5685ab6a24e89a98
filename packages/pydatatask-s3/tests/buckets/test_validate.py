"""Tests of validate(): its errors, the created bucket, the aborted uploads."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.errors import RepositoryConfigurationError, StoreConnectionError
from pydatatask_s3 import S3BucketRepository, bucket_setup

from .clients import connected, emptied, new_bucket_name, uploads_in
from .proxy import Fault, Proxy

if TYPE_CHECKING:
    from services.s3 import S3Server


async def test_the_error_names_a_host_that_does_not_exist(s3_moto: S3Server) -> None:
    async with connected(s3_moto, "http://no-such-host.invalid") as client:
        repo = S3BucketRepository(lambda: client, "bucket")
        with pytest.raises(StoreConnectionError, match=r"does not exist.*no-such-host\.invalid"):
            await repo.validate()


@pytest.mark.parametrize("wrong", [{"user": "nobody"}, {"password": "wrong"}])
async def test_wrong_credentials_are_distinguished_from_missing_permissions(
    s3_real: S3Server, wrong: dict[str, str]
) -> None:
    async with connected(replace(s3_real, **wrong)) as client:  # type: ignore[arg-type]
        repo = S3BucketRepository(lambda: client, "bucket")
        with pytest.raises(RepositoryConfigurationError, match="does not accept the credentials"):
            await repo.validate()


@pytest.mark.parametrize("kind", ["ListObjectsV2", "CreateMultipartUpload"])
async def test_missing_permissions_are_reported(server: S3Server, bucket: str, kind: str) -> None:
    async with Proxy(server.port) as proxy, connected(server, proxy.endpoint) as client:
        proxy.faults.append(Fault(kind, answer=(403, "AccessDenied")))
        repo = S3BucketRepository(lambda: client, bucket)
        with pytest.raises(RepositoryConfigurationError, match="do not permit"):
            await repo.validate()


async def test_the_error_contains_an_invalid_bucket_name(client: Any) -> None:
    repo = S3BucketRepository(lambda: client, "no bucket: this")
    with pytest.raises(RepositoryConfigurationError, match="no bucket: this"):
        await repo.validate()


async def test_a_failing_server_is_not_reported_as_a_configuration_error(
    server: S3Server, bucket: str
) -> None:
    async with Proxy(server.port) as proxy, connected(server, proxy.endpoint) as client:
        proxy.faults.append(Fault("ListObjectsV2", answer=(500, "InternalError")))
        with pytest.raises(OSError, match="InternalError"):
            await S3BucketRepository(lambda: client, bucket).validate()


async def test_uploads_of_dead_writers_are_aborted_when_they_are_a_day_old(
    s3_real: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # moto reports that every upload was started in 2010.
    bucket = new_bucket_name()
    async with connected(s3_real) as client:
        repo = S3BucketRepository(lambda: client, bucket, "jobs/", ".txt")
        await repo.validate()
        foreign = ["jobs/other/job.txt", "jobs/job.bin", "elsewhere/job.txt"]
        for key in ["jobs/job.txt", *foreign]:
            await client.create_multipart_upload(Bucket=bucket, Key=key)
        await repo.validate()
        assert len(await uploads_in(client, bucket)) == 4
        monkeypatch.setattr(bucket_setup, "STALE_AGE", timedelta(days=-1))
        await repo.validate()
        left = [upload["Key"] for upload in await uploads_in(client, bucket)]
        assert sorted(left) == sorted(foreign)
        await emptied(client, bucket)
