"""A job whose outcome could not be recorded is refused before it starts (T9)."""

from __future__ import annotations

import string
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from processes.lab import Lab

from pydatatask_core import (
    ExecutorTask,
    FileRepository,
    InProcessMetadataRepository,
    InProcessSyncTask,
    Pipeline,
    Task,
    YamlMetadataFileRepository,
)
from pydatatask_core.errors import InvalidJobIdError, TaskError, UnrecordableJobError

from .fakes import Detached

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOTS = string.ascii_letters + string.digits + "."


class Dotted(InProcessMetadataRepository):
    CHARSET = DOTS


class DottedYaml(YamlMetadataFileRepository):
    CHARSET = DOTS
    MAX_JOB_ID_LENGTH = 400


class DottedFiles(FileRepository):
    CHARSET = DOTS
    MAX_JOB_ID_LENGTH = 400


class Few(InProcessMetadataRepository):
    CHARSET = CHARSET_START_END = string.digits


def source(*names: str) -> Dotted:
    return Dotted(dict.fromkeys(names))


class Bodies:
    """Creates tasks whose functions record the jobs for which they ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.pool = ThreadPoolExecutor(1)

    def function(self, done: Any) -> Task:
        async def body(job: str) -> None:
            self.ran.append(job)

        return InProcessSyncTask("t", done, func=body)

    def executor(self, done: Any) -> Task:
        return ExecutorTask("t", self.pool, done, func=self.ran.append)

    def third_party(self, done: Any) -> Task:
        ran = self.ran

        class Foreign(Task):
            completes_in_launch = True

            async def update(self) -> bool:
                return False

            async def launch(self, job: str) -> None:
                ran.append(job)
                await done.dump(job, {})

        task = Foreign("t")
        task.link("done", done, is_status=True, inhibits_start=True)
        return task


@pytest.fixture
def bodies() -> Iterator[Bodies]:
    bodies = Bodies()
    yield bodies
    bodies.pool.shutdown()


@pytest.mark.parametrize("kind", ["function", "executor", "third_party"])
async def test_a_job_that_is_not_valid_in_done_is_refused_and_the_others_go_on(
    kind: str, bodies: Bodies, caplog: pytest.LogCaptureFixture
) -> None:
    task = getattr(bodies, kind)(InProcessMetadataRepository())
    task.link("source", source("a", "b.c", "d"), is_input=True)
    async with Pipeline([task]) as pipeline:
        summary = await pipeline.run(poll=0.01)
        assert (await pipeline.run(poll=0.01)).launched == {}
    assert sorted(bodies.ran) == ["a", "d"]
    assert summary.given_up == {"t": ["b.c"]}
    told = [r.getMessage() for r in caplog.records if "refused" in r.getMessage()]
    assert len(told) == 1
    assert "job 'b.c' is not launched, because its outcome cannot be recorded in done" in told[0]


@pytest.mark.parametrize("kind", ["function", "executor"])
async def test_a_launch_by_hand_is_refused_as_well(kind: str, bodies: Bodies) -> None:
    task = getattr(bodies, kind)(Few())
    with pytest.raises(UnrecordableJobError, match="t: job 'a' is not launched") as caught:
        await task.launch("a")
    assert isinstance(caught.value, TaskError)
    assert isinstance(caught.value, InvalidJobIdError)
    assert bodies.ran == []
    assert await task.links["done"].repo.keys() == set()


async def test_many_refused_jobs_are_one_line_and_new_ones_another(
    bodies: Bodies, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = source(*(f"a.{number}" for number in range(1000)))
    task = bodies.function(InProcessMetadataRepository())
    task.link("source", jobs, is_input=True)
    async with Pipeline([task]) as pipeline:
        await pipeline.run(poll=0.01)
        await jobs.dump("new.one", 1)
        await pipeline.run(poll=0.01)
    told = [r.getMessage() for r in caplog.records]
    assert len(told) == 2
    assert "1000 ready jobs are refused, 'a.0', 'a.1'," in told[0]
    assert "and 995 more" in told[0]
    assert "1 ready jobs are refused, 'new.one'" in told[1]


async def test_a_refused_job_that_disappears_is_forgotten(bodies: Bodies) -> None:
    jobs = source("b.c")
    task = bodies.function(InProcessMetadataRepository())
    task.link("source", jobs, is_input=True)
    async with Pipeline([task]) as pipeline:
        assert (await pipeline.run(poll=0.01)).given_up == {"t": ["b.c"]}
        await jobs.delete("b.c")
        assert (await pipeline.run(poll=0.01)).given_up == {}


async def test_a_refused_job_takes_nothing_from_a_quota(bodies: Bodies) -> None:
    task = Detached("t", source("a.b", "c"), concurrency=1)
    async with Pipeline([task]) as pipeline:
        await pipeline.update()
        assert task.launches == ["c"]


async def test_an_executor_accepts_every_job_that_is_valid_in_its_done(bodies: Bodies) -> None:
    task = bodies.executor(Dotted())
    task.link("source", source("a.b"), is_input=True)
    async with Pipeline([task]) as pipeline:
        summary = await pipeline.run(poll=0.01)
    assert (bodies.ran, summary.given_up) == (["a.b"], {})


@pytest.mark.parametrize("kind", ["function", "executor", "third_party"])
async def test_two_jobs_that_would_be_one_record_do_not_both_run(
    kind: str, bodies: Bodies, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done = YamlMetadataFileRepository(tmp_path / "done", case_insensitive=True)
    jobs = source("a", "A", "b")
    for _ in range(2):
        bodies.ran.clear()
        caplog.clear()
        task = getattr(bodies, kind)(done)
        task.link("source", jobs, is_input=True)
        async with Pipeline([task]) as pipeline:
            summary = await pipeline.run(poll=0.01, timeout=20)
            assert (await pipeline.run(poll=0.01, timeout=20)).launched == {}
        (refused,) = summary.given_up["t"]
        told = [r.getMessage() for r in caplog.records if "not launched" in r.getMessage()]
        assert len(told) == 1
        assert f"job {refused!r} is not launched" in told[0]
        assert f"job {refused.swapcase()!r} has the same name there, ignoring case" in told[0]
        assert bodies.ran == [] or sorted(bodies.ran) == sorted([refused.swapcase(), "b"])
    assert bodies.ran == []
    assert await done.keys() == {refused.swapcase(), "b"}


async def test_a_process_is_refused_with_all_repositories_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lab = Lab(tmp_path)
    inp = DottedFiles(tmp_path / "inp")
    await inp.validate()
    for job in ("a", "b.c"):
        (tmp_path / "inp" / job).touch()
    task = lab.task(
        "echo ran >>LOG", stdin=inp, stdout=lab.out, stderr=DottedFiles(tmp_path / "err")
    )
    del task.links["inp"]
    async with lab.pipeline(task) as pipeline:
        summary = await pipeline.run(poll=0.05)
    assert summary.given_up == {"task": ["b.c"]}
    assert lab.lines() == ["ran"]
    (told,) = (r.getMessage() for r in caplog.records if "refused" in r.getMessage())
    assert all(f"{name}, " in told for name in ("pids", "done", "stdout"))
    assert "stderr, " not in told
    assert lab.empty()


async def test_a_name_that_is_too_long_with_its_extension_is_refused(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    task = lab.task(
        "exit 0",
        pids=DottedYaml(tmp_path / "pids"),
        done=DottedYaml(tmp_path / "done"),
        stdout=DottedFiles(tmp_path / "out", ".txt"),
        stderr=DottedFiles(tmp_path / "err", ".with.a.long.extension"),
    )
    with pytest.raises(UnrecordableJobError) as caught:
        await task.launch("a" * 240)
    assert "in stderr, DottedFiles(" in str(caught.value)
    assert "done, " not in str(caught.value)


def test_a_path_that_is_too_long_is_refused_with_the_job() -> None:
    folder = "/" + "/".join(["x" * 200] * 19)
    repo = FileRepository(folder, ".txt")
    repo.check_job_id("a")
    assert repo.invalid_names(["a", "b" * 127]) == []
    deep = FileRepository(folder + "/" + "y" * 150, ".txt")
    assert deep.invalid_names(["a", "b" * 127]) == ["b" * 127]


@pytest.mark.parametrize(
    "repo",
    [
        InProcessMetadataRepository(),
        FileRepository("x", ".txt"),
        FileRepository("x", "." + "e" * 200),
        Dotted(),
        Few(),
        DottedFiles("x"),
        Dotted().map(len),
        Dotted() & Few(),
    ],
    ids=repr,
)
def test_names_are_refused_in_bulk_as_they_are_one_by_one(repo: Any) -> None:
    names = ["a", "1", "a.b", ".a", "a/b", "", "é", "a" * 128, "b" * 129, "c" * 260]

    def refused(name: str) -> bool:
        try:
            repo.check_job_id(name)
        except InvalidJobIdError:
            return True
        return False

    assert repo.invalid_names(names) == [name for name in names if refused(name)]
    assert repo.invalid_names(["a", "1"]) == [name for name in ("a", "1") if refused(name)]
    length = repo.plain_job_id_length
    assert not any(refused("x" * size) for size in range(1, length + 1))
