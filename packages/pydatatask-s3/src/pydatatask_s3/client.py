"""A client as a resource of a session, configured as we recommend it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from .unfinished import UnfinishedUploads

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
    """Make what :meth:`Session.resource` takes, to have a client while the session is open.

    For example::

        bucket = session.resource(s3_client("http://localhost:9000"))

    The client retries with the standard back-off, has room for many connections, addresses
    buckets by path, and sends and checks only the checksums that a request requires, since
    servers of some age refuse others. When the session closes, uploads are aborted that were
    begun through it and never finished.

    What is not given is found where AWS's own tools look for it (``AWS_ENDPOINT_URL``,
    ``AWS_ACCESS_KEY_ID``, ``~/.aws`` and so on).

    :param endpoint_url: the URL of the server; Amazon's by default.
    :param aws_access_key_id: the user name.
    :param aws_secret_access_key: the password.
    :param region_name: the region of the buckets.
    :param config: settings that go before the ones above.
    :param options: anything else that aiobotocore's ``create_client`` takes.
    """
    given: dict[str, Any] = {
        "endpoint_url": endpoint_url,
        "aws_access_key_id": aws_access_key_id,
        "aws_secret_access_key": aws_secret_access_key,
        "region_name": region_name,
        **options,
    }

    async def s3_client() -> AsyncIterator[S3Client]:
        async with _opened(given, config) as client:
            uploads = UnfinishedUploads(client)
            try:
                yield client
            finally:
                await uploads.abort()

    return s3_client


@asynccontextmanager
async def _opened(given: dict[str, Any], config: AioConfig | None) -> AsyncGenerator[Any, None]:
    # To import the library takes a third of a second, so it is not done before it is needed, and
    # not in the event loop; nor is the description of the service read there.
    session, settings = await asyncio.to_thread(_prepared)
    if config is not None:
        settings = settings.merge(config)
    async with session.create_client("s3", config=settings, **given) as client:
        yield client


def _prepared() -> tuple[Any, Any]:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    session: Any = get_session()
    asyncio.run(_rehearse(session))
    config: Any = AioConfig(
        max_pool_connections=50,
        retries={"mode": "standard", "max_attempts": 5},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"},
    )
    return session, config


async def _rehearse(session: Any) -> None:
    """Make a client that nobody uses, so that the session reads and keeps what it needs for one."""
    nobody = {"aws_access_key_id": "-", "aws_secret_access_key": "-", "region_name": "us-east-1"}
    async with session.create_client("s3", verify=False, **nobody):
        pass
