"""Objects that can be sent to a worker in another process, and the errors for all others."""

from __future__ import annotations

import asyncio
import functools
import multiprocessing
import os
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.append(str(Path(__file__).parent / "support"))  # workers import from it too

import executor_bodies as bodies
from executor_stage import in_files, in_memory

from pydatatask_core import (
    ExecutorTask,
    FileRepository,
    InProcessMetadataRepository,
    MetadataRepository,
    Session,
    YamlMetadataFileRepository,
)
from pydatatask_core.errors import TaskConfigurationError
from pydatatask_core.repository.job_scope import JobScope
from pydatatask_core.task.executor.serialization import BoundFunction, serialize
from pydatatask_core.task.executor.worker import PickledWorkItem, run

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

SPAWN = multiprocessing.get_context("spawn")
ELSEWHERE = "cannot be passed to a worker in another process"


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, mp_context=SPAWN) as processes:
        yield processes


async def refusal(stage: Any) -> str:
    """Open a pipeline that must not open, and return the error."""
    with pytest.raises(TaskConfigurationError) as caught:
        async with stage.pipeline():
            pass
    return str(caught.value)


async def test_a_lambda_is_rejected(tmp_path: Path, pool: Any) -> None:
    told = await refusal(in_files(tmp_path, pool, lambda job, inp: None))

    assert told.startswith("the body of work, ")
    assert f"{ELSEWHERE}: it is a lambda" in told
    assert "Define it at the top level of a module" in told


async def test_a_nested_function_is_rejected(tmp_path: Path, pool: Any) -> None:
    async def nested(job: str, inp: MetadataRepository) -> None: ...

    told = await refusal(in_files(tmp_path, pool, nested))

    assert "nested, cannot be passed" in told
    assert "it is defined inside another function" in told


async def test_a_function_shadowed_by_another_object_is_rejected(
    tmp_path: Path, pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = bodies.copy
    monkeypatch.setattr(bodies, "copy", bodies.add)

    told = await refusal(in_files(tmp_path, pool, hidden))

    assert "executor_bodies.copy, cannot be passed" in told
    assert "it is not the object with that name in its module" in told


async def test_a_function_that_was_removed_from_its_module_is_rejected(
    tmp_path: Path, pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = bodies.copy
    monkeypatch.delattr(bodies, "copy")

    told = await refusal(in_files(tmp_path, pool, lost))

    assert "it cannot be found there (module 'executor_bodies' has no attribute 'copy')" in told


async def test_a_partial_with_an_unpicklable_argument_is_rejected(
    tmp_path: Path, pool: Any
) -> None:
    stage = in_files(tmp_path, pool, functools.partial(bodies.everything, more=lambda: 1))

    told = await refusal(stage)

    assert ELSEWHERE in told
    assert "it does not pickle" in told


async def test_an_in_memory_repository_is_rejected_and_its_link_named(
    tmp_path: Path, pool: Any
) -> None:
    told = await refusal(in_memory(pool, bodies.copy))

    assert told.startswith("the link 'inp' of work, InProcessMetadataRepository(<0 jobs>), ")
    assert "lives in the memory of one process" in told
    assert "Link a repository in files" in told


async def test_a_repository_that_needs_a_session_is_rejected(tmp_path: Path, pool: Any) -> None:
    session = Session()

    @session.resource
    async def folder() -> AsyncGenerator[Path, None]:
        yield tmp_path

    class InSession(FileRepository):
        def __init__(self) -> None:
            super().__init__(tmp_path / "marks")
            self.resource = folder

    stage = in_files(tmp_path, pool, bodies.plainly)
    stage.task.links["marks"].repo = InSession()
    told = await refusal(stage)

    assert "the link 'marks' of work" in told
    assert ELSEWHERE in told


async def test_a_view_with_a_lambda_is_rejected(tmp_path: Path, pool: Any) -> None:
    stage = in_files(tmp_path, pool, bodies.copy)
    stage.task.links["inp"].repo = stage.inp.map(lambda value: value)

    told = await refusal(stage)

    assert "the link 'inp' of work, MapRepository(" in told
    assert ELSEWHERE in told


class Shelf(InProcessMetadataRepository):
    """A third-party repository that can be pickled, but whose copy holds other data."""

    def __reduce__(self) -> Any:
        return Shelf, ()


async def test_a_repository_whose_copy_would_hold_other_data_is_rejected(
    tmp_path: Path, pool: Any
) -> None:
    stage = in_files(tmp_path, pool, bodies.copy)
    stage.task.links["out"].repo = Shelf()

    told = await refusal(stage)

    assert "is unknown (its `identity` is None)" in told


async def test_the_live_repository_is_rejected_as_a_parameter(tmp_path: Path, pool: Any) -> None:
    told = await refusal(in_files(tmp_path, pool, bodies.with_live))

    assert "the link 'live' of work" in told
    assert "holds the running jobs of this process" in told


@pytest.mark.parametrize("wrong", [bodies.HomeBody, 5, "copy"])
def test_a_body_that_is_not_a_function_is_rejected(wrong: Any) -> None:
    with pytest.raises(TaskConfigurationError, match="has to be a function"):
        in_memory(ThreadPoolExecutor(1), wrong)


def test_a_generator_function_is_rejected_because_calling_it_does_nothing() -> None:
    async def lines(job: str) -> AsyncGenerator[str, None]:
        yield job

    with pytest.raises(TaskConfigurationError, match="is a generator function"):
        in_memory(ThreadPoolExecutor(1), lines)


async def test_inspecting_a_pipeline_neither_requests_an_executor_nor_rejects_anything(
    tmp_path: Path,
) -> None:
    def closed() -> Any:
        raise AssertionError("the executor was requested")

    stage = in_files(tmp_path, closed, lambda job, inp: None)
    pipeline = stage.pipeline()

    await pipeline.open("inspect")

    await pipeline.close()


async def test_a_relative_path_does_not_silently_refer_to_another_directory(
    tmp_path: Path, pool: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pool.submit(os.getpid).result()  # so that the worker keeps its working directory
    monkeypatch.chdir(tmp_path)
    stage = in_files(Path("data"), pool, bodies.copy)
    await stage.feed("a")

    await stage.run()

    assert not await stage.done.keys()
    assert "a repository has a relative path" in caplog.text
    assert "give it an absolute path" in caplog.text


@pytest.mark.parametrize(
    "body",
    [bodies.Methods.copy, functools.partial(bodies.add, more=0), bodies.Methods().copy],
    ids=["static method", "partial", "method"],
)
async def test_importable_functions_are_serialized(tmp_path: Path, pool: Any, body: Any) -> None:
    stage = in_files(tmp_path, pool, body)
    await stage.feed("a")

    await stage.run()

    assert await stage.out.info("a") == 1


async def test_a_view_of_files_is_serialized(tmp_path: Path, pool: Any) -> None:
    stage = in_files(tmp_path, pool, bodies.copy)
    stage.task.links["inp"].repo = stage.inp.map(bodies.doubled) | stage.inp
    await stage.feed("a", value=2)

    await stage.run()

    assert await stage.out.info("a") == {"left": 4, "right": 2}


async def test_a_body_with_keyword_arguments_receives_all_data_links(
    tmp_path: Path, pool: Any
) -> None:
    stage = in_files(tmp_path, pool, bodies.everything)
    await stage.feed("a")

    await stage.run()

    assert await stage.out.info("a") == ["done", "gates", "inp", "marks", "out"]


def test_a_task_accepts_its_function_as_argument_or_by_decoration(tmp_path: Path) -> None:
    done = YamlMetadataFileRepository(tmp_path)

    @ExecutorTask("work", ThreadPoolExecutor(1), done)
    async def work(job: str) -> None: ...

    assert isinstance(work, ExecutorTask)
    with pytest.raises(TaskConfigurationError, match="has a body already"):
        work(bodies.copy)


async def test_outputs_published_in_another_process_are_reported_back(tmp_path: Path) -> None:
    links = {name: YamlMetadataFileRepository(tmp_path / name) for name in ("inp", "out")}
    await links["inp"].dump("a", 1)
    payload = serialize("work", BoundFunction(bodies.copy, links), main=False)
    there = await asyncio.to_thread(run, PickledWorkItem(JobScope("work", "a"), payload))
    here = JobScope("work", "a")
    here.add_published(pickle.loads(pickle.dumps(there)).written)
    assert here.wrote_to(links["out"])
    assert not here.wrote_to(links["inp"])
