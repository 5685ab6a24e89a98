"""A client with the recommended configuration, as a session resource."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from .incomplete_uploads import IncompleteUploads

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from aiobotocore.config import AioConfig
    from types_aiobotocore_s3 import S3Client

__all__ = ["s3_client"]


def s3_client(
    endpoint_url: str | None = None,
    *,
    aws_access_key_id: str | None = None,
    aws_secret_access_key: str | None = None,
    region_name: str | None = None,
    config: AioConfig | None = None,
    **options: Any,
) -> Callable[[], AsyncIterator[S3Client]]:
    """Return a factory for :meth:`Session.resource` that provides a client.

    For example::

        bucket = session.resource(s3_client("http://localhost:9000"))

    The client retries with the standard back-off, allows 50 connections, addresses buckets by
    path, and sends and checks only required checksums, because older servers reject others. When
    the session closes, incomplete uploads that were started through the client are aborted.

    Arguments that are None come from the places where AWS's own tools look (``AWS_ENDPOINT_URL``,
    ``AWS_ACCESS_KEY_ID``, ``~/.aws`` and so on).

    :param endpoint_url: the URL of the server; Amazon's by default.
    :param aws_access_key_id: the user name.
    :param aws_secret_access_key: the password.
    :param region_name: the region of the buckets.
    :param config: settings that override the ones above.
    :param options: further arguments of aiobotocore's ``create_client``.
    """
    arguments: dict[str, Any] = {
        "endpoint_url": endpoint_url,
        "aws_access_key_id": aws_access_key_id,
        "aws_secret_access_key": aws_secret_access_key,
        "region_name": region_name,
        **options,
    }

    async def s3_client() -> AsyncIterator[S3Client]:
        async with _open_client(arguments, config) as client:
            uploads = IncompleteUploads(client)
            try:
                yield client
            finally:
                await uploads.abort()

    return s3_client


@asynccontextmanager
async def _open_client(
    arguments: dict[str, Any], config: AioConfig | None
) -> AsyncGenerator[Any, None]:
    # Importing the library takes a third of a second, and creating the first client reads files:
    # both are done on first use, in a thread.
    session, settings = await asyncio.to_thread(_shared_session)
    if config is not None:
        settings = settings.merge(config)
    async with session.create_client("s3", config=settings, **arguments) as client:
        yield client


def _shared_session() -> tuple[Any, Any]:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    session: Any = get_session()
    asyncio.run(_warm_up(session))
    config: Any = AioConfig(
        max_pool_connections=50,
        retries={"mode": "standard", "max_attempts": 5},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"},
    )
    return session, config


async def _warm_up(session: Any) -> None:
    """Create and close a client, so that the session reads and caches the service description."""
    unused_client = {
        "aws_access_key_id": "-",
        "aws_secret_access_key": "-",
        "region_name": "us-east-1",
    }
    async with session.create_client("s3", verify=False, **unused_client):
        pass
