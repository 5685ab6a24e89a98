"""The contents of a run directory affect nothing outside it, and delay no other job.

A few hundred cases run with every test run. For a long run::

PYDATATASK_FUZZ_CASES=2000 ./dev core tests/task/process/test_fuzz.py

``PYDATATASK_FUZZ_SEED`` is the seed of the first round (1 by default; a failure names its own).
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

import pytest
from processes.lab import Lab, until

from pydatatask_core import ResourceManager, Resources
from pydatatask_core.proc_manager.local.backend import LocalBackend
from pydatatask_core.proc_manager.protocol.run_directory import parse_status

from .hostile import (
    ALL,
    REFUSED,
    STREAMS,
    Attack,
    Canary,
    Gate,
    carry_out,
    never_blocked,
    watched_signals,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydatatask_core import ProcessTask
    from pydatatask_core.proc_manager import LaunchSpec, ProcessRun

PHASES = ("before it begins", "while it runs", "after it has ended", "at an adoption")
CASES_PER_ROUND = 24
BYSTANDERS = ("x1", "x2")
CASES = int(os.environ.get("PYDATATASK_FUZZ_CASES", "288"))
SEED = int(os.environ.get("PYDATATASK_FUZZ_SEED", "1"))
ROUNDS = -(-CASES // CASES_PER_ROUND)


class Round:
    """Some jobs whose run directories are attacked in one phase, and other jobs beside them.

    :param lab: the lab to use.
    :param seed: the seed of all random choices.
    :param phase: when the directories are attacked.
    """

    def __init__(self, lab: Lab, seed: int, phase: str) -> None:
        self.lab = lab
        self.phase = phase
        self.dice = random.Random(f"{seed} {phase}")
        # Consecutive rounds go through all combinations of attack and phase.
        first = seed // len(PHASES) * CASES_PER_ROUND
        order = random.Random(phase).sample(ALL, len(ALL))
        chosen = [order[(first + number) % len(ALL)] for number in range(CASES_PER_ROUND)]
        self.attacks = {f"a{number}": attack for number, attack in enumerate(chosen)}
        self.jobs = [*self.attacks, *BYSTANDERS]
        self.canary = Canary(lab.root)
        self.gate = Gate(lab.root / "gate")

    def task(self, lab: Lab) -> ProcessTask:
        """Return the task of a new driver without any state."""
        lab.quota = ResourceManager(Resources.parse(len(self.jobs), len(self.jobs)))
        script = f"cat; echo why >&2; echo {{{{ job }}}} >>LOG; : <{self.gate.path}; echo end"
        return lab.task(script, stdin=lab.inp, stdout=lab.out, stderr=lab.err)

    def attack(self, job: str, place: Path) -> None:
        """Attack the run directory of a job, if the job is one of those under attack."""
        if job in self.attacks:
            carry_out(self.attacks[job], place, self.canary, self.dice)

    def attack_all(self, task: ProcessTask) -> None:
        """Attack the run directories of all jobs."""
        for job in self.attacks:
            self.attack(job, task.runs.new(job).directory)

    async def all_run(self) -> None:
        """Wait until all jobs are running."""

        async def run() -> bool:
            return len(self.lab.lines()) == len(self.jobs)

        await until(run)

    async def all_ended(self) -> None:
        """Wait until the supervisors have written all exit statuses."""

        async def ended() -> bool:
            paths = (self.lab.root / "processes").glob("*/*/*/runs/+journal/*@*")
            codes = [parse_status(path.read_bytes()) for path in paths]
            return len(codes) == len(self.jobs) and None not in codes

        await until(ended)

    async def live(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Run all jobs to completion."""
        await self.lab.add(*self.jobs)
        if self.phase == "before it begins":
            return await self._attack_before_the_start(monkeypatch)
        first = self.task(self.lab)
        if self.phase == "while it runs":
            async with self.lab.pipeline(first) as pipeline:
                await pipeline.update()
                await self.all_run()
                self.attack_all(first)
                self.gate.open()
                await pipeline.run(poll=0.05)
            return None
        for job in self.jobs:
            await first.launch(job)
        await self.all_run()
        first.attach(None)  # the driver dies
        if self.phase == "after it has ended":
            self.gate.open()
            await self.all_ended()
        self.attack_all(first)
        second = self.lab.again()
        async with self.lab.pipeline(self.task(second)) as pipeline:
            self.gate.open()
            await pipeline.run(poll=0.05)
        return None

    async def _attack_before_the_start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        start, done = LocalBackend.start, set[str]()

        async def changed(backend: LocalBackend, run: ProcessRun, spec: LaunchSpec) -> None:
            job = run.directory.name
            if job not in done:
                done.add(job)
                self.attack(job, run.directory)
            await start(backend, run, spec)

        monkeypatch.setattr(LocalBackend, "start", changed)
        self.gate.open()
        await self.lab.run(self.task(self.lab))

    async def check(self) -> None:
        """Check that each job has the expected outcome."""
        lab = self.lab
        self.canary.check(lab.root)
        records = await lab.done.info_all()
        assert records.keys() == set(self.jobs)
        assert await lab.pids.keys() == set()
        for job in BYSTANDERS:
            assert records[job]["success"] is True
            assert await lab.text(lab.out, job) == f"input of {job}\nend\n"
        if self.phase != "before it begins":
            for job, attack in self.attacks.items():
                check_record(attack, records[job])

    def close(self) -> None:
        self.canary.close()
        self.gate.close()


def check_record(attack: Attack, record: Any) -> None:
    """Check the record of a job whose run directory was attacked while it ran, or later."""
    told = f"{attack}: {record}"
    if attack.name in STREAMS and attack.how in REFUSED:
        assert record["success"] is False, told
        assert f"`{attack.name}` is not a regular file any more" in record["reason"], told
    elif attack.name == ".":
        assert record["success"] is False, told
        assert "its run directory" in record["reason"], told
    elif attack.name in (".script", ".stdin", ".status", ".begun"):
        assert record["success"] is True, told


@pytest.fixture
def rounds(lab: Lab) -> Iterator[list[Round]]:
    made: list[Round] = []
    yield made
    for one in made:
        one.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS))
async def test_the_contents_of_a_run_directory_affect_nothing_outside_it(
    lab: Lab, seed: int, rounds: list[Round], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Round(lab, seed, PHASES[seed % len(PHASES)])
    rounds.append(one)
    with watched_signals(one.canary, monkeypatch):
        async with never_blocked():
            await one.live(monkeypatch)
    await one.check()
