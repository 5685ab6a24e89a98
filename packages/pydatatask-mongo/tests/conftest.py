"""Shared fixtures: clients of both kinds, a database, a new collection for each test."""

from __future__ import annotations

import gc
import inspect
import uuid
import warnings
from typing import TYPE_CHECKING, Any

import pymongo
import pytest
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.monitoring import CommandListener
from services.blocking import no_blocking_calls

from pydatatask_mongo import MongoMetadataRepository

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from services.mongodb import MongoServer

CLIENTS: dict[str, Any] = {
    "motor": AsyncIOMotorClient,
    "pymongo": pymongo.AsyncMongoClient,
}


class Commands(CommandListener):
    """A recorder of the commands that a client sends."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def started(self, event: Any) -> None:
        self.sent.append(event.command)

    def succeeded(self, event: Any) -> None:
        pass

    def failed(self, event: Any) -> None:
        pass


async def close(client: Any) -> None:
    """Close a client of either kind."""
    result = client.close()
    if inspect.isawaitable(result):
        await result


@pytest.fixture(autouse=True)
def _no_blocking_calls_in_the_loop() -> Iterator[None]:
    """Fail a test in which this package, or the core, blocks the event loop."""
    with no_blocking_calls("pydatatask_mongo") as guard:
        # PyMongo checks whether it runs in a container when it connects.
        guard.functions["os.stat"].can_block_in("pymongo/pool_options.py", "get_container_env_info")
        yield


@pytest.fixture(autouse=True)
def _sockets_that_pymongo_forgets(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect the socket of a client that was closed while connecting.

    PyMongo does not close it, and its ResourceWarning would otherwise appear in a later test.
    """
    yield
    if {"unreachable", "client_of_its_own"} & set(request.fixturenames):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


@pytest.fixture(scope="session")
def database_name(mongodb: MongoServer) -> Iterator[str]:
    """Yield the name of a database for this test run, which is dropped afterwards."""
    name = f"pydatatask_test_{uuid.uuid4().hex[:12]}"
    yield name
    with pymongo.MongoClient[Any](mongodb.url) as client:
        client.drop_database(name)


@pytest.fixture(params=sorted(CLIENTS))
def kind(request: pytest.FixtureRequest) -> str:
    """Return the kind of client for the test."""
    return str(request.param)


@pytest.fixture
def commands() -> Commands:
    """Return the recorder of the commands of ``client``."""
    return Commands()


@pytest.fixture
async def client(kind: str, mongodb: MongoServer, commands: Commands) -> AsyncIterator[Any]:
    """Yield a client of each kind."""
    client = CLIENTS[kind](mongodb.url, event_listeners=[commands], serverSelectionTimeoutMS=10_000)
    yield client
    await close(client)


@pytest.fixture
def collection(client: Any, database_name: str) -> Any:
    """Return a collection that does not exist yet."""
    return client[database_name][f"jobs_{uuid.uuid4().hex[:12]}"]


@pytest.fixture
def repo(collection: Any) -> MongoMetadataRepository:
    """Return a repository in a collection that does not exist yet."""
    return MongoMetadataRepository(lambda: collection)


@pytest.fixture
async def refused(kind: str, mongodb: MongoServer) -> AsyncIterator[Any]:
    """Yield a client whose credentials are wrong."""
    client = CLIENTS[kind](mongodb.url, username="nobody", password="hunter2")
    yield client
    await close(client)


@pytest.fixture
async def unreachable(kind: str, unused_tcp_port: int) -> AsyncIterator[Any]:
    """Yield a client of a server that does not exist."""
    client = CLIENTS[kind](f"mongodb://127.0.0.1:{unused_tcp_port}", serverSelectionTimeoutMS=50)
    yield client
    await close(client)


@pytest.fixture
async def client_of_its_own(
    kind: str, mongodb_of_its_own: MongoServer, commands: Commands
) -> AsyncIterator[Any]:
    """Yield a client, with short timeouts, of a server that the test may kill."""
    client = CLIENTS[kind](
        mongodb_of_its_own.url,
        event_listeners=[commands],
        serverSelectionTimeoutMS=300,
        socketTimeoutMS=2000,
    )
    yield client
    await close(client)
