"""What the tests share: a server of each kind, and a connection."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import blockbuster
import pytest

from pydatatask_ssh import SSHConnection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from services.sshd import SSHServer
    from services.users import User

_NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def _no_blocking_calls_in_the_loop() -> Iterator[None]:
    """Fail a test in which this package, or the core, blocks the event loop."""
    with blockbuster.blockbuster_ctx(
        scanned_modules=["pydatatask_core", "pydatatask_ssh"],
        excluded_modules=["pydatatask_core.testing"],
    ):
        yield


@pytest.fixture(params=["sshd", "asyncssh_server"])
def server(request: pytest.FixtureRequest) -> SSHServer:
    """Give a server of each kind."""
    found: SSHServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def connection(server: SSHServer) -> AsyncIterator[SSHConnection]:
    """Give a connection."""
    async with SSHConnection(**server.login) as connection:
        yield connection


@pytest.fixture
async def of_user(sshd_of_user: SSHServer) -> AsyncIterator[SSHConnection]:
    """Give a connection of an ordinary user, who is another than the one who runs this."""
    async with SSHConnection(**sshd_of_user.login) as connection:
        yield connection


@pytest.fixture
def root(user: User) -> Path:
    """Give a place in which that user may make a folder."""
    return user.home / f"root{next(_NUMBERS)}"
