"""The aiobotocore client of the measurements, and a counter of its requests."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["OPTIONS", "Requests", "client"]

OPTIONS: dict[str, Any] = {
    "endpoint_url": os.environ.get("BENCH_S3_ENDPOINT"),
    "aws_access_key_id": os.environ.get("BENCH_S3_USER"),
    "aws_secret_access_key": os.environ.get("BENCH_S3_PASSWORD"),
    "region_name": "us-east-1",
}
CONFIG: dict[str, Any] = {
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
    "max_pool_connections": 50,
    "s3": {"addressing_style": "path"},
}


class Requests:
    """A counter of the requests of a client.

    :param client: an aiobotocore client.
    """

    def __init__(self, client: Any) -> None:
        self.count = 0
        client.meta.events.register("before-send.s3", self._note)

    def _note(self, **_: Any) -> None:
        self.count += 1

    def taken(self) -> int:
        """Return the number of requests since the last call."""
        count, self.count = self.count, 0
        return count


@asynccontextmanager
async def client() -> AsyncIterator[Any]:
    """Yield a connected client, with all its modules already loaded."""
    session = get_session()
    async with session.create_client("s3", **OPTIONS, config=AioConfig(**CONFIG)) as made:
        await made.list_buckets()
        yield made
