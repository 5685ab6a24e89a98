"""Jobs over SSH are neither lost nor run twice, for any kill or disconnect at any time.

For a long run set ``PYDATATASK_CHAOS_ROUNDS=100``; see the tests of local processes.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from processes.chaos.attacks import Chaos, DriverServer, tiny_disk
from processes.chaos.verdict import check
from processes.chaos.world import JOBS, World

from pydatatask_core.proc_manager.protocol.identity import parse_identity

from .disconnect import cut
from .labs import journal_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.sshd import SSHServer

ROUNDS = int(os.environ.get("PYDATATASK_CHAOS_ROUNDS", "1"))
SEED = int(os.environ.get("PYDATATASK_CHAOS_SEED", "1"))
DRIVERS = 4


@pytest.fixture(autouse=True)
def _identities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let attacks find processes by the journals of this backend."""

    def identity(directory: Path) -> Any:
        try:
            return parse_identity(journal_of(directory).read_bytes())
        except OSError:
            return None

    monkeypatch.setattr("processes.chaos.attacks._identity", identity)


@pytest.fixture(scope="module")
def drivers(sshd: SSHServer) -> Iterator[DriverServer]:
    server = DriverServer(Path(__file__).with_name("chaos_manager.py"), login=sshd.login)
    yield server
    server.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS))
@pytest.mark.parametrize("kind", ["drivers", "processes", "connections", "disk"])
def test_no_kill_or_disconnect_loses_or_repeats_a_job(
    tmp_path: Path, sshd: SSHServer, drivers: DriverServer, seed: int, kind: str
) -> None:
    world = World(tmp_path / "world")
    world.populate(JOBS)
    chaos = Chaos(world, random.Random(f"{kind} {seed}"), drivers)
    if kind == "disk":
        with tiny_disk(world.processes) as is_tiny:
            if not is_tiny:
                pytest.skip("needs to mount a file system")
            check(world, chaos, chaos.live(DRIVERS, [chaos.fill]))
        return
    events = {"processes": [chaos.attack], "connections": [lambda: cut(sshd)]}
    check(world, chaos, chaos.live(DRIVERS, events.get(kind, [])))
