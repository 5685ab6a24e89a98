"""What the tests share: a server of each kind, and a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import blockbuster
import pytest

from pydatatask_ssh import SSHConnection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from services.sshd import SSHServer


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
