"""The contract of process managers: over sshd, the test server, and as an ordinary user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.testing import ProcessManagerContract
from pydatatask_ssh import SSHLinuxManager

if TYPE_CHECKING:
    from pathlib import Path

    from pydatatask_ssh import SSHConnection


class TestSSH(ProcessManagerContract):
    waits_for_session = False

    @pytest.fixture
    async def manager(self, connection: SSHConnection, tmp_path: Path) -> SSHLinuxManager:
        manager = SSHLinuxManager("contract", lambda: connection, tmp_path / "root")
        await manager.validate()
        return manager

    async def restart(self, manager: Any) -> SSHLinuxManager:
        return SSHLinuxManager(manager.app, manager.session.ssh, manager.remote_path)


class TestSSHAsOrdinaryUser(TestSSH):
    @pytest.fixture
    async def manager(self, of_user: SSHConnection, root: Path) -> SSHLinuxManager:
        manager = SSHLinuxManager("contract", lambda: of_user, root)
        await manager.validate()
        return manager
