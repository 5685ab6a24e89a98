"""Law T6: a job that succeeds without writing a required output has failed.

These tests use functions in the driver's loop; the rules hold for every kind of task.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core import (
    DirectoryRepository,
    FileRepository,
    InProcessBlobRepository,
    InProcessMetadataRepository,
    InProcessSyncTask,
    Pipeline,
    RelatedItemRepository,
    Retries,
    Task,
    YamlMetadataFileRepository,
)
from pydatatask_core.errors import StoreConnectionError, StorePermissionError
from pydatatask_core.task import required_outputs

if TYPE_CHECKING:
    from pathlib import Path

FAR = 3600.0
REASON = "succeeded without writing its output `out`"


class Stage:
    """A task over some jobs, and a second task plugged into it that notes its own jobs."""

    def __init__(self, body: Any, out: Any, *jobs: str, link: Any = None, **options: Any) -> None:
        self.done = InProcessMetadataRepository()
        self.out = out
        self.next: list[str] = []
        self.task = InProcessSyncTask("t", self.done, func=body, **options)
        self.task.link("inp", InProcessMetadataRepository(dict.fromkeys(jobs)), is_input=True)
        self.task.link("out", out, is_output=True, **(link or {}))
        self.after = InProcessSyncTask("after", InProcessMetadataRepository(), func=self._note)
        self.after.plug(self.task)
        self.pipeline = Pipeline([self.task, self.after])

    async def _note(self, job: str) -> None:
        self.next.append(job)

    async def run(self) -> Any:
        async with self.pipeline as pipeline:
            return await pipeline.run(poll=FAR)

    def record(self, job: str = "a") -> Any:
        return self.done.data.get(job)


class Remote(InProcessMetadataRepository):
    """A repository that acts like one on a server: each listing is a request.

    :param problem: the exception that a listing raises.
    """

    looks_up_locally = False

    def __init__(self, problem: Exception | None = None) -> None:
        super().__init__()
        self.problem = problem
        self.listings = 0
        self.asked: list[str] = []
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.go.set()

    async def keys(self) -> frozenset[str]:
        self.listings += 1
        self.begun.set()
        found = frozenset(self._data)  # a listing shows the state at its start
        await self.go.wait()
        if self.problem is not None:
            raise self.problem
        return found

    async def contains(self, item: str) -> bool:
        self.asked.append(item)
        return await super().contains(item)

    def put(self, job: str) -> None:
        """Write a value as another program would."""
        self._data[job] = 1


async def nothing(job: str) -> None: ...


async def skip_pets(job: str, out: Any) -> None:
    if job != "pets":
        await out.dump(job, 1)


# -- outcomes --------------------------------------------------------------------------------------


async def test_a_job_without_its_output_has_failed_and_does_not_start_plugged_tasks() -> None:
    stage = Stage(skip_pets, InProcessMetadataRepository(), "pets", "zoo")
    summary = await stage.run()
    assert summary.failed == {"t": ["pets"]}
    record = stage.record("pets")
    assert record["success"] is False
    assert record["reason"].startswith(REASON)
    assert "optional=True" in record["reason"]
    assert record["missing_outputs"] == ["out"]
    assert stage.record("zoo")["success"] is True
    assert stage.next == ["zoo"]


async def test_an_optional_output_may_be_missing_and_starts_only_the_jobs_that_have_it() -> None:
    out = InProcessMetadataRepository()
    stage = Stage(skip_pets, out, "pets", "zoo", link={"optional": True})
    summary = await stage.run()
    assert summary.failed == {}
    assert stage.record("pets")["success"] is True
    assert stage.next == ["zoo"]


async def test_an_output_that_is_not_required_for_output_is_not_checked() -> None:
    out = InProcessMetadataRepository()
    stage = Stage(skip_pets, out, "pets", "zoo", link={"required_for_output": False})
    summary = await stage.run()
    assert summary.failed == {}
    assert sorted(stage.next) == ["pets", "zoo"]


async def test_all_missing_outputs_are_named() -> None:
    stage = Stage(nothing, InProcessMetadataRepository(), "a")
    stage.task.link("more", InProcessMetadataRepository(), is_output=True)
    await stage.run()
    assert stage.record()["missing_outputs"] == ["more", "out"]
    assert "its outputs `out` and `more`" in stage.record()["reason"]


async def test_outputs_of_a_plugged_task_are_not_checked_for_the_upstream_task() -> None:
    stage = Stage(skip_pets, InProcessMetadataRepository(), "zoo")
    assert stage.after.required_outputs == {}
    assert (await stage.run()).failed == {}


async def test_writing_other_keys_satisfies_a_required_output_and_is_recorded() -> None:
    async def split(job: str, out: Any) -> None:
        await out.dump(f"{job}1", 1)
        await out.dump(f"{job}2", 2)

    stage = Stage(split, InProcessMetadataRepository(), "a")
    assert (await stage.run()).failed == {}
    assert stage.record()["fan_out"] == ["out"]


async def test_a_job_that_also_wrote_its_own_key_is_not_a_fan_out() -> None:
    async def split(job: str, out: Any) -> None:
        await out.dump(f"{job}1", 1)
        await out.dump(job, 2)

    stage = Stage(split, InProcessMetadataRepository(), "a")
    await stage.run()
    assert stage.record()["success"] is True
    assert "fan_out" not in stage.record()


async def test_an_output_that_existed_before_counts_as_written() -> None:
    stage = Stage(nothing, InProcessMetadataRepository({"a": 1}), "a")
    assert (await stage.run()).failed == {}


async def test_an_output_behind_a_view_counts_as_written() -> None:
    base = InProcessMetadataRepository()
    names = InProcessMetadataRepository({"a": "x"})
    stage = Stage(skip_pets, RelatedItemRepository(base, names), "a")
    assert (await stage.run()).failed == {}
    assert base.data == {"x": 1}


async def test_a_file_that_the_body_wrote_with_open_counts_as_written(tmp_path: Path) -> None:
    out = FileRepository(tmp_path / "out")

    async def write(job: str) -> None:
        if job != "pets":
            await asyncio.to_thread(out.fullpath(job).write_text, "data")

    stage = Stage(write, out, "pets", "zoo")
    assert (await stage.run()).failed == {"t": ["pets"]}
    assert stage.next == ["zoo"]


async def test_a_write_that_was_rejected_does_not_count_as_written() -> None:
    async def refused(job: str, out: Any) -> None:
        with contextlib.suppress(RuntimeError):
            await out.dump(job, 1)

    class Full(InProcessMetadataRepository):
        async def dump(self, job: str, data: Any) -> None:
            raise RuntimeError("the store is full")

    stage = Stage(refused, Full(), "a")
    assert (await stage.run()).failed == {"t": ["a"]}


@pytest.mark.parametrize("discard_empty", [False, True])
async def test_an_empty_directory_counts_as_written_only_if_it_is_visible(
    tmp_path: Path, discard_empty: bool
) -> None:
    async def make(job: str, out: Any) -> None:
        await out.mkdir(job)

    out = DirectoryRepository(tmp_path / "out", discard_empty=discard_empty)
    stage = Stage(make, out, "a")
    assert (await stage.run()).failed == ({"t": ["a"]} if discard_empty else {})


async def test_a_value_that_was_only_partly_written_does_not_count() -> None:
    async def begin(job: str, out: Any) -> None:
        stream = await out.open(job, "wb")
        await stream.write(b"data")
        await stream.abort()

    stage = Stage(begin, InProcessBlobRepository(), "a")
    assert (await stage.run()).failed == {"t": ["a"]}


async def test_a_missing_output_is_retried_like_any_other_failure() -> None:
    attempts: list[str] = []

    async def second_time(job: str, out: Any) -> None:
        attempts.append(job)
        if len(attempts) == 2:
            await out.dump(job, 1)

    out = InProcessMetadataRepository()
    stage = Stage(second_time, out, "a", retries=Retries(3, delay=0.0))
    assert (await stage.run()).failed == {}
    assert stage.record()["attempt"] == 2


@pytest.mark.parametrize("retries", [0, Retries(2, delay=0.0)])
async def test_a_missing_output_is_a_failure_in_synchronous_mode(retries: Any) -> None:
    stage = Stage(nothing, Remote(), "a", retries=retries)
    async with stage.pipeline as pipeline:
        pipeline.settings(synchronous=True)
        await stage.task.launch("a")
    assert stage.record()["reason"].startswith(REASON)
    assert stage.record()["attempt"] == 1 + Retries.of(retries).times


async def test_a_missing_output_is_a_failure_without_a_pipeline() -> None:
    stage = Stage(nothing, Remote(), "a")
    await stage.task.launch("a")
    assert stage.record()["reason"].startswith(REASON)


# -- requests --------------------------------------------------------------------------------------


async def test_an_output_written_through_the_api_needs_no_listing() -> None:
    out = Remote(StoreConnectionError("list", "it", "no request is expected"))
    stage = Stage(skip_pets, out, *(f"j{n}" for n in range(20)))
    stage.after.disabled = True
    assert (await stage.run()).failed == {}
    assert (out.listings, out.asked) == (0, [])


async def test_one_listing_serves_all_jobs_that_ended_before_it_started() -> None:
    jobs = [f"j{n:02}" for n in range(40)]
    out = Remote()
    ended: list[str] = []
    all_ended = asyncio.Event()

    async def body(job: str) -> None:
        ended.append(job)
        if job != "j07":
            out.put(job)
        if len(ended) == 1:
            out.go.clear()
        if len(ended) == len(jobs):
            all_ended.set()

    stage = Stage(body, out, *jobs, concurrency=2)
    stage.after.disabled = True
    async with stage.pipeline as pipeline:
        run = asyncio.create_task(pipeline.run(poll=FAR))
        await asyncio.wait_for(all_ended.wait(), 30)  # although no listing has returned yet
        assert stage.done.data == {}
        assert stage.task.running == set(jobs)
        out.go.set()
        summary = await run
    assert summary.failed == {"t": ["j07"]}
    assert out.asked == []
    assert out.listings <= 3


# -- unavailable stores ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "problem", [StorePermissionError("list", "out", "denied"), NotImplementedError("write only")]
)
async def test_an_unreadable_output_is_left_unchecked_and_reported_once(
    problem: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(nothing, Remote(problem), "a", "b", "c")
    stage.after.disabled = True
    assert (await stage.run()).failed == {}
    assert stage.record("c")["success"] is True
    told = [r.getMessage() for r in caplog.records if "not checked" in r.getMessage()]
    assert len(told) == 1
    assert "t: " in told[0]
    assert "output `out`" in told[0]
    assert "Remote" in told[0]


async def test_while_the_store_is_unreadable_nothing_is_recorded_or_started(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(required_outputs, "FIRST_RETRY_DELAY_SECONDS", 0.01)
    out = Remote(StoreConnectionError("list", "out", "down"))
    stage = Stage(nothing, out, "a", "b")
    stage.after.disabled = True
    async with stage.pipeline as pipeline:
        run = asyncio.create_task(pipeline.run(poll=FAR))
        while out.listings < 4:  # noqa: ASYNC110 - no event to wait for
            await asyncio.sleep(0)
        assert stage.done.data == {}
        assert stage.task.running == {"a", "b"}
        out.put("b")
        out.problem = None
        summary = await run
    assert summary.failed == {"t": ["a"]}
    assert stage.record("b")["success"] is True
    errors = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "down" in errors[0].getMessage()


async def test_an_unreadable_store_does_not_cause_a_second_launch() -> None:
    out = Remote(StoreConnectionError("list", "out", "down"))
    bodies: list[str] = []

    async def body(job: str) -> None:
        bodies.append(job)

    stage = Stage(body, out, "a")
    stage.after.disabled = True
    async with stage.pipeline as pipeline:
        for _ in range(3):
            assert await pipeline.update()
        out.problem = None
        assert bodies == ["a"]


# -- shared file systems ---------------------------------------------------------------------------


class Shared(YamlMetadataFileRepository):
    """A repository on a file system where writes of other machines may become visible late."""

    delay = FAR

    async def visibility_delay(self) -> float:
        return self.delay


async def test_on_a_shared_file_system_an_output_may_become_visible_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(required_outputs, "MAX_LOOK_INTERVAL_SECONDS", 0.05)
    out = Shared(tmp_path / "out")
    others: list[str] = []

    async def body(job: str) -> None:
        others.append(job)
        if (
            job == "z"
        ):  # the other jobs run while `a` waits, although only one job may run at a time
            for path in (out.fullpath("z"), out.fullpath("a")):
                await asyncio.to_thread(path.write_text, "1")

    stage = Stage(body, out, "a", "z", concurrency=1)
    assert (await stage.run()).failed == {}
    assert others == ["a", "z"]
    assert sorted(stage.next) == ["a", "z"]


async def test_on_a_shared_file_system_an_output_that_does_not_appear_is_missing(
    tmp_path: Path,
) -> None:
    out = Shared(tmp_path / "out")
    out.delay = 0.05
    stage = Stage(nothing, out, "a")
    assert (await stage.run()).failed == {"t": ["a"]}


async def test_an_output_known_to_be_missing_is_not_waited_for(tmp_path: Path) -> None:
    stage = Stage(nothing, Shared(tmp_path / "out"), "a")
    stage.task.link("here", InProcessMetadataRepository(), is_output=True)
    assert (await stage.run()).failed == {"t": ["a"]}


# -- third-party tasks -----------------------------------------------------------------------------


class Elsewhere(Task):
    """A third-party task whose jobs have ended by its next update."""

    def __init__(self, done: Any, out: Any) -> None:
        super().__init__("elsewhere")
        self.link_outcomes("done", done)
        self.link("out", out, is_output=True)
        self.done = done
        self.live = InProcessMetadataRepository()
        self.link("live", self.live, is_status=True, inhibits_start=True, inhibits_output=True)

    async def launch(self, job: str) -> None:
        await self.live.dump(job, 1)

    async def update(self) -> bool:
        for job in await self.live.keys():
            missing = await self.missing_outputs(job)
            await self.done.dump(job, {"success": not missing, "missing": missing})
            await self.live.delete(job)
        return bool(await self.live.keys())


async def test_a_third_party_task_can_list_the_missing_outputs() -> None:
    done, out = InProcessMetadataRepository(), InProcessMetadataRepository({"b": 1})
    task = Elsewhere(done, out)
    task.link("inp", InProcessMetadataRepository({"a": 1, "b": 1}), is_input=True)
    async with Pipeline([task]) as pipeline:
        await pipeline.run(poll=0.01)
    assert done.data == {
        "a": {"success": False, "missing": ["out"]},
        "b": {"success": True, "missing": []},
    }
