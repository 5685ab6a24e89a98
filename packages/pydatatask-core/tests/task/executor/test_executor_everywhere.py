"""What holds for every executor that is promised, each with its real workers."""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.append(str(Path(__file__).parent / "support"))  # workers find it there as well

import executor_bodies as bodies
from executor_kinds import dask_cluster, reusable
from executor_stage import Gate, in_files

from pydatatask_core import YamlMetadataFileRepository
from pydatatask_core.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.filterwarnings(
    # Since Python 3.12 forking beside threads warns; the fork is the user's choice.
    "ignore:.*multi-threaded, use of fork.*:DeprecationWarning",
)

WORKERS = 2

TELLING = ["thread", "spawn", "fork", "forkserver", "loky"]
"""The executors that tell what has begun."""

DASK = ["dask", "dask thread"]

telling = pytest.mark.parametrize("executor", TELLING, indirect=True, scope="module")
dask = pytest.mark.parametrize("executor", DASK, indirect=True, scope="module")


@pytest.fixture(scope="module", params=[*TELLING, *DASK])
def executor(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Give each kind of executor, with two workers."""
    kind = request.param
    if kind == "thread":
        with ThreadPoolExecutor(WORKERS) as threads:
            yield threads
    elif kind == "loky":
        reusable(WORKERS)  # making it blocks, and may do so here
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


async def test_an_exception_that_does_not_unpickle_arrives_with_type_text_and_traceback(
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
async def test_an_exception_that_is_no_exception_class_fails_its_job_alone(
    tmp_path: Path, executor: Any, body: Any, exception: str
) -> None:
    stage = in_files(tmp_path, executor, body)
    await stage.feed("a", "b", "c")

    await stage.run()

    records = (await stage.done.info_all()).values()
    assert [record["exception"] for record in records] == [exception] * 3


@pytest.mark.parametrize("body", [bodies.keep_to_itself, bodies.keep_to_itself_too])
async def test_a_context_variable_of_one_job_is_not_that_of_another_in_the_same_worker(
    tmp_path: Path, executor: Any, body: Any
) -> None:
    stage = in_files(tmp_path, executor, body)
    await stage.feed(*"abcdefgh")

    await stage.run()

    records = await stage.done.info_all()
    assert len(records) == 8
    assert not [job for job, record in records.items() if not record["success"]]


async def test_neither_an_exit_nor_an_unprintable_exception_ends_a_worker(
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


async def test_text_that_no_file_could_hold_does_not_keep_a_job_from_being_recorded(
    tmp_path: Path, executor: Any
) -> None:
    stage = in_files(tmp_path, executor, bodies.raise_odd_text)
    await stage.feed("a")

    await stage.run()

    record = await stage.done.info("a")
    assert record["exception"].startswith("ValueError: a lone surrogate \\udc80 and a bell")


async def test_every_job_is_done_and_its_record_says_when_and_where(
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


async def test_a_worker_keeps_one_loop_for_all_its_jobs(tmp_path: Path, executor: Any) -> None:
    stage = in_files(tmp_path, executor, bodies.tell_where)
    await stage.feed(*(f"job{n}" for n in range(40)))

    await stage.run()

    places = {tuple(place) for place in (await stage.out.info_all()).values()}
    threads = {(pid, thread) for pid, thread, _ in places}
    assert len(places) == len(threads) <= WORKERS


async def test_a_function_that_is_not_async_runs_in_a_worker(tmp_path: Path, executor: Any) -> None:
    stage = in_files(tmp_path, executor, bodies.plainly)
    await stage.feed("a")

    await stage.run()

    worker = (await stage.done.info("a"))["worker"]
    assert worker.endswith(":" + (tmp_path / "marks" / "a").read_text())


@telling
async def test_a_pipeline_that_was_closed_over_a_running_job_hears_of_its_end_when_it_is_open_again(
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
async def test_what_has_begun_and_cannot_be_stopped_says_so_and_stays_live(
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
async def test_dask_takes_back_what_it_may_have_begun_and_does_not_call_it_failed(
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
async def test_cancelling_what_dask_has_begun_records_that(tmp_path: Path, executor: Any) -> None:
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


async def test_a_job_that_waits_behind_others_is_cancelled_and_recorded_as_that(
    tmp_path: Path, executor: Any
) -> None:
    stage = in_files(tmp_path, executor, bodies.hold, retries=5)
    blockers = [f"a{n}" for n in range(WORKERS)]
    gates = [Gate(tmp_path, job) for job in blockers]
    ahead = [f"aa{n}" for n in range(8)]  # more than a process pool takes ahead of its workers
    await stage.feed(*blockers, *ahead)
    extra = [Gate(tmp_path, job) for job in ahead]

    # A thread for each gate: whose turn comes first is not said, and the loop has few. None is
    # left waiting where this fails, since nothing could end it.
    with ThreadPoolExecutor(len(gates) + len(extra)) as doormen:
        async with stage.pipeline() as pipeline:
            try:
                await pipeline.update()
                # Only now, because the threads that hand over jobs do not keep their order.
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


async def test_in_synchronous_mode_a_launch_returns_when_the_job_is_recorded(
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
