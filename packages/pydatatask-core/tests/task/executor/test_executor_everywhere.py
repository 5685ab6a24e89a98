"""Behaviour of every supported executor, each with real workers."""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.append(str(Path(__file__).parent / "support"))  # workers import from it too

import executor_bodies as bodies
from executor_kinds import dask_cluster, reusable
from executor_stage import Gate, in_files

from pydatatask_core import YamlMetadataFileRepository
from pydatatask_core.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.filterwarnings(
    # From Python 3.12 on, forking a process with threads causes a warning; users may still fork.
    "ignore:.*multi-threaded, use of fork.*:DeprecationWarning",
)

WORKERS = 2

TELLING = ["thread", "spawn", "fork", "forkserver", "loky"]
"""The executors that report when a job has started."""

DASK = ["dask", "dask thread"]

telling = pytest.mark.parametrize("executor", TELLING, indirect=True, scope="module")
dask = pytest.mark.parametrize("executor", DASK, indirect=True, scope="module")


@pytest.fixture(scope="module", params=[*TELLING, *DASK])
def executor(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Yield each kind of executor, with two workers."""
    kind = request.param
    if kind == "thread":
        with ThreadPoolExecutor(WORKERS) as threads:
            yield threads
    elif kind == "loky":
        reusable(WORKERS)  # creation blocks, which is allowed here
        yield lambda: reusable(WORKERS)
        reusable(WORKERS).shutdown()
    elif kind == "dask":
        with dask_cluster(WORKERS) as client:
            yield client.get_executor()
    elif kind == "dask thread":
        with dask_cluster(1, threads=WORKERS, processes=False) as client:
            yield client.get_executor()
    else:
        context = multiprocessing.get_context(kind)
        with ProcessPoolExecutor(WORKERS, mp_context=context) as processes:
            yield processes


async def test_an_exception_that_cannot_be_unpickled_keeps_its_type_text_and_traceback(
    tmp_path: Path, executor: Any
) -> None:
    stage = in_files(tmp_path, executor, bodies.raise_unpicklable)
    await stage.feed("a")

    await stage.run()

    record = await stage.done.info("a")
    assert record["success"] is False
    assert record["exception"] == "Unpicklable: no luck with a"
    assert "in raise_unpicklable" in record["traceback"]


@pytest.mark.parametrize(
    ("body", "exception"),
    [
        (bodies.raise_panic, "Panic: unwrap() on None"),
        (bodies.raise_generator_exit, "GeneratorExit: GeneratorExit"),
        (bodies.raise_group, "BaseExceptionGroup: all (2 sub-exceptions)"),
        (bodies.cancel_itself, "CancelledError: CancelledError"),
    ],
    ids=lambda value: getattr(value, "__name__", "exception"),
)
async def test_a_base_exception_fails_only_its_own_job(
    tmp_path: Path, executor: Any, body: Any, exception: str
) -> None:
    stage = in_files(tmp_path, executor, body)
    await stage.feed("a", "b", "c")

    await stage.run()

    records = (await stage.done.info_all()).values()
    assert [record["exception"] for record in records] == [exception] * 3


@pytest.mark.parametrize("body", [bodies.keep_to_itself, bodies.keep_to_itself_too])
async def test_context_variables_are_not_shared_between_jobs_of_a_worker(
    tmp_path: Path, executor: Any, body: Any
) -> None:
    stage = in_files(tmp_path, executor, body)
    await stage.feed(*"abcdefgh")

    await stage.run()

    records = await stage.done.info_all()
    assert len(records) == 8
    assert not [job for job, record in records.items() if not record["success"]]


async def test_neither_exit_nor_an_unprintable_exception_stops_a_worker(
    tmp_path: Path, executor: Any
) -> None:
    leaver = in_files(tmp_path / "leaver", executor, bodies.leave)
    mute = in_files(tmp_path / "mute", executor, bodies.raise_unprintable)
    sound = in_files(tmp_path / "sound", executor, bodies.copy)
    for stage in (leaver, mute, sound):
        await stage.feed("a", "b", "c")
        await stage.run()

    assert {r["exception"] for r in (await leaver.done.info_all()).values()} == {"SystemExit: 3"}
    assert all("Unprintable" in r["exception"] for r in (await mute.done.info_all()).values())
    assert await sound.out.info_all() == {"a": 1, "b": 1, "c": 1}


async def test_text_that_cannot_be_encoded_does_not_prevent_the_record(
    tmp_path: Path, executor: Any
) -> None:
    stage = in_files(tmp_path, executor, bodies.raise_odd_text)
    await stage.feed("a")

    await stage.run()

    record = await stage.done.info("a")
    assert record["exception"].startswith("ValueError: a lone surrogate \\udc80 and a bell")


async def test_every_job_runs_and_its_record_has_times_and_worker(
    tmp_path: Path, executor: Any
) -> None:
    before = datetime.now(UTC)
    stage = in_files(tmp_path, executor, bodies.tell_where)
    jobs = [f"job{n}" for n in range(40)]
    await stage.feed(*jobs)

    await stage.run()

    records = await stage.done.info_all()
    places = await stage.out.info_all()
    assert records.keys() == set(jobs)
    for job, record in records.items():
        assert record["success"] is True
        assert record["attempt"] == 1
        assert before <= record["start_time"] <= record["end_time"] <= datetime.now(UTC)
        assert record["start_time"].tzinfo is not None
        assert record["worker"].endswith(f":{places[job][0]}")
    assert not stage.task.running


async def test_only_a_job_that_wrote_nothing_to_a_required_output_has_failed(
    tmp_path: Path, executor: Any
) -> None:
    stage = in_files(tmp_path, executor, bodies.part)
    parts = YamlMetadataFileRepository(tmp_path / "parts")
    stage.task.link("parts", parts, is_output=True)
    for how in ("own", "others", "open", "nothing"):
        await stage.feed(how, value=how)

    await stage.run()

    records = await stage.done.info_all()
    assert {job for job, record in records.items() if not record["success"]} == {"nothing"}
    assert records["nothing"]["reason"].startswith("succeeded without writing its output `parts`")
    assert {job: r.get("fan_out") for job, r in records.items() if "fan_out" in r} == {
        "others": ["parts"]
    }


async def test_a_worker_runs_all_its_jobs_in_one_loop(tmp_path: Path, executor: Any) -> None:
    stage = in_files(tmp_path, executor, bodies.tell_where)
    await stage.feed(*(f"job{n}" for n in range(40)))

    await stage.run()

    places = {tuple(place) for place in (await stage.out.info_all()).values()}
    threads = {(pid, thread) for pid, thread, _ in places}
    assert len(places) == len(threads) <= WORKERS


async def test_a_synchronous_function_runs_in_a_worker(tmp_path: Path, executor: Any) -> None:
    stage = in_files(tmp_path, executor, bodies.plainly)
    await stage.feed("a")

    await stage.run()

    worker = (await stage.done.info("a"))["worker"]
    assert worker.endswith(":" + (tmp_path / "marks" / "a").read_text())


@telling
async def test_a_job_that_outlives_its_pipeline_is_recorded_when_the_pipeline_reopens(
    tmp_path: Path, executor: Any
) -> None:
    stage = in_files(tmp_path, executor, bodies.hold)
    gate = Gate(tmp_path, "a")
    await stage.feed("a")

    async with stage.pipeline() as pipeline:
        await pipeline.update()
        await asyncio.to_thread(gate.wait_until_begun)
    async with stage.pipeline() as pipeline:
        assert not await pipeline.gather_ready_jobs(stage.task)
        await asyncio.to_thread(gate.let_go)
        await pipeline.run(timeout=50)

    record = await stage.done.info("a")
    assert record["success"] is True
    assert record["attempt"] == 1


@telling
async def test_a_started_job_that_cannot_be_cancelled_is_reported_and_stays_live(
    tmp_path: Path, executor: Any
) -> None:
    stage = in_files(tmp_path, executor, bodies.hold)
    gate = Gate(tmp_path, "a")
    await stage.feed("a")

    async with stage.pipeline() as pipeline:
        await pipeline.update()
        await asyncio.to_thread(gate.wait_until_begun)
        with pytest.raises(TaskError, match="cannot be stopped"):
            await stage.task.links["live"].repo.delete("a")
        assert await stage.task.links["live"].repo.contains("a")
        await asyncio.to_thread(gate.let_go)
        await pipeline.run(timeout=50)

    assert (await stage.done.info("a"))["success"] is True


@dask
async def test_dask_cancels_jobs_that_may_have_started_without_recording_a_failure(
    tmp_path: Path, executor: Any
) -> None:
    stage = in_files(tmp_path, executor, bodies.hold)
    gate = Gate(tmp_path, "a")
    await stage.feed("a")

    async with stage.pipeline() as pipeline:
        await pipeline.update()
        await asyncio.to_thread(gate.wait_until_begun)
    await asyncio.to_thread(gate.let_go)

    assert not await stage.done.keys()
    async with stage.pipeline() as pipeline:
        assert await pipeline.gather_ready_jobs(stage.task) == {"a"}


@dask
async def test_cancelling_a_job_that_dask_has_started_is_recorded(
    tmp_path: Path, executor: Any
) -> None:
    stage = in_files(tmp_path, executor, bodies.hold)
    gate = Gate(tmp_path, "a")
    await stage.feed("a")

    async with stage.pipeline() as pipeline:
        await pipeline.update()
        await asyncio.to_thread(gate.wait_until_begun)
        await stage.task.links["live"].repo.delete("a")
        assert not stage.task.running
    await asyncio.to_thread(gate.let_go)

    assert (await stage.done.info("a"))["reason"] == "cancelled"


async def test_a_queued_job_is_cancelled_and_recorded_as_cancelled(
    tmp_path: Path, executor: Any
) -> None:
    stage = in_files(tmp_path, executor, bodies.hold, retries=5)
    blockers = [f"a{n}" for n in range(WORKERS)]
    gates = [Gate(tmp_path, job) for job in blockers]
    ahead = [f"aa{n}" for n in range(8)]  # more than the call queue of a process pool
    await stage.feed(*blockers, *ahead)
    extra = [Gate(tmp_path, job) for job in ahead]

    # One thread per gate: the order in which the gates open is undefined, and the default executor
    # of the loop has few threads. All threads are released if the test fails, because nothing else
    # could end them.
    with ThreadPoolExecutor(len(gates) + len(extra)) as doormen:
        async with stage.pipeline() as pipeline:
            try:
                await pipeline.update()
                # Only now, because the threads that submit jobs do not keep the order.
                await stage.feed("b")
                await pipeline.update()
                await stage.task.cancel("b")
                assert "b" not in stage.task.running
                assert not await pipeline.gather_ready_jobs(stage.task)
                opened = [doormen.submit(_pass, gate) for gate in [*gates, *extra]]
                await pipeline.run(timeout=50)
            finally:
                for gate in [*gates, *extra]:
                    gate.stand_open()
            await asyncio.gather(*map(asyncio.wrap_future, opened))

    record = await stage.done.info("b")
    assert record["success"] is False
    assert record["reason"] == "cancelled"
    assert "exception" not in record
    done = await stage.done.info_all()
    assert [job for job, r in done.items() if not r["success"]] == ["b"]


def _pass(gate: Gate) -> None:
    gate.wait_until_begun()
    gate.let_go()


async def test_in_synchronous_mode_launch_returns_when_the_job_is_recorded(
    tmp_path: Path, executor: Any
) -> None:
    stage = in_files(tmp_path, executor, bodies.copy)
    await stage.feed("a", "b")

    async with stage.pipeline() as pipeline:
        pipeline.settings(synchronous=True)
        await pipeline.update_only_launch()
        assert (await stage.done.keys()) == {"a", "b"}
        assert not stage.task.running


async def test_without_metadata_jobs_run_and_leave_no_record(tmp_path: Path, executor: Any) -> None:
    stage = in_files(tmp_path, executor, bodies.copy)
    await stage.feed("a")

    async with stage.pipeline() as pipeline:
        pipeline.settings(metadata=False)
        await pipeline.run(timeout=50)

    assert await stage.out.info_all() == {"a": 1}
    assert not await stage.done.keys()
