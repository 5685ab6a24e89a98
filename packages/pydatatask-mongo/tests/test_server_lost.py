"""A server that is killed or hangs while it is in use."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core import FileRepository, InProcessSyncTask, Pipeline, Retries
from pydatatask_core.errors import StoreConnectionError, StoreError, StoreTimeoutError
from pydatatask_mongo import MongoMetadataRepository

if TYPE_CHECKING:
    from pathlib import Path

    from services.mongodb import MongoServer


@pytest.fixture
def jobs(client_of_its_own: Any) -> Any:
    return client_of_its_own["database"]["jobs"]


async def test_a_server_that_hangs_causes_timeouts_until_it_continues(
    jobs: Any, mongodb_of_its_own: MongoServer
) -> None:
    server = mongodb_of_its_own.started
    repo = MongoMetadataRepository(lambda: jobs)
    await repo.dump("job", "old")

    server.freeze()
    try:
        with pytest.raises(StoreTimeoutError, match="read job 'job'"):
            await repo.info("job")
    finally:
        server.thaw()
    assert await until_it_answers(repo) == {"job": "old"}


async def test_a_cancelled_write_ends_when_the_server_has_responded(
    jobs: Any, mongodb_of_its_own: MongoServer, commands: Any
) -> None:
    server = mongodb_of_its_own.started
    repo = MongoMetadataRepository(lambda: jobs)
    for change, value in ((repo.dump("job", "new"), "new"), (repo.delete("job"), {})):
        await repo.dump("job", "old")
        commands.sent.clear()
        server.freeze()
        try:
            task = asyncio.create_task(change)
            while not commands.sent:  # noqa: ASYNC110 - motor records them in a thread
                await asyncio.sleep(0)
            task.cancel()
            for _ in range(100):
                await asyncio.sleep(0)
            assert not task.done()
        finally:
            server.thaw()
        await asyncio.wait({task})
        assert task.cancelled()
        assert await repo.info("job") == value


async def test_a_server_that_is_killed_loses_no_acknowledged_write(
    jobs: Any, mongodb_of_its_own: MongoServer
) -> None:
    server = mongodb_of_its_own.started
    repo = MongoMetadataRepository(lambda: jobs)
    acknowledged: dict[str, Any] = {}
    half, down = asyncio.Event(), asyncio.Event()

    async def write(first: int) -> None:
        for number in range(first, 4000, 8):
            value = {"number": number, "text": "x" * number}
            try:
                await repo.dump(f"j{number}", value)
            except StoreConnectionError:
                down.set()
                return
            acknowledged[f"j{number}"] = value
            if len(acknowledged) == 200:
                half.set()

    async with asyncio.TaskGroup() as group:
        for first in range(8):
            group.create_task(write(first))
        await half.wait()
        await asyncio.to_thread(server.kill)
    assert down.is_set()
    for attempt in (repo.keys(), repo.contains("j1"), repo.info("j1"), repo.dump("j1", 1)):
        with pytest.raises(StoreConnectionError):
            await attempt

    await asyncio.to_thread(server.start)
    found = await until_it_answers(repo)
    assert {job: found.get(job) for job in acknowledged} == acknowledged
    assert all(value["text"] == "x" * value["number"] for value in found.values())
    await repo.dump("after", 1)
    assert await repo.info("after") == 1


async def test_a_pipeline_continues_when_its_server_is_killed_and_restarted(
    jobs: Any, mongodb_of_its_own: MongoServer, tmp_path: Path
) -> None:
    server = mongodb_of_its_own.started
    inputs = MongoMetadataRepository(lambda: jobs, "inputs")
    done = MongoMetadataRepository(lambda: jobs, "done")
    outputs = FileRepository(tmp_path / "outputs", ".txt")
    names = {f"j{number}" for number in range(120)}
    for name in names:
        await inputs.dump(name, {"text": f"the input of {name}"})
    progress, is_back = asyncio.Event(), asyncio.Event()
    runs: list[str] = []

    async def body(job: str, inputs: Any, outputs: Any) -> None:
        runs.append(job)
        if len(runs) == 40:
            progress.set()
        if len(runs) > 40:
            await is_back.wait()
        text = (await inputs.info(job))["text"]
        async with await outputs.open(job, "w") as stream:
            await stream.write(text.upper())

    task = InProcessSyncTask(
        "shout", done, func=body, retries=Retries(20, delay=0.05), concurrency=4
    )
    task.link("inputs", inputs, is_input=True)
    task.link("outputs", outputs, is_output=True)

    async with Pipeline([task]) as pipeline:
        running = asyncio.create_task(pipeline.run(poll=0.05))
        await progress.wait()
        await asyncio.to_thread(server.kill)
        with pytest.raises(StoreConnectionError):
            await done.keys()
        is_back.set()
        await asyncio.to_thread(server.start)
        summary = await running

    assert not summary.failed
    assert {job for job, record in (await done.info_all()).items() if record["success"]} == names
    assert set(await outputs.keys()) == names
    for name in names:
        async with await outputs.open(name, "r") as stream:
            assert await stream.read() == f"THE INPUT OF {name.upper()}"


async def until_it_answers(repo: MongoMetadataRepository) -> dict[str, Any]:
    """Read all values as soon as the client has reconnected to its server."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await repo.info_all()
            except StoreError:
                await asyncio.sleep(0)
