"""The contract of process managers, tested on ours and on a minimal one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from processes.plain import PlainManager

from pydatatask_core.proc_manager import LocalLinuxManager
from pydatatask_core.testing import ProcessManagerContract

if TYPE_CHECKING:
    from pathlib import Path


class TestLocal(ProcessManagerContract):
    # Killing one of the two processes of the supervisor loses nothing.
    kill_supervisor = "read -r _ _ _ outer _ </proc/$PPID/stat; kill -KILL $outer $PPID"

    @pytest.fixture
    async def manager(self, tmp_path: Path) -> LocalLinuxManager:
        manager = LocalLinuxManager("contract", tmp_path / "root")
        await manager.validate()
        return manager

    async def restart(self, manager: Any) -> LocalLinuxManager:
        return LocalLinuxManager(manager.app, manager.local_path)


class TestLocalWithoutDescriptorsOfProcesses(TestLocal):
    """Old kernels do not have pidfds, and any process may run out of descriptors."""

    @pytest.fixture(autouse=True)
    def _no_descriptors(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(pid: int, flags: int = 0) -> int:
            raise OSError(38, "Function not implemented")

        monkeypatch.setattr(os, "pidfd_open", refuse)


class TestPlain(ProcessManagerContract):
    """A manager that implements only the documented methods works as well."""

    restarts = waits_for_session = False

    @pytest.fixture
    async def manager(self, tmp_path: Path) -> PlainManager:
        manager = PlainManager(tmp_path / "root")
        await manager.backend.validate()
        return manager
