"""Jobs of earlier runs that are recorded as successes but lack an output."""

from __future__ import annotations

from typing import Any

import pytest

from pydatatask_core import InProcessMetadataRepository, InProcessSyncTask
from pydatatask_core.errors import StoreConnectionError, StorePermissionError
from pydatatask_core.pipeline.output_audit import (
    find_done_without_output,
    warn_of_done_without_output,
)

OLD = {"success": True, "attempt": 1}
FAILED = {"success": False, "exception": "ValueError: no"}


class Values(InProcessMetadataRepository):
    """Records of outcomes that count reads."""

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        self.read: list[str] = []

    async def info(self, job: str) -> Any:
        self.read.append(job)
        return await super().info(job)


class Broken(InProcessMetadataRepository):
    """A repository that cannot be listed."""

    problem: Exception

    async def keys(self) -> frozenset[str]:
        raise self.problem


def task_of(done: dict[str, Any], *written: str, out: Any = None, **link: Any) -> Any:
    task = InProcessSyncTask("t", Values(done))
    repo = InProcessMetadataRepository(dict.fromkeys(written)) if out is None else out
    task.link("out", repo, is_output=True, **link)
    return task


async def test_a_success_without_its_output_is_found_and_a_failure_is_not() -> None:
    task = task_of({"good": OLD, "bad": FAILED, "pets": OLD}, "good")
    assert await find_done_without_output([task]) == {"t": {"out": ["pets"]}}


async def test_a_record_of_an_older_release_counts_as_it_does_for_plugged_tasks() -> None:
    task = task_of({"good": OLD, "injected": {}, "old": {"end_time": 1}}, "good")
    assert await find_done_without_output([task]) == {"t": {"out": ["injected", "old"]}}


@pytest.mark.parametrize("link", [{"optional": True}, {"required_for_output": False}])
async def test_an_optional_output_is_not_checked(link: Any) -> None:
    task = task_of({"good": OLD, "pets": OLD}, "good", **link)
    assert await find_done_without_output([task]) == {}


async def test_an_output_to_which_no_job_wrote_its_own_key_is_a_fan_out() -> None:
    task = task_of({"a": OLD, "b": OLD}, "a1", "a2", "b1")
    assert await find_done_without_output([task]) == {}
    assert task.links["done"].repo.read == []


async def test_an_own_key_of_a_failed_job_alone_does_not_disprove_a_fan_out() -> None:
    task = task_of({"a": OLD, "bad": FAILED}, "a1", "bad")
    assert await find_done_without_output([task]) == {}


async def test_a_record_that_lists_the_output_as_fan_out_is_trusted() -> None:
    fan = {**OLD, "fan_out": ["out"]}
    task = task_of({"own": OLD, "fan": fan, "pets": {**OLD, "fan_out": ["other"]}}, "own", "fan1")
    assert await find_done_without_output([task]) == {"t": {"out": ["pets"]}}


async def test_only_the_records_of_jobs_without_their_key_are_read() -> None:
    jobs = [f"j{n}" for n in range(1000)]
    task = task_of({**dict.fromkeys(jobs, OLD), "pets": OLD}, *jobs)
    assert await find_done_without_output([task]) == {"t": {"out": ["pets"]}}
    assert len(task.links["done"].repo.read) < 150  # plus those of the first jobs with an output


async def test_if_every_job_has_its_output_no_value_is_read() -> None:
    task = task_of({"a": OLD, "b": OLD}, "a", "b")
    assert await find_done_without_output([task]) == {}
    assert task.links["done"].repo.read == []


@pytest.mark.parametrize("kind", [StorePermissionError, StoreConnectionError])
async def test_a_repository_that_cannot_be_listed_is_skipped(kind: type[Any]) -> None:
    out = Broken()
    out.problem = kind("list", out, "no")
    sound = task_of({"good": OLD, "pets": OLD}, "good")
    sound.name = "sound"
    broken = task_of({"a": OLD}, out=out)
    assert await find_done_without_output([broken, sound]) == {"sound": {"out": ["pets"]}}


async def test_a_job_that_ends_during_the_listings_is_not_reported() -> None:
    class Late(InProcessMetadataRepository):
        async def keys(self) -> frozenset[str]:
            found = await super().keys()
            await self.dump("pets", 1)  # appears in the next listing
            return found

    task = task_of({"good": OLD, "pets": OLD}, out=Late({"good": 1}))
    assert await find_done_without_output([task]) == {}


async def test_the_warning_names_task_output_and_jobs(caplog: pytest.LogCaptureFixture) -> None:
    await warn_of_done_without_output([task_of({"good": OLD, "pets": OLD}, "good")])
    (record,) = caplog.records
    assert "t: 1 jobs are done without output `out`: pets" in record.getMessage()


async def test_a_task_without_records_of_outcomes_is_skipped() -> None:
    from pydatatask_core import Task

    class Plain(Task):
        async def update(self) -> bool:
            return False

        async def launch(self, job: str) -> None: ...

    task = Plain("plain")
    task.link("out", InProcessMetadataRepository(), is_output=True)
    assert await find_done_without_output([task]) == {}
