"""MongoDB servers: mongod, or FerretDB, which implements the same protocol."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from .ferretdb.build import FERRETDB
from .finding import docker, free_port, unavailable, used
from .server import Container, Program, Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["MongoServer"]

VARIABLE = "PYDATATASK_TEST_MONGODB_URL"
IMAGE = "mongo:7"
HINT = (
    f"{VARIABLE} is not set, mongod is not on PATH, FerretDB is not built (run python "
    "tests/services/ferretdb/build.py once; it takes some minutes), and Docker does not respond"
)


@dataclass(frozen=True)
class MongoServer:
    """A server that implements MongoDB's protocol."""

    url: str
    what: str
    process: Server | None = None

    @property
    def started(self) -> Server:
        """The server process, which a test can kill and restart."""
        assert self.process is not None
        return self.process


@pytest.fixture(scope="session")
def mongodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    """Yield a server shared by the whole run; tests create and drop databases of their own."""
    url = os.environ.get(VARIABLE)
    if url:
        used("MongoDB", f"{VARIABLE} ({urlsplit(url).hostname})")
        yield MongoServer(url, VARIABLE)
        return
    server = _ours(tmp_path_factory.mktemp("mongodb"))
    with server.started:
        used("MongoDB", server.what)
        yield server


@pytest.fixture
def mongodb_of_its_own(tmp_path: Path) -> Iterator[MongoServer]:
    """Yield a server used by a single test, which may kill it."""
    folder = tmp_path / "mongodb"
    folder.mkdir()
    server = _ours(folder)
    with server.started:
        yield server


def _ours(folder: Path) -> MongoServer:
    port = free_port()
    data = folder / "data"
    data.mkdir()
    server: Server
    if mongod := shutil.which("mongod"):
        options = ("--bind_ip=127.0.0.1", f"--port={port}", f"--dbpath={data}")
        server, what = Program(port, [mongod, *options], folder / "log"), mongod
    elif ferretdb := FERRETDB.built:
        command = [str(ferretdb), f"127.0.0.1:{port}", str(data)]
        server, what = Program(port, command, folder / "log"), f"FerretDB, {ferretdb}"
    elif engine := docker():
        server = Container(port, engine, [f"--publish=127.0.0.1:{port}:27017", IMAGE])
        what = f"Docker's {IMAGE}"
    else:
        unavailable("MongoDB", HINT)
    return MongoServer(f"mongodb://127.0.0.1:{port}", what, server)
