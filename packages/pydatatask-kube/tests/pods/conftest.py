"""Shared fixtures: a fake API server and a pod manager."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from services.blocking import no_blocking_calls

from .api_server import ApiServer, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from pydatatask_kube import PodManager


@pytest.fixture(autouse=True)
def _no_blocking_calls_in_the_loop() -> Iterator[None]:
    """Fail a test in which this package or the core blocks the event loop."""
    with no_blocking_calls("pydatatask_kube"):
        yield


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    """Yield an API server without pods."""
    async with serving() as server:
        yield server


@pytest.fixture
async def podman(server: ApiServer) -> AsyncIterator[PodManager]:
    """Yield a pod manager for it."""
    podman = server.manager()
    yield podman
    await podman.close()
