"""S3: a real server that keeps its objects on the disk, and moto's as the embedded stand-in."""

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
"""What the names of the variables begin with that name a server; ENDPOINT, USERNAME, PASSWORD."""

HINT = (
    f"{VARIABLE}ENDPOINT is not set, there is no versitygw on PATH, and it is not built (python "
    "tests/services/versitygw/build.py does that once, in some minutes)"
)


@dataclass(frozen=True)
class S3Server:
    """A server that speaks S3's protocol.

    :param endpoint: its URL.
    :param user: the access key.
    :param password: the secret key.
    :param what: what it is.
    :param checks_credentials: whether it looks at them, unlike moto's.
    """

    endpoint: str
    user: str
    password: str
    what: str
    checks_credentials: bool = True

    @property
    def port(self) -> int:
        """The port that it listens on."""
        parts = urlsplit(self.endpoint)
        return parts.port or (443 if parts.scheme == "https" else 80)


@pytest.fixture(scope="session")
def s3_real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Give a real server for the whole run; use buckets of your own in it, and delete them."""
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
    """Give moto's server for the whole run."""
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
