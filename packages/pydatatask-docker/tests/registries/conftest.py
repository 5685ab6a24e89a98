"""Shared fixtures: a registry of each kind, a client, a new repository for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from services.blocking import no_blocking_calls

from pydatatask_docker import DockerRepository

from .clients import Requests, connected, new_name
from .images import Images

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from docker_registry_client_async import DockerRegistryClientAsync
    from services.registry import RegistryServer


@pytest.fixture(autouse=True)
def _no_blocking_calls_in_the_loop() -> Iterator[None]:
    """Fail a test in which this package, or the core, blocks the event loop."""
    with no_blocking_calls("pydatatask_docker") as guard:
        # The client checks once whether its credentials store exists.
        guard.functions["os.stat"].can_block_in(
            "docker_registry_client_async/dockerregistryclientasync.py", "_load_credentials"
        )
        yield


@pytest.fixture(params=["2", "3"])
def server(request: pytest.FixtureRequest) -> RegistryServer:
    """Return a registry of each kind that supports deletion."""
    found: RegistryServer = request.getfixturevalue(f"registry_{request.param}")
    return found


@pytest.fixture
def requests() -> Requests:
    """Return the recorder of the requests of ``client``."""
    return Requests()


@pytest.fixture
async def client(
    server: RegistryServer, requests: Requests
) -> AsyncIterator[DockerRegistryClientAsync]:
    """Yield a client."""
    async with connected(server, requests) as client:
        yield client


@pytest.fixture
def images(server: RegistryServer) -> Images:
    """Return direct access to a repository of the server, which does not exist yet."""
    return Images(server, new_name())


@pytest.fixture
def repo(client: DockerRegistryClientAsync, images: Images) -> DockerRepository:
    """Return the pydatatask repository of ``images``."""
    return made(client, images)


def made(client: Any, images: Images) -> DockerRepository:
    """Return the pydatatask repository of some images."""
    server = images.server
    protocol: Any = server.protocol
    return DockerRepository(lambda: client, server.domain, images.repository, protocol=protocol)
