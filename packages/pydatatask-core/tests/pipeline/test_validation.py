"""Checks, creation of repositories, warnings and locks when a pipeline opens."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core import (
    AggregateAndRepository,
    AggregateOrRepository,
    InProcessMetadataRepository,
    InProcessSyncTask,
    Pipeline,
    Repository,
    Session,
    Task,
    YamlMetadataFileRepository,
)
from pydatatask_core.errors import PipelineConfigurationError, PipelineLockedError, StoreError

from .fakes import Detached, function_task, jobs, quiet

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path


class Validated(InProcessMetadataRepository):
    """A repository that counts its validations, or raises in them."""

    def __init__(self, problem: Exception | None = None) -> None:
        super().__init__()
        self.validations = 0
        self.problem = problem

    async def validate(self) -> Any:
        self.validations += 1
        if self.problem is not None:
            raise self.problem
        return "a third party may return anything"


async def test_a_location_that_cannot_be_identified_is_a_problem_and_inspection_goes_on() -> None:
    problem = StoreError("find", "done", "the client's callable raised")

    class Nowhere(InProcessMetadataRepository):
        @property
        def location(self) -> Any:
            raise problem

    pipeline = Pipeline([InProcessSyncTask("t", Nowhere(), func=quiet)])
    await pipeline.open("inspect")
    assert pipeline.problems == [problem]
    await pipeline.close()
    with pytest.raises(StoreError, match="callable raised"):
        await pipeline.open("one")


async def test_several_problems_are_reported_at_once_and_the_session_is_closed() -> None:
    closed: list[str] = []
    session = Session()

    @session.resource
    async def thing() -> AsyncIterator[None]:
        yield
        closed.append("thing")

    tasks = [
        InProcessSyncTask(name, Validated(StoreError("make", name, "no space")), func=quiet)
        for name in ("one", "two")
    ]
    pipeline = Pipeline(tasks, session)

    with pytest.raises(PipelineConfigurationError, match="the pipeline has 2 errors") as caught:
        await pipeline.open()

    assert str(caught.value).count("could not make in") == 2
    assert closed == ["thing"]
    assert not session.is_open


async def test_a_single_problem_is_raised_unchanged() -> None:
    problem = StoreError("make", "x", "no space")
    with pytest.raises(StoreError) as caught:
        await Pipeline([InProcessSyncTask("t", Validated(problem), func=quiet)]).open()
    assert caught.value is problem


async def test_tasks_and_their_written_repositories_are_validated_once_per_opening() -> None:
    validated: list[str] = []

    class Noting(Detached):
        async def validate(self) -> None:
            validated.append(self.name)

    done, source = Validated(), Validated()
    tasks = [Noting(name, source) for name in ("one", "two")]
    for task in tasks:
        task.link("common", done, is_output=True, shared=True)
    pipeline = Pipeline(tasks)
    for number in (1, 2):
        async with pipeline:
            await pipeline.update()
        assert sorted(validated) == sorted(["one", "two"] * number)
        assert done.validations == number
        assert source.validations == 0

    await pipeline.open("inspect")
    await pipeline.close()
    assert done.validations == 2


async def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="'drive', 'inspect' or 'one', not 'look'"):
        await Pipeline([]).open("look")  # type: ignore[arg-type]


def waiting_task(
    name: str, inp: Repository, out: Repository, done: Any = None
) -> InProcessSyncTask:
    task = InProcessSyncTask(name, done or InProcessMetadataRepository(), func=quiet)
    task.link("inp", inp, is_input=True)
    task.link("out", out, is_output=True)
    return task


async def warned(caplog: pytest.LogCaptureFixture, *tasks: Task) -> list[str]:
    """Return the warnings about a deadlock."""
    caplog.clear()
    async with Pipeline(tasks):
        return [r.getMessage() for r in caplog.records if "by hand" in r.getMessage()]


async def test_tasks_that_wait_for_each_other_cause_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    one, two, three = (InProcessMetadataRepository() for _ in range(3))
    there, back = waiting_task("there", one, two), waiting_task("back", two, one)
    after = waiting_task("after", two, three)
    told = await warned(caplog, there, back, after)
    assert len(told) == 1
    assert told[0].startswith("there and back: they wait for each other")

    await two.dump("job", 1)
    assert await warned(caplog, there, back, after) == []


async def test_tasks_that_are_plugged_into_each_other_cause_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The dependencies are found through views of ``done``."""
    one, two = (InProcessSyncTask(n, InProcessMetadataRepository(), func=quiet) for n in "ab")
    one.plug(two)
    two.plug(one)
    assert [text[:7] for text in await warned(caplog, one, two)] == ["a and b"]


async def test_a_task_that_waits_for_itself_causes_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    own = InProcessMetadataRepository()
    told = await warned(caplog, waiting_task("own", own, own))
    assert [text[:32] for text in told] == ["own: it requires output that onl"]


async def test_a_task_whose_upstream_is_not_in_the_pipeline_causes_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done = jobs()
    first = InProcessSyncTask("first", done, func=quiet)
    second = InProcessSyncTask("second", jobs(), func=quiet)
    second.plug(first)

    async def told(*tasks: Task) -> list[str]:
        caplog.clear()
        async with Pipeline(tasks):
            return [r.getMessage() for r in caplog.records if "plugged" in r.getMessage()]

    (warning,) = await told(second)
    assert warning.startswith("second: it is plugged behind first, which is not in the pipeline")
    assert await told(first, second) == []
    again = InProcessSyncTask("again", done, func=quiet)
    assert await told(again, second) == []
    await done.dump("job", {})
    assert await told(second) == []


async def test_a_cycle_with_an_outside_input_causes_no_warning(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    one, two, outside = (InProcessMetadataRepository() for _ in range(3))
    there, back = waiting_task("there", one, two), waiting_task("back", two, one)
    feeder = waiting_task("feeder", outside, one)
    assert await warned(caplog, there, back, feeder) == []

    either = AggregateOrRepository(one=one, outside=outside)
    assert await warned(caplog, waiting_task("there", either, two), back) == []
    both = AggregateAndRepository(one=one, outside=outside)
    assert len(await warned(caplog, waiting_task("there", both, two), back)) == 1

    back.disabled = True
    assert await warned(caplog, there, back) == []


async def test_a_cycle_whose_repository_cannot_be_listed_causes_no_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(InProcessMetadataRepository):
        async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
            raise StoreError("list", "broken", "no permission")
            yield

    own = Broken()
    assert await warned(caplog, waiting_task("own", own, own)) == []


async def test_a_task_whose_jobs_nothing_marks_as_done_causes_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    task = Detached("t", jobs("a"))
    task.links.pop("done")
    async with Pipeline([task]):
        pass
    assert "t: no record that outlives a job" in caplog.text


# -- classes of third parties ------------------------------------------------------------------


@dataclass
class Values(Repository):
    """A repository with the three documented methods, without a hash because it defines ==."""

    names: list[str] = field(default_factory=list)

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        for name in list(self.names):
            yield name

    async def info(self, job: str) -> Any:
        return job.upper()

    async def delete(self, job: str) -> None:
        self.names.remove(job)


class Either(Repository):
    """A view that does not implement listings and candidates."""

    def __init__(self, *below: Repository) -> None:
        self.below = below

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        for repo in self.below:
            async for job in repo:
                yield job

    async def info(self, job: str) -> Any:
        return [await repo.info(job) for repo in self.below]

    async def delete(self, job: str) -> None:
        for repo in self.below:
            await repo.delete(job)


async def test_repositories_with_only_the_documented_methods_work_in_a_pipeline() -> None:
    ran: list[str] = []

    async def body(job: str, source: Any) -> None:
        ran.append(f"{job}{await source.info(job)}")

    source = Either(Values(["a"]), Values(["b", "no job id", "a"]))
    task = InProcessSyncTask("t", InProcessMetadataRepository(), func=body)
    task.link("source", source, is_input=True)
    task.link("also", AggregateAndRepository(x=source, y=Values(["a", "b", "c"])), is_input=True)
    async with Pipeline([task]) as pipeline:
        await pipeline.run(poll=3600)

    assert sorted(ran) == ["a['A', 'A']", "b['B', 'B']"]


def test_a_repository_without_a_hash_cannot_be_a_node_and_the_error_has_the_remedy() -> None:
    task = function_task("t", quiet)
    task.link("source", Values(["a"]), is_input=True)
    with pytest.raises(PipelineConfigurationError, match=r"dataclass\(eq=False\)"):
        Pipeline([task]).graph()


def test_a_task_without_a_hash_is_refused_and_the_error_has_the_remedy() -> None:
    class Equal(Detached):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    with pytest.raises(PipelineConfigurationError, match=r"task t cannot be identified"):
        Pipeline([Equal("t", jobs())])


# -- locks -------------------------------------------------------------------------------------


@pytest.fixture
def _private_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locks").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "locks"))
    monkeypatch.setattr("tempfile.tempdir", None)


def stored(name: str, folder: Path) -> Task:
    task = InProcessSyncTask(name, YamlMetadataFileRepository(folder), func=quiet)
    task.link("source", jobs("a"), is_input=True)
    return task


@pytest.mark.usefixtures("_private_locks")
async def test_two_pipelines_with_a_common_task_exclude_each_other_and_others_do_not(
    tmp_path: Path,
) -> None:
    shared = tmp_path / "shared"
    async with Pipeline([stored("a", tmp_path / "a"), stored("shared", shared)]):
        with pytest.raises(PipelineLockedError, match="task shared is driven already"):
            await Pipeline([stored("b", tmp_path / "b"), stored("shared", shared)]).open()
        async with Pipeline([stored("b", tmp_path / "b"), stored("shared", tmp_path / "other")]):
            pass
    async with Pipeline([stored("b", tmp_path / "b"), stored("shared", shared)]):
        pass


@pytest.mark.usefixtures("_private_locks")
async def test_a_failed_opening_leaves_no_lock(tmp_path: Path) -> None:
    broken = stored("t", tmp_path / "done")
    broken.link("out", Validated(StoreError("make", "x", "no space")), is_output=True)
    with pytest.raises(StoreError):
        await Pipeline([broken]).open()

    async with Pipeline([stored("t", tmp_path / "done")]):
        pass


@pytest.mark.usefixtures("_private_locks")
async def test_a_forked_process_neither_holds_nor_releases_the_lock_of_its_parent(
    tmp_path: Path,
) -> None:
    pipeline = Pipeline([stored("t", tmp_path / "done")])
    await pipeline.open()
    lock = pipeline._lock
    assert lock is not None
    child = os.fork()
    if child == 0:
        lock.release()
        os._exit(0)
    assert (await asyncio.to_thread(os.waitpid, child, 0))[1] == 0

    with pytest.raises(PipelineLockedError, match=f"process {os.getpid()} on"):
        await Pipeline([stored("t", tmp_path / "done")]).open()
    (file,) = (tmp_path / "done").iterdir()
    assert f"process {os.getpid()} on" in file.read_text()
    await pipeline.close()


async def test_if_the_folder_for_locks_cannot_be_created_the_error_has_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    monkeypatch.setattr("pydatatask_core.pipeline.lock.state_folder", lambda name: None)
    monkeypatch.setattr(InProcessMetadataRepository, "identity", "on a server")
    with pytest.raises(PipelineLockedError, match=r"cannot be created: .*set TMPDIR"):
        await Pipeline([function_task("t", quiet, jobs("a"))]).open()
