"""What may travel to a worker in another process, and the sentences that refuse the rest."""

from __future__ import annotations

import asyncio
import functools
import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.append(str(Path(__file__).parent / "support"))  # workers find it there as well

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
    """Open a pipeline that must not open, and give the reason."""
    with pytest.raises(TaskConfigurationError) as caught:
        async with stage.pipeline():
            pass
    return str(caught.value)


async def test_a_lambda_is_refused(tmp_path: Path, pool: Any) -> None:
    told = await refusal(in_files(tmp_path, pool, lambda job, inp: None))

    assert told.startswith("the body of work, ")
    assert f"{ELSEWHERE}: it is a lambda" in told
    assert "Define it at the top level of a module" in told


async def test_a_function_inside_another_is_refused(tmp_path: Path, pool: Any) -> None:
    async def nested(job: str, inp: MetadataRepository) -> None: ...

    told = await refusal(in_files(tmp_path, pool, nested))

    assert "nested, cannot be passed" in told
    assert "it is defined inside another function" in told


async def test_a_function_that_something_else_hides_is_refused(
    tmp_path: Path, pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = bodies.copy
    monkeypatch.setattr(bodies, "copy", bodies.add)

    told = await refusal(in_files(tmp_path, pool, hidden))

    assert "executor_bodies.copy, cannot be passed" in told
    assert "it is not the object with that name in its module" in told


async def test_a_function_that_nothing_holds_any_more_is_refused(
    tmp_path: Path, pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = bodies.copy
    monkeypatch.delattr(bodies, "copy")

    told = await refusal(in_files(tmp_path, pool, lost))

    assert "it cannot be found there (module 'executor_bodies' has no attribute 'copy')" in told


async def test_a_partial_of_what_does_not_pickle_is_refused(tmp_path: Path, pool: Any) -> None:
    stage = in_files(tmp_path, pool, functools.partial(bodies.everything, more=lambda: 1))

    told = await refusal(stage)

    assert ELSEWHERE in told
    assert "it does not pickle" in told


async def test_a_repository_in_memory_is_refused_by_its_link(tmp_path: Path, pool: Any) -> None:
    told = await refusal(in_memory(pool, bodies.copy))

    assert told.startswith("the link 'inp' of work, InProcessMetadataRepository(<0 jobs>), ")
    assert "lives in the memory of one process" in told
    assert "Link a repository in files" in told


async def test_a_repository_of_a_session_is_refused(tmp_path: Path, pool: Any) -> None:
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


async def test_a_view_through_a_lambda_is_refused(tmp_path: Path, pool: Any) -> None:
    stage = in_files(tmp_path, pool, bodies.copy)
    stage.task.links["inp"].repo = stage.inp.map(lambda value: value)

    told = await refusal(stage)

    assert "the link 'inp' of work, MapRepository(" in told
    assert ELSEWHERE in told


class Shelf(InProcessMetadataRepository):
    """A third party's repository: it pickles, and its copy is another shelf."""

    def __reduce__(self) -> Any:
        return Shelf, ()


async def test_a_repository_whose_copy_would_be_another_one_is_refused(
    tmp_path: Path, pool: Any
) -> None:
    stage = in_files(tmp_path, pool, bodies.copy)
    stage.task.links["out"].repo = Shelf()

    told = await refusal(stage)

    assert "is unknown (its `identity` is None)" in told


async def test_the_live_repository_is_refused_where_a_function_asks_for_it(
    tmp_path: Path, pool: Any
) -> None:
    told = await refusal(in_files(tmp_path, pool, bodies.with_live))

    assert "the link 'live' of work" in told
    assert "holds the running jobs of this process" in told


@pytest.mark.parametrize("wrong", [bodies.HomeBody, 5, "copy"])
def test_a_body_that_is_no_function_is_refused(wrong: Any) -> None:
    with pytest.raises(TaskConfigurationError, match="has to be a function"):
        in_memory(ThreadPoolExecutor(1), wrong)


def test_a_generator_function_is_refused_since_calling_it_does_nothing() -> None:
    async def lines(job: str) -> AsyncGenerator[str, None]:
        yield job

    with pytest.raises(TaskConfigurationError, match="is a generator function"):
        in_memory(ThreadPoolExecutor(1), lines)


async def test_only_looking_at_a_pipeline_asks_for_no_executor_and_refuses_nothing(
    tmp_path: Path,
) -> None:
    def closed() -> Any:
        raise AssertionError("it was asked for")

    stage = in_files(tmp_path, closed, lambda job, inp: None)
    pipeline = stage.pipeline()

    await pipeline.open("inspect")

    await pipeline.close()


async def test_a_relative_path_does_not_lead_to_another_folder_in_silence(
    tmp_path: Path, pool: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pool.submit(os.getpid).result()  # so that the worker stays where it is
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
async def test_what_can_be_found_elsewhere_travels(tmp_path: Path, pool: Any, body: Any) -> None:
    stage = in_files(tmp_path, pool, body)
    await stage.feed("a")

    await stage.run()

    assert await stage.out.info("a") == 1


async def test_a_view_of_files_travels(tmp_path: Path, pool: Any) -> None:
    stage = in_files(tmp_path, pool, bodies.copy)
    stage.task.links["inp"].repo = stage.inp.map(bodies.doubled) | stage.inp
    await stage.feed("a", value=2)

    await stage.run()

    assert await stage.out.info("a") == {"left": 4, "right": 2}


async def test_whoever_takes_all_links_gets_those_that_are_there_to_work_with(
    tmp_path: Path, pool: Any
) -> None:
    stage = in_files(tmp_path, pool, bodies.everything)
    await stage.feed("a")

    await stage.run()

    assert await stage.out.info("a") == ["done", "gates", "inp", "marks", "out"]


SCRIPT = """
import asyncio, sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import pydatatask_core as pydatatask

def repository(name):
    return pydatatask.YamlMetadataFileRepository("FOLDER/" + name, ".yaml")

def executor():
    if METHOD == "loky":
        import loky
        return loky.get_reusable_executor(1)
    return POOL

METHOD = sys.argv[1]
done = repository("done")

@pydatatask.ExecutorTask("work", executor, done)
async def work(job, inp):
    pass

work.link("inp", repository("inp"), is_input=True)

async def main():
    await repository("inp").validate()
    await repository("inp").dump("a", 1)
    async with pydatatask.Pipeline([work]) as pipeline:
        await pipeline.run(timeout=50)
    print((await done.info("a"))["success"])

if __name__ == "__main__":
    if METHOD == "loky":
        asyncio.run(main())
    else:
        with ProcessPoolExecutor(1, mp_context=get_context(METHOD)) as POOL:
            asyncio.run(main())
"""


def run_script(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *command],
        input=SCRIPT.replace("FOLDER", str(folder)),
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_a_decorated_function_of_the_script_itself_is_found_by_process_pools(
    tmp_path: Path, method: str
) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("FOLDER", str(tmp_path)))

    ended = run_script(tmp_path, str(script), method)

    assert (ended.stdout, ended.stderr) == ("True\n", "")


def test_a_function_of_the_script_itself_is_refused_where_workers_do_not_load_that(
    tmp_path: Path,
) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("FOLDER", str(tmp_path)))

    ended = run_script(tmp_path, str(script), "loky")

    assert ended.stdout == ""
    assert "the body of work, __main__.work, cannot be passed" in ended.stderr
    assert "defined in the script run as `__main__`, which these workers do not load" in ended.stderr


def test_a_function_of_an_interactive_session_is_refused_where_it_cannot_be_found(
    tmp_path: Path,
) -> None:
    ended = run_script(tmp_path, "-", "spawn")

    assert ended.stdout == ""
    assert "defined in the script run as `__main__`, which these workers do not load" in ended.stderr


def test_a_task_can_be_made_with_its_function_or_decorate_it(tmp_path: Path) -> None:
    done = YamlMetadataFileRepository(tmp_path)

    @ExecutorTask("work", ThreadPoolExecutor(1), done)
    async def work(job: str) -> None: ...

    assert isinstance(work, ExecutorTask)
    with pytest.raises(TaskConfigurationError, match="has a body already"):
        work(bodies.copy)


async def test_what_a_body_in_another_process_has_published_travels_back(tmp_path: Path) -> None:
    links = {name: YamlMetadataFileRepository(tmp_path / name) for name in ("inp", "out")}
    await links["inp"].dump("a", 1)
    payload = serialize("work", BoundFunction(bodies.copy, links), main=False)
    there = await asyncio.to_thread(run, PickledWorkItem(JobScope("work", "a"), payload))
    here = JobScope("work", "a")
    here.add_published(pickle.loads(pickle.dumps(there)).written)
    assert here.wrote_to(links["out"])
    assert not here.wrote_to(links["inp"])
