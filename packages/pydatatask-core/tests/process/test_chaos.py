"""Nothing is lost and nothing doubled, whatever is killed, whenever.

A few rounds are part of every run of the tests. At length::

    PYDATATASK_CHAOS_ROUNDS=500 ./dev core tests/process/test_chaos.py

``PYDATATASK_CHAOS_SEED`` is the seed of the first round (1 by default; a failure names its own).
"""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from .chaos.attacks import Chaos, DriverServer, tiny_disk
from .chaos.world import ATTEMPTS, OUT_OF_ROOM, STAGES, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUNDS = int(os.environ.get("PYDATATASK_CHAOS_ROUNDS", "3"))
SEED = int(os.environ.get("PYDATATASK_CHAOS_SEED", "1"))
DRIVERS = 6
JOBS = [*(f"good{number}" for number in range(8)), "bad1", "bad22", "flaky1", "flaky22"]


@pytest.fixture(scope="module")
def server() -> Iterator[DriverServer]:
    server = DriverServer()
    yield server
    server.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS))
@pytest.mark.parametrize("kind", ["drivers", "processes", "disk"])
def test_whatever_is_killed(tmp_path: Path, server: DriverServer, seed: int, kind: str) -> None:
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
        result = chaos.live(DRIVERS, [chaos.attack] if kind == "processes" else [])
        check(world, chaos, result)


def check(world: World, chaos: Chaos, result: dict[str, Any]) -> None:
    log = Counter(world.log.read_text().splitlines())
    problems = [
        problem
        for stage in STAGES
        for job in JOBS
        for problem in problems_of(world, chaos, log, stage, job)
    ]
    assert problems == []
    for stage in STAGES:
        assert list((world.root / f"{stage} pids").glob("[!.]*")) == []
    assert world.directories() == []
    assert result["given_up"] == {}
    assert result["usage"] in (None, ["0", "0"])


def problems_of(
    world: World, chaos: Chaos, log: Counter[str], stage: str, job: str
) -> Iterator[str]:
    """Tell what is wrong with a job in a stage."""
    runs, code = world.expected(stage, job)
    began, ended = log[f"begin {stage} {job}"], log[f"finish {stage} {job}"]
    path = world.root / f"{stage} done" / f"{job}.yaml"
    record = yaml.safe_load(path.read_text()) if path.exists() else None
    attacked = {("first", job), (stage, job)} & chaos.attacked
    text = f"{stage} {job}: began {began}, ended {ended}, {record}, attacked: {bool(attacked)}"
    if attacked or chaos.filled:
        if began > ATTEMPTS:
            yield f"too often: {text}"
    elif (began, ended) != (runs, runs):
        yield f"wrong number of runs: {text}"
    if record is None:
        if runs and not attacked and not chaos.filled:
            yield f"no record: {text}"
        return
    if not attacked:
        allowed = {code, OUT_OF_ROOM} if chaos.filled else {code}
        if record.get("lost") or record["return_code"] not in allowed:
            yield f"wrong end: {text}"
    if record["success"]:
        output = world.root / f"{stage} out" / job
        if not output.exists() or output.read_text() != world.output(stage, job):
            yield f"output is not whole: {text}"
