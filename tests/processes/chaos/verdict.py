"""Check that no job was lost or executed twice."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import yaml

from .world import ATTEMPTS, JOBS, OUT_OF_ROOM, STAGES, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .attacks import Chaos

__all__ = ["check"]


def check(world: World, chaos: Chaos, result: dict[str, Any]) -> None:
    """Check that every job has the expected outcome.

    :param world: the folder of the pipeline.
    :param chaos: the faults that were injected.
    :param result: the result of the last driver.
    """
    log = Counter(world.log.read_text().splitlines())
    problems = [
        problem
        for stage in STAGES
        for job in JOBS
        for problem in problems_of(world, chaos, log, stage, job)
    ]
    assert problems == [], problems
    for stage in STAGES:
        assert list((world.root / f"{stage} pids").glob("[!.]*")) == []
    assert world.directories() == []
    assert result["given_up"] == {}
    assert result["usage"] in (None, ["0", "0"])


def problems_of(
    world: World, chaos: Chaos, log: Counter[str], stage: str, job: str
) -> Iterator[str]:
    """Yield the errors of a job in a stage."""
    runs, code = world.expected(stage, job)
    began, ended = log[f"begin {stage} {job}"], log[f"finish {stage} {job}"]
    path = world.root / f"{stage} done" / f"{job}.yaml"
    record = yaml.safe_load(path.read_text()) if path.exists() else None
    attacked = {("first", job), (stage, job)} & chaos.attacked
    text = f"{stage} {job}: began {began}, ended {ended}, {record}, attacked: {bool(attacked)}"
    if attacked or chaos.filled:
        if began > ATTEMPTS:
            yield f"too many runs: {text}"
    elif (began, ended) != (runs, runs):
        yield f"wrong number of runs: {text}"
    if record is None:
        if runs and not attacked and not chaos.filled:
            yield f"no record: {text}"
        return
    if not attacked:
        allowed = {code, OUT_OF_ROOM} if chaos.filled else {code}
        if record.get("lost") or record["return_code"] not in allowed:
            yield f"wrong outcome: {text}"
    output = world.root / f"{stage} out" / job
    if not record["success"]:
        # A driver may die after it publishes the output of a successful job and before it writes
        # the record. If the run directory is removed before the next driver inspects it, the job is
        # recorded as lost, although the published output is complete.
        if output.exists() and not (attacked and output.read_text() == world.output(stage, job)):
            yield f"output of a failed job is published: {text}"
        if not attacked and world.held(stage, job) != record.get("stdout_tail"):
            yield f"output of a failed job is not held: {text}"
    elif not output.exists() or output.read_text() != world.output(stage, job):
        yield f"output is not complete: {text}"
