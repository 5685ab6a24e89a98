"""Aborting an upload while a part is in transit."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from pydatatask_s3 import S3BucketRepository
from pydatatask_s3.multipart import MultipartUpload
from pydatatask_s3.object_ref import ObjectRef


class LateServer:
    """A server that receives a part after its upload was aborted, and sends no response."""

    def __init__(self) -> None:
        self.parts = 0
        self.on_their_way = 0
        self.aborted = 0

    async def create_multipart_upload(self, **_: Any) -> dict[str, str]:
        return {"UploadId": "upload"}

    async def upload_part(self, **_: Any) -> None:
        self.on_their_way += 1
        raise ConnectionClosedError(endpoint_url="http://127.0.0.1")

    async def abort_multipart_upload(self, **_: Any) -> None:
        self.aborted += 1
        self._must_be_there(self.aborted == 1 or self.parts > 0)
        self.parts = 0

    async def list_parts(self, **_: Any) -> None:
        found, self.parts, self.on_their_way = self.parts, self.on_their_way, 0
        self._must_be_there(found > 0)

    def _must_be_there(self, there: bool) -> None:
        if not there:
            raise ClientError({"Error": {"Code": "NoSuchUpload"}}, "any")


async def test_a_part_that_arrives_after_the_abort_is_also_removed() -> None:
    server: Any = LateServer()
    repository = S3BucketRepository(lambda: server, "bucket", "jobs/")
    upload = MultipartUpload(ObjectRef(repository, server, "bucket", "jobs/job", "job"), "text")
    await upload.send(b"part")
    with pytest.raises(ConnectionError):
        await upload.complete()

    await upload.abort()

    assert server.on_their_way == 0
    assert server.parts == 0
    assert server.aborted == 2
