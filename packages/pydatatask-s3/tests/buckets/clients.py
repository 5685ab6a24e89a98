"""Helpers for clients, buckets and their contents."""

from __future__ import annotations

import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.s3 import S3Server

__all__ = ["Requests", "connected", "emptied", "new_bucket_name", "uploads_in"]

SESSION = get_session()  # shared, because it caches the description of the service

RECOMMENDED: dict[str, Any] = {
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
    "s3": {"addressing_style": "path"},
}


class Requests:
    """A recorder of the requests that a client sends, including retries."""

    def __init__(self, client: Any) -> None:
        self.sent: list[str] = []
        client.meta.events.register("before-send.s3", self._note)

    def _note(self, request: Any, event_name: str, **_: Any) -> None:
        self.sent.append(event_name.rpartition(".")[2])


@asynccontextmanager
async def connected(
    server: S3Server, endpoint: str | None = None, retries: int = 1, **config: Any
) -> AsyncIterator[Any]:
    """Yield an open client.

    :param server: the server, with its credentials.
    :param endpoint: the URL to connect to instead of the server's own.
    :param retries: the maximum number of attempts per request.
    :param config: further settings of the client.
    """
    async with SESSION.create_client(
        "s3",
        endpoint_url=endpoint or server.endpoint,
        aws_access_key_id=server.user,
        aws_secret_access_key=server.password,
        region_name="us-east-1",
        verify=False,  # loading the system's certificates is slow, and none is used
        config=AioConfig(
            retries={"total_max_attempts": retries, "mode": "standard"},
            **{"max_pool_connections": 50, **RECOMMENDED, **config},
        ),
    ) as client:
        yield client


async def emptied(client: Any, bucket: str) -> None:
    """Delete a bucket with its objects and incomplete uploads."""
    while found := (await client.list_objects_v2(Bucket=bucket)).get("Contents"):
        for entry in found:
            await client.delete_object(Bucket=bucket, Key=entry["Key"])
    for upload in await uploads_in(client, bucket):
        await client.abort_multipart_upload(Bucket=bucket, **upload)
    await client.delete_bucket(Bucket=bucket)


async def uploads_in(client: Any, bucket: str) -> list[dict[str, str]]:
    """Return the incomplete uploads of a bucket."""
    found = await client.list_multipart_uploads(Bucket=bucket)
    return [{name: one[name] for name in ("Key", "UploadId")} for one in found.get("Uploads", ())]


def new_bucket_name() -> str:
    """Return an unused bucket name."""
    return f"pydatatask-test-{uuid.uuid4().hex[:12]}"
