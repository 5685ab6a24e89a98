"""Jobs are neither lost nor run twice, for any process killed at any time.

A few rounds run with every test run. For a long run::

PYDATATASK_CHAOS_ROUNDS=500 ./dev core tests/task/process/test_chaos.py

``PYDATATASK_CHAOS_SEED`` is the seed of the first round (1 by default; a failure names its own).
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest
from processes.chaos.attacks import Chaos, DriverServer, tiny_disk
from processes.chaos.verdict import check
from processes.chaos.world import JOBS, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUNDS = int(os.environ.get("PYDATATASK_CHAOS_ROUNDS", "3"))
SEED = int(os.environ.get("PYDATATASK_CHAOS_SEED", "1"))
DRIVERS = 6


@pytest.fixture(scope="module")
def server() -> Iterator[DriverServer]:
    server = DriverServer()
    yield server
    server.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS))
@pytest.mark.parametrize("kind", ["drivers", "processes", "supervisors", "disk"])
def test_no_kill_loses_or_repeats_a_job(
    tmp_path: Path, server: DriverServer, seed: int, kind: str
) -> None:
    """T4: drivers, supervisors and processes are killed at random."""
    world = World(tmp_path / "world")
    world.populate(JOBS)
    chaos = Chaos(world, random.Random(f"{kind} {seed}"), server)
    if kind == "disk":
        with tiny_disk(world.processes) as is_tiny:
            if not is_tiny:
                pytest.skip("needs to mount a file system")
            result = chaos.live(DRIVERS, [chaos.fill])
            check(world, chaos, result)
    else:
        events = {"processes": [chaos.attack], "supervisors": [chaos.attack_supervisor]}
        result = chaos.live(DRIVERS, events.get(kind, []))
        check(world, chaos, result)
