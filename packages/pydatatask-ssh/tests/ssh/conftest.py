"""Shared fixtures: a server of each kind, and a connection."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from services.blocking import no_blocking_calls

from pydatatask_ssh import SSHConnection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from services.sshd import SSHServer
    from services.users import User

_NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def _no_blocking_calls_in_the_loop() -> Iterator[None]:
    """Fail a test in which this package or core blocks the event loop."""
    with no_blocking_calls("pydatatask_ssh"):
        yield


@pytest.fixture(params=["sshd", "asyncssh_server"])
def server(request: pytest.FixtureRequest) -> SSHServer:
    """Return a server of each kind."""
    found: SSHServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def connection(server: SSHServer) -> AsyncIterator[SSHConnection]:
    """Yield a connection."""
    async with SSHConnection(**server.login) as connection:
        yield connection


@pytest.fixture
async def of_user(sshd_of_user: SSHServer) -> AsyncIterator[SSHConnection]:
    """Yield a connection as an ordinary user, not the one that runs the tests."""
    async with SSHConnection(**sshd_of_user.login) as connection:
        yield connection


@pytest.fixture
def root(user: User) -> Path:
    """Return a directory in which that user may create directories."""
    return user.home / f"root{next(_NUMBERS)}"
