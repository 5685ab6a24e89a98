"""S3 servers: a real one that stores its objects on disk, and moto's simulated one."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from .finding import free_port, unavailable, used
from .server import Program, Server
from .versitygw.build import VERSITYGW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["S3Server"]

VARIABLE = "PYDATATASK_TEST_MINIO_"
"""Prefix of the variables ENDPOINT, USERNAME and PASSWORD, which select an existing server."""

HINT = (
    f"{VARIABLE}ENDPOINT is not set, versitygw is not on PATH, and it is not built (run python "
    "tests/services/versitygw/build.py once; it takes some minutes)"
)


@dataclass(frozen=True)
class S3Server:
    """A server that implements the S3 protocol.

    :param endpoint: its URL.
    :param user: the access key.
    :param password: the secret key.
    :param what: the name of the server.
    :param checks_credentials: whether the server checks credentials; moto's does not.
    """

    endpoint: str
    user: str
    password: str
    what: str
    checks_credentials: bool = True

    @property
    def port(self) -> int:
        """The port on which the server listens."""
        parts = urlsplit(self.endpoint)
        return parts.port or (443 if parts.scheme == "https" else 80)


@pytest.fixture(scope="session")
def s3_real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Yield a real server shared by the whole run; tests create and delete their own buckets."""
    endpoint = os.environ.get(f"{VARIABLE}ENDPOINT")
    if endpoint:
        user = os.environ.get(f"{VARIABLE}USERNAME", "minioadmin")
        password = os.environ.get(f"{VARIABLE}PASSWORD", "minioadmin")
        used("S3", f"{VARIABLE}ENDPOINT ({urlsplit(endpoint).hostname})")
        yield S3Server(endpoint, user, password, VARIABLE)
        return
    program = shutil.which("versitygw") or VERSITYGW.built
    if program is None:
        unavailable("S3", HINT)
    port, folder = free_port(), tmp_path_factory.mktemp("s3")
    user, password = "tester", "testing-secret"
    with _versitygw(str(program), port, folder, user, password):
        used("S3", f"versitygw, {program}")
        yield S3Server(f"http://127.0.0.1:{port}", user, password, "versitygw")


@pytest.fixture(scope="session")
def s3_moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Yield moto's server, shared by the whole run."""
    if importlib.util.find_spec("moto") is None:
        unavailable("S3 of moto", "moto[server] is not installed")
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "--host=127.0.0.1", f"--port={port}"]
    with Program(port, command, tmp_path_factory.mktemp("moto") / "log"):
        yield S3Server(f"http://127.0.0.1:{port}", "moto", "moto", "moto", checks_credentials=False)


def _versitygw(program: str, port: int, folder: Path, user: str, password: str) -> Server:
    data = folder / "data"
    data.mkdir()
    options = [
        f"--port=127.0.0.1:{port}",
        f"--access={user}",
        f"--secret={password}",
        "--quiet",
        "--keep-alive",
    ]
    return Program(port, [program, *options, "posix", str(data)], folder / "log")
