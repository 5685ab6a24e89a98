"""Shared fixtures: a server of each kind, a client, a new bucket for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from services.blocking import no_blocking_calls

from .clients import connected, emptied, new_bucket_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from services.s3 import S3Server


@pytest.fixture(autouse=True)
def _no_blocking_calls_in_the_loop() -> Iterator[None]:
    """Fail a test in which this package, or the core, blocks the event loop."""
    with no_blocking_calls("pydatatask_s3") as guard:
        for function in guard.functions.values():
            # It runs in an event loop of its own, in another thread.
            function.can_block_in("pydatatask_s3/client.py", {"_warm_up"})
        yield


@pytest.fixture(params=["moto", "real"])
def server(request: pytest.FixtureRequest) -> S3Server:
    """Return a server of each kind."""
    found: S3Server = request.getfixturevalue(f"s3_{request.param}")
    return found


@pytest.fixture
async def client(server: S3Server) -> AsyncIterator[Any]:
    """Yield a client with retries, because moto sometimes fails on concurrent writes of a key."""
    async with connected(server, retries=5) as client:
        yield client


@pytest.fixture
async def bucket(client: Any) -> AsyncIterator[str]:
    """Yield an empty bucket."""
    name = new_bucket_name()
    await client.create_bucket(Bucket=name)
    yield name
    await emptied(client, name)
