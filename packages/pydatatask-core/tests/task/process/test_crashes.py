"""A driver may die at any point without losing a job, repeating a job or leaving files behind."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from processes.chaos.points import WatchedBlobs, WatchedManager, WatchedMetadata
from processes.lab import Lab

from pydatatask_core import FileRepository, Retries

from .freezer import Freezer

if TYPE_CHECKING:
    from pathlib import Path

    from pydatatask_core import ProcessTask

LONG = 200_000
"""More bytes than one copy operation handles."""

TWICE = Retries(1, delay=0.01)

SCENARIOS: dict[str, dict[str, Any]] = {
    "success": {"template": "echo ran >>LOG; cat; echo end", "runs": 1},
    "failure": {"template": "echo ran >>LOG; cat; echo end; exit 3", "runs": 1, "code": 3},
    "retry": {
        "template": "echo ran >>LOG; cat; echo end; [ $(wc -l <LOG) = 2 ]",
        "runs": 2,
        "attempt": 2,
        "retries": TWICE,
    },
    "two failures": {
        "template": "echo ran >>LOG; cat; echo end; exit 3",
        "runs": 2,
        "attempt": 2,
        "retries": TWICE,
        "code": 3,
    },
    "long failure": {
        "template": "echo ran >>LOG; cat; echo end; exit 3",
        "runs": 1,
        "code": 3,
        "size": LONG,
    },
    "failure without done": {
        "template": "echo ran >>LOG; cat; echo end; exit 3",
        "runs": None,
        "code": 3,
        "done": None,
    },
    "output left out": {
        "template": "echo ran >>LOG; cat; echo end",
        "runs": 1,
        "code": 0,
        "data": False,
    },
    "output left out at first": {
        "template": "echo ran >>LOG; cat; echo end; [ $(wc -l <LOG) = 1 ] || "
        "{ mkdir -p $(dirname {{ data }}); touch {{ data }}; }",
        "runs": 2,
        "attempt": 2,
        "retries": TWICE,
        "data": True,
    },
    "long streams": {"template": "echo ran >>LOG; cat; echo end", "runs": 1, "size": LONG},
    "no done": {"template": "echo ran >>LOG; cat; echo end", "runs": 1, "done": None},
}


class FreezingLab(Lab):
    """A lab whose driver dies.

    :param root: the directory.
    :param freezer: the point at which the driver dies.
    """

    def __init__(self, root: Path, freezer: Freezer) -> None:
        super().__init__(root)
        self.pids = pids = WatchedMetadata(root / "pids")
        self.done = done = WatchedMetadata(root / "done")
        self.out = out = WatchedBlobs(root / "out")
        for repo in (pids, done, out):
            repo.passage = freezer
        self.manager = WatchedManager("lab", root / "processes", freezer)


def make_task(lab: Lab, scenario: dict[str, Any]) -> ProcessTask:
    options: dict[str, Any] = {"done": None} if "done" in scenario else {}
    task = lab.task(
        scenario["template"],
        stdin=lab.inp,
        stdout=lab.out,
        retries=scenario.get("retries", 0),
        **options,
    )
    if "data" in scenario:
        task.link("data", FileRepository(lab.root / "data"), is_output=True)
    return task


async def drive_until_frozen(root: Path, scenario: dict[str, Any], at: int) -> list[str] | None:
    """Run a driver that dies at a point; return None if it never reaches the point."""
    freezer = Freezer(at)
    lab = FreezingLab(root, freezer)
    task = make_task(lab, scenario)

    async def drive() -> None:
        await task.launch("a")
        await lab.quiet(task)

    driver = asyncio.create_task(drive())
    frozen = asyncio.create_task(freezer.frozen.wait())
    await asyncio.wait([driver, frozen], return_when=asyncio.FIRST_COMPLETED)
    reached = freezer.frozen.is_set()
    freezer.end()
    task.attach(None)
    for one in (driver, frozen):
        one.cancel()
        with contextlib.suppress(BaseException):
            await one
    return freezer.passed if reached else None


async def recover(lab: Lab, scenario: dict[str, Any]) -> None:
    task = make_task(lab, scenario)
    lab.pipelines.append(lab.pipeline(task))
    async with lab.pipelines[0] as pipeline:
        await pipeline.run(poll=0.05, timeout=30)


async def check(lab: Lab, scenario: dict[str, Any], point: str) -> None:
    if scenario["runs"] is None:  # no trace shows the next driver that the job has run
        assert lab.lines() in (["ran"], ["ran"] * 2), point
    else:
        assert lab.lines() == ["ran"] * scenario["runs"], point
    if scenario.get("done", ...) is not None:
        record = await lab.done.info("a")
        assert record["return_code"] == scenario.get("code", 0), (point, record)
        assert record["attempt"] == scenario.get("attempt", 1), (point, record)
        assert "lost" not in record, (point, record)
        assert record["success"] is ("code" not in scenario), (point, record)
        assert ("missing_outputs" in record) is (not scenario.get("data", True)), (point, record)
    output = "x" * scenario.get("size", 5) + "end\n"
    if "code" in scenario:
        assert await lab.out.keys() == set(), point
        assert lab.held() == {"a": {".stdout": output}}, point
        if scenario.get("done", ...) is not None:
            assert record["stdout_tail"] == output[-65536:], point
    else:
        assert await lab.text(lab.out) == output, point
        assert lab.held() == {}, point
    assert lab.empty(), (point, lab.directories())


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_driver_may_die_at_any_point(tmp_path: Path, name: str) -> None:
    """T4: before and after every request to a store or to the target."""
    scenario, at = SCENARIOS[name], 0
    while True:
        at += 1
        lab = Lab(tmp_path / str(at))
        lab.root.mkdir()
        await lab.add("a", content="x" * scenario.get("size", 5))
        passed = await drive_until_frozen(lab.root, scenario, at)
        if passed is None:
            break
        await recover(lab, scenario)
        await check(lab, scenario, passed[-1])
    assert at > 15
