"""The recommended client, as a session resource."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.errors import SessionError
from pydatatask_core.session import Session
from pydatatask_s3 import S3BucketInfo, S3BucketRepository, s3_client

from .clients import uploads_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.s3 import S3Server


@pytest.fixture
def session() -> Session:
    return Session()


@pytest.fixture
def resource(session: Session, server: S3Server) -> Callable[[], Any]:
    return session.resource(
        s3_client(
            server.endpoint,
            aws_access_key_id=server.user,
            aws_secret_access_key=server.password,
            region_name="us-east-1",
        )
    )


async def test_a_repository_whose_session_is_not_open_raises_a_session_error(
    resource: Callable[[], Any],
) -> None:
    repo = S3BucketRepository(resource, "bucket")
    with pytest.raises(SessionError, match="s3_client"):
        await repo.contains("job")
    assert repo.identity is None


async def test_a_stream_that_is_open_when_the_session_closes_leaves_no_upload(
    session: Session, resource: Callable[[], Any], client: Any, bucket: str
) -> None:
    repo = S3BucketRepository(resource, bucket)
    async with session:
        stream = await repo.open("job", "wb")
        await stream.write(bytes(20 << 20))
        assert len(await uploads_in(client, bucket)) == 1
        async with await repo.open("finished", "wb") as other:
            await other.write(bytes(10 << 20))
    assert await uploads_in(client, bucket) == []
    assert await S3BucketRepository(lambda: client, bucket).keys() == {"finished"}


async def test_info_contains_the_uri_of_the_object(
    session: Session, resource: Callable[[], Any], server: S3Server
) -> None:
    repo = S3BucketRepository(resource, "bucket", "books/", ".txt")
    async with session:
        info = await repo.info("job")
    uri = "s3://bucket/books/job.txt"
    assert info == S3BucketInfo(server.endpoint, uri, "bucket", "books/", ".txt")
    assert str(info) == uri


async def test_info_contains_the_configured_endpoint_without_a_client() -> None:
    def no_client() -> Any:
        raise SessionError("not open")

    repo = S3BucketRepository(no_client, "bucket", incluster_endpoint="http://minio.svc")
    assert (await repo.info("job")).endpoint == "http://minio.svc"


async def test_objects_have_the_configured_content_type(client: Any, bucket: str) -> None:
    repo = S3BucketRepository(lambda: client, bucket, mimetype="text/x-books")
    for job, size in (("small", 5), ("large", 9 << 20)):
        async with await repo.open(job, "wb") as stream:
            await stream.write(bytes(size))
        assert (await client.head_object(Bucket=bucket, Key=job))["ContentType"] == "text/x-books"
