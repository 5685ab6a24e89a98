"""The process manager of drivers that die at any point: see ``processes.chaos.driver``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processes.chaos.points import watched_backend

import pydatatask_ssh.manager  # noqa: F401 - import it once, before forking
from pydatatask_core import Session
from pydatatask_ssh import SSHConnection, SSHLinuxManager
from pydatatask_ssh.backend import SSHBackend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from processes.chaos.points import Passage
    from processes.chaos.world import World


class WatchedSSHManager(SSHLinuxManager):
    """A manager whose backend reports each of its operations."""

    passage: Passage

    @property
    def backend(self) -> Any:
        if self._backend is None:
            self._backend = watched_backend(SSHBackend)(self)
            vars(self._backend)["passage"] = self.passage
        return self._backend


def manager(
    world: World, passage: Passage, login: dict[str, Any]
) -> tuple[Callable[[], SSHLinuxManager], Session]:
    """Return a manager over a connection that reconnects when it breaks."""
    session = Session()

    @session.resource
    async def ssh() -> AsyncIterator[SSHConnection]:
        async with SSHConnection(**login) as connection:
            yield connection

    found = WatchedSSHManager("chaos", ssh, world.processes)
    found.passage = passage
    return lambda: found, session
