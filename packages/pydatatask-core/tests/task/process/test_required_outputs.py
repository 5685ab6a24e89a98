"""Law T6 for processes: a job whose script succeeds without writing an output has failed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from processes.plain import PlainManager

from pydatatask_core import (
    STDOUT,
    FileRepository,
    InProcessMetadataRepository,
    InProcessSyncTask,
    ResourceManager,
    Resources,
    Retries,
)
from pydatatask_core.errors import StoreConnectionError, StorePermissionError
from pydatatask_core.task import required_outputs
from pydatatask_core.task.detached import task as detached

if TYPE_CHECKING:
    from processes.lab import Lab

FAR = 3600.0
REASON = "succeeded without writing its output `data`"
WRITE = "test {{ job }} = b || echo data >{{ data }}"


class Remote(FileRepository):
    """A file repository that is used like one on a server: only by listings.

    :param problem: the exception that a listing raises.
    """

    looks_up_locally = False
    problem: Exception | None = None
    listings = 0

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.go = asyncio.Event()
        self.go.set()

    async def contains(self, item: str) -> bool:
        raise AssertionError("there must not be a request for each job")

    async def keys(self) -> frozenset[str]:
        self.listings += 1
        await self.go.wait()
        if self.problem is not None:
            raise self.problem
        return await super().keys()


@pytest.fixture(params=["local", "plain"])
def lab(lab: Lab, request: pytest.FixtureRequest) -> Lab:
    """Run the tests also with a manager that has only the documented methods."""
    if request.param == "plain":
        lab.manager = PlainManager(lab.root / "processes")
    return lab


async def linked(lab: Lab, script: str, repo: Any = None, **options: Any) -> Any:
    """Create a task with an output that its script writes itself."""
    link = options.pop("link", {})
    repo = FileRepository(lab.root / "data") if repo is None else repo
    task = lab.task(script, **options)
    task.link("data", repo, is_output=True, **link)
    await lab.add("a", "b")
    return task


async def test_a_script_that_does_not_write_its_output_has_failed(lab: Lab) -> None:
    task = await linked(lab, "echo told >&2; " + WRITE)
    after: list[str] = []

    async def note(job: str) -> None:
        after.append(job)

    following = InProcessSyncTask("after", InProcessMetadataRepository(), func=note)
    following.plug(task)
    summary = await lab.run(task, following)  # type: ignore[arg-type]
    assert summary.failed == {"task": ["b"]}
    record = await lab.done.info("b")
    assert record["success"] is False
    assert record["return_code"] == 0
    assert record["reason"].startswith(REASON)
    assert record["missing_outputs"] == ["data"]
    assert record["stderr_tail"] == "told\n"
    assert (await lab.done.info("a"))["success"] is True
    assert after == ["a"]
    assert lab.empty()


async def test_an_optional_output_may_be_missing(lab: Lab) -> None:
    task = await linked(lab, WRITE, link={"optional": True})
    assert (await lab.run(task)).failed == {}
    assert (await lab.done.info("b"))["success"] is True


@pytest.mark.parametrize("interleaved", [False, True])
async def test_streams_written_by_the_driver_count_as_written(lab: Lab, interleaved: bool) -> None:
    stderr: Any = STDOUT if interleaved else lab.err
    await lab.add("a")
    assert (await lab.run(lab.task("true", stdout=lab.out, stderr=stderr))).failed == {}
    assert await lab.text(lab.out) == ""


async def test_a_missing_output_is_retried_like_any_other_failure(lab: Lab) -> None:
    script = "echo {{ job }} >>LOG; test $(grep -c {{ job }} LOG) = 1 || echo data >{{ data }}"
    task = await linked(lab, script, retries=Retries(2, delay=0.01))
    assert (await lab.run(task)).failed == {}
    assert (await lab.done.info("b"))["attempt"] == 2
    assert lab.lines() == ["a", "a", "b", "b"]


async def test_a_missing_output_is_a_failure_in_synchronous_mode(lab: Lab) -> None:
    task = await linked(lab, WRITE)
    async with lab.pipeline(task) as pipeline:
        pipeline.settings(synchronous=True)
        await task.launch("b")
    assert (await lab.done.info("b"))["reason"].startswith(REASON)
    assert lab.empty()


async def test_a_store_on_a_server_is_listed_once_for_many_jobs(lab: Lab) -> None:
    out = Remote(lab.root / "data")
    lab.quota = ResourceManager(Resources.parse(8, 8))
    task = await linked(lab, WRITE, out)
    jobs = set("abcdefg")
    await lab.add(*jobs)
    out.go.clear()
    async with lab.pipeline(task) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=0.05))
        while task.output_check.checking != jobs:  # noqa: ASYNC110 - no event to wait for
            await asyncio.sleep(0.01)
        out.go.set()
        assert (await run).failed == {"task": ["b"]}
    assert out.listings == 2  # one for the first job that ended, one for all others


async def test_an_outcome_stays_pending_while_the_outputs_cannot_be_listed(lab: Lab) -> None:
    out = Remote(lab.root / "data")
    out.problem = StoreConnectionError("list", out, "down")
    task = await linked(lab, WRITE, out)
    async with lab.pipeline(task) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=0.05))
        while out.listings < 3:  # noqa: ASYNC110 - no event to wait for
            await asyncio.sleep(0.01)
        assert await lab.done.keys() == set()
        assert await lab.pids.keys() == {"a", "b"}
        out.problem = None
        assert (await run).failed == {"task": ["b"]}
    assert lab.empty()


async def test_an_outcome_that_was_not_checked_is_checked_by_the_next_driver(lab: Lab) -> None:
    out = Remote(lab.root / "data")
    out.problem = StoreConnectionError("list", out, "down")
    task = await linked(lab, WRITE, out)
    async with lab.pipeline(task) as pipeline:
        await pipeline.update()
        while out.listings < 2:
            await task.update()
            await asyncio.sleep(0.01)
    later = lab.again()
    task = later.task(WRITE, manager=lambda: lab.manager)
    task.link("data", FileRepository(lab.root / "data"), is_output=True)
    assert (await later.run(task)).failed == {"task": ["b"]}
    assert (await lab.done.info("a"))["success"] is True
    assert later.empty()


async def test_an_output_that_may_not_be_listed_is_left_unchecked(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    out = Remote(lab.root / "data")
    out.problem = StorePermissionError("list", out, "denied")
    assert (await lab.run(await linked(lab, WRITE, out))).failed == {}
    told = [r.getMessage() for r in caplog.records if "not checked" in r.getMessage()]
    assert len(told) == 1
    assert "task: " in told[0]
    assert "Remote" in told[0]


class Shared(FileRepository):
    """A repository on a file system where writes of other machines may become visible late."""

    async def visibility_delay(self) -> float:
        return FAR


async def test_jobs_waiting_for_an_output_do_not_delay_others(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(required_outputs, "MAX_LOOK_INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(detached, "MAX_PENDING_RECORDS", 1)
    out = Shared(lab.root / "data")
    script = "test {{ job }} = z && touch $(dirname {{ data }})/a $(dirname {{ data }})/z || true"
    task = await linked(lab, script, out, concurrency=1)
    await lab.inp.delete("b")
    await lab.add("z")
    await out.validate()
    assert (await lab.run(task)).failed == {}
    assert await lab.done.keys() == {"a", "z"}


async def test_a_round_does_not_wait_for_an_output_to_appear(lab: Lab) -> None:
    out = Shared(lab.root / "data")
    task = await linked(lab, "true", out)
    await lab.inp.delete("b")
    async with lab.pipeline(task) as pipeline:
        while "a" not in task.output_check.checking:
            await pipeline.update()
            await asyncio.sleep(0.01)
        assert await pipeline.update()
        usage = lab.quota.usage()
        assert usage is not None
        assert not usage.cpu
        assert await lab.done.keys() == set()


async def test_a_job_killed_while_its_output_is_checked_is_not_retried(
    lab: Lab,
) -> None:
    out = Remote(lab.root / "data")
    out.go.clear()
    script = "echo ran >>LOG; if [ $(wc -l <LOG) != 1 ]; then WAIT; fi"
    task = await linked(lab, script, out, retries=Retries(3, delay=0.01))
    await lab.inp.delete("b")
    async with lab.pipeline(task) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=0.05))
        while "a" not in task.output_check.checking:  # noqa: ASYNC110 - no event to wait for
            await asyncio.sleep(0.01)
        killed = asyncio.create_task(task.kill("a"))
        await asyncio.sleep(0)
        out.go.set()
        assert await asyncio.wait_for(killed, 10)
        assert (await run).failed == {"task": ["a"]}
    assert (await lab.done.info("a"))["missing_outputs"] == ["data"]
    assert lab.lines() == ["ran"]
    assert lab.empty()


async def test_a_job_killed_by_another_process_while_its_output_is_checked_is_not_retried(
    lab: Lab,
) -> None:
    out = Remote(lab.root / "data")
    out.go.clear()
    script = "echo ran >>LOG; if [ $(wc -l <LOG) != 1 ]; then WAIT; fi"
    task = await linked(lab, script, out, retries=Retries(3, delay=3600))
    await lab.inp.delete("b")
    async with lab.pipeline(task) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=0.05))
        while "a" not in task.output_check.checking:  # noqa: ASYNC110 - no event to wait for
            await asyncio.sleep(0.01)
        other = lab.again().task(script, manager=lambda: lab.manager)
        looking = lab.pipeline(other)
        await looking.open("one")
        killed = asyncio.create_task(other.kill("a"))
        await asyncio.wait([killed], timeout=0.3)  # the kill waits until the check has finished
        assert not killed.done()
        out.go.set()
        assert await asyncio.wait_for(killed, 10)
        await looking.close()
        assert (await asyncio.wait_for(run, 10)).failed == {"task": ["a"]}
    assert (await lab.done.info("a"))["killed"] is True
    assert lab.lines() == ["ran"]
    assert lab.empty()
