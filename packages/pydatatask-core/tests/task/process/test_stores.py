"""Stores and targets that fail, are slow, or receive much data."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from processes.lab import until

from pydatatask_core import (
    FileRepository,
    InProcessBlobRepository,
    ResourceManager,
    Resources,
    YamlMetadataFileRepository,
)
from pydatatask_core.errors import ProcessManagerError, StoreConnectionError
from pydatatask_core.task.detached import task as detached

if TYPE_CHECKING:
    from collections.abc import Callable

    from processes.lab import Lab


class Moody:
    """Makes the methods of a repository fail or wait on request.

    :param refuses: whether to fail.
    """

    def __init__(self, refuses: bool = False) -> None:
        self.refuses = refuses
        self.refused = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def pass_by(self, repo: object) -> None:
        await self.gate.wait()
        if self.refuses:
            self.refused += 1
            raise StoreConnectionError("reach the store", repo, "no route to host")


class MoodyMetadata(YamlMetadataFileRepository):
    mood: Moody

    async def dump(self, job: str, data: Any) -> None:
        await self.mood.pass_by(self)
        await super().dump(job, data)

    async def delete(self, job: str) -> None:
        await self.mood.pass_by(self)
        await super().delete(job)


class MoodyBlobs(FileRepository):
    mood: Moody

    async def open(self, job: str, mode: Any = "r") -> Any:
        await self.mood.pass_by(self)
        return await super().open(job, mode)


@pytest.fixture
def mood(lab: Lab, request: pytest.FixtureRequest) -> Moody:
    """Wrap the repository of the lab that the test is parametrized with."""
    mood = Moody()
    name = request.param
    kind = MoodyBlobs if name == "out" else MoodyMetadata
    repo = kind(lab.root / name)
    repo.mood = mood
    setattr(lab, name, repo)
    return mood


SCRIPT = "echo ran >>LOG; WAIT; echo end"


@pytest.mark.parametrize("mood", ["pids", "done", "out"], indirect=True)
async def test_a_store_that_cannot_be_written_loses_nothing(
    lab: Lab, mood: Moody, caplog: Any
) -> None:
    await lab.add("a")
    task = lab.task(SCRIPT, stdout=lab.out)
    async with lab.pipeline(task) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=0.05))
        await lab.logged()
        with caplog.at_level(logging.ERROR):
            mood.refuses = True
            lab.go.touch()
            await until(lambda: _refused(mood, 2))
        assert task.running == {"a"}
        assert len(lab.directories()) == 1
        assert await lab.pids.keys() == {"a"}
        assert "no route to host" in caplog.text
        assert not run.done()
        mood.refuses = False
        await run
    assert (await lab.done.info("a"))["success"] is True
    assert await lab.text(lab.out) == "end\n"
    assert lab.lines() == ["ran"]
    assert lab.empty()


async def _refused(mood: Moody, times: int) -> bool:
    return mood.refused >= times


@pytest.mark.parametrize("mood", ["pids"], indirect=True)
async def test_a_job_that_cannot_be_recorded_is_not_launched(lab: Lab, mood: Moody) -> None:
    await lab.add("a")
    mood.refuses = True
    task = lab.task("echo ran >>LOG")
    with pytest.raises(StoreConnectionError):
        await task.launch("a")
    assert lab.lines() == []
    assert task.waiting == {"a"}, "it is unknown whether it has a record"
    mood.refuses = False
    await lab.run(task)
    assert lab.lines() == ["ran"]
    assert lab.empty()


@pytest.mark.parametrize("mood", ["out"], indirect=True)
async def test_a_store_that_is_slow_for_one_job_does_not_delay_others(
    lab: Lab, mood: Moody
) -> None:
    await lab.add(*(f"job{number}" for number in range(10)))
    slow = lab.task("echo {{ job }}", "slow", stdout=lab.out)
    fast = lab.task(
        "echo ran >>LOG",
        "fast",
        pids=YamlMetadataFileRepository(lab.root / "pids2"),
        done=YamlMetadataFileRepository(lab.root / "done2"),
    )
    mood.gate.clear()
    async with lab.pipeline(slow, fast) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=0.05))
        await until(lambda: _as_many(lambda: len(slow.running) + len(lab.lines()), 20))
        assert not run.done()
        mood.gate.set()
        await run
    assert len(await lab.out.keys()) == 10
    assert lab.empty()


async def _as_many(count: Callable[[], int], number: int) -> bool:
    return count() >= number


@pytest.mark.parametrize("mood", ["done"], indirect=True)
async def test_launching_stops_while_outcomes_cannot_be_recorded(
    lab: Lab, mood: Moody, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detached, "MAX_PENDING_RECORDS", 3)
    await lab.add(*(f"job{number:02d}" for number in range(20)))
    mood.gate.clear()
    task = lab.task("echo ran >>LOG")
    async with lab.pipeline(task) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=0.02))
        await until(lambda: _as_many(lambda: len(lab.lines()), 3))
        for _ in range(10):
            await pipeline_turn()
        assert len(lab.lines()) <= 3 + 4  # jobs that were running when the failure was noticed
        mood.gate.set()
        await run
    assert len(lab.lines()) == 20
    assert lab.empty()


async def pipeline_turn() -> None:
    await asyncio.sleep(0.02)


@pytest.mark.parametrize("mood", ["done", "out"], indirect=True)
@pytest.mark.parametrize("limit", ["quota", "concurrency"])
async def test_the_next_job_starts_before_the_last_one_is_recorded(
    lab: Lab, mood: Moody, limit: str
) -> None:
    await lab.add("a", "b")
    options: dict[str, Any] = {"concurrency": 1}
    if limit == "quota":
        options = {"quota": ResourceManager(Resources.parse(1, 1))}
    task = lab.task("echo ran >>LOG; WAIT", stdout=lab.out, **options)
    mood.gate.clear()
    async with lab.pipeline(task) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=3600))
        await lab.logged()
        lab.go.touch()
        await until(lambda: _as_many(lambda: len(lab.lines()), 2))
        assert await lab.done.keys() == set()
        assert not run.done()
        mood.gate.set()
        await run
    assert await lab.done.keys() == {"a", "b"}
    assert lab.empty()


async def test_large_outputs_are_copied_in_bounded_memory(lab: Lab) -> None:
    class Counting(InProcessBlobRepository):
        async def open(self, job: str, mode: Any = "r") -> Any:
            stream = await super().open(job, mode)
            written = 0

            async def write(data: bytes) -> None:
                nonlocal written
                written += len(data)
                self.data[job] = written

            stream.write = write
            stream.close = _nothing
            return stream

    size = 200 * 2**20
    out = Counting()
    await lab.add("a")
    tracemalloc.start()
    try:
        await lab.run(lab.task(f"head -c {size} /dev/zero", stdout=out))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert out.data["a"] == size
    assert peak < 16 * 2**20


async def _nothing() -> None:
    return


@pytest.mark.timeout(240)  # tracing is slow
async def test_memory_does_not_grow_with_finished_jobs(lab: Lab) -> None:
    await lab.inp.validate()
    task = lab.task("true", stdout=lab.out)
    async with lab.pipeline(task) as pipeline:

        async def batch(number: int) -> int:
            await lab.add(*(f"b{number}j{i}" for i in range(25)))
            await pipeline.run(poll=0.05)
            for repo in (lab.inp, lab.out, lab.done):
                for job in await repo.keys():
                    await repo.delete(job)
            gc.collect()  # garbage that is not collected yet does not count
            # Other tests may have left threads behind that allocate objects.
            ours = tracemalloc.Filter(True, "*/pydatatask_core/*", all_frames=True)
            traces = tracemalloc.take_snapshot().filter_traces([ours]).traces
            return sum(trace.size for trace in traces)

        tracemalloc.start(3)
        try:
            sizes = [await batch(number) for number in range(4)]
        finally:
            tracemalloc.stop()
    # PyYAML's C emitter leaks about 90 bytes for every datetime that it writes.
    assert sizes[-1] - sizes[1] < 50 * 400  # bytes for each job in between


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to mount a file system")
async def test_a_full_disk_is_a_temporary_error(lab: Lab) -> None:
    root = lab.root / "processes"
    root.mkdir()
    await _command("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(root))
    try:
        await lab.add("a")
        task = lab.task("echo ran >>LOG; echo out", stdout=lab.out)
        await task.validate()
        ballast = root / "ballast"
        with pytest.raises(OSError, match="No space left"):
            ballast.write_bytes(b"x" * 2**17)
        with pytest.raises(ProcessManagerError, match=r"create the run directory .*No space left"):
            await task.launch("a")
        assert not task.running
        assert await lab.pids.keys() == set()
        ballast.unlink()
        await lab.run(task)
        assert lab.lines() == ["ran"]
        assert lab.empty()
    finally:
        await _command("umount", str(root))


async def _command(*args: str) -> None:
    process = await asyncio.create_subprocess_exec(*args)
    assert await process.wait() == 0
